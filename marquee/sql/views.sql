-- Macros and views for the usual questions; docs/queries.md asks them. An id may be given as a number.

-- The n first of a user's list; a user who is not in the data gets the popular items.
CREATE MACRO recommend(the_user, n := 10) AS TABLE
WITH own AS (
    SELECT position, item_id, title, score, source, because
    FROM recommendations
    WHERE user_id = the_user::VARCHAR AND position <= n
),

popular AS (
    SELECT position, item_id, title, n_ratings::DOUBLE AS score, 'popular' AS source, [] AS because
    FROM popular_items
    WHERE scope = 'overall' AND position <= n AND NOT EXISTS (FROM users WHERE user_id = the_user::VARCHAR)
)

SELECT * FROM own
UNION ALL
SELECT * FROM popular
ORDER BY position;

-- The items of the user's history that speak most for a recommended item, with their share of its score.
CREATE MACRO because(the_user, the_item) AS TABLE
SELECT reason.item_id, reason.title, reason."share"
FROM (
    SELECT unnest(because) AS reason
    FROM recommendations
    WHERE user_id = the_user::VARCHAR AND item_id = the_item::VARCHAR
)
ORDER BY reason."share" DESC, reason.item_id;

-- The n items that the same people like.
CREATE MACRO also_liked(the_item, n := 10) AS TABLE
SELECT position, similar_item_id AS item_id, title, similarity
FROM similar_items
WHERE item_id = the_item::VARCHAR AND position <= n
ORDER BY position;

-- What became of the lists since another release, by the path of its file: items that came, went or moved.
CREATE MACRO changed(path_of_previous) AS TABLE
WITH before AS (
    SELECT user_id, item_id, title, position
    FROM read_duckdb(path_of_previous, table_name := 'recommendations')
),

compared AS (
    SELECT
        coalesce(now.user_id, before.user_id) AS user_id,
        coalesce(now.item_id, before.item_id) AS item_id,
        coalesce(now.title, before.title) AS title,
        before.position AS position_before,
        now.position AS position,
        CASE WHEN before.position IS NULL THEN 'came' WHEN now.position IS NULL THEN 'went' ELSE 'moved' END AS change
    FROM recommendations AS now
    FULL JOIN before ON before.user_id = now.user_id AND before.item_id = now.item_id
)

SELECT user_id, item_id, title, position_before, position, change
FROM compared
WHERE position IS DISTINCT FROM position_before
ORDER BY user_id, position NULLS LAST, position_before;

-- How many lists each item is in.
CREATE VIEW most_recommended AS
SELECT item_id, any_value(title) AS title, count(*) AS n_lists, min(position) AS best_position
FROM recommendations
GROUP BY item_id
ORDER BY n_lists DESC, item_id;

COMMENT ON MACRO TABLE recommend IS 'recommend(user, n := 10): the first n of a user''s list; popular items for a user who is not in the data';
COMMENT ON MACRO TABLE because IS 'because(user, item): items of the user''s history that speak most for a recommended item';
COMMENT ON MACRO TABLE also_liked IS 'also_liked(item, n := 10): items that the same people like';
COMMENT ON MACRO TABLE changed IS 'changed(path): items that came into lists, went or moved since the release in that file';
COMMENT ON VIEW most_recommended IS 'an item, and how many lists it is in';
