-- The k items with most ratings, equal ones by item id: of all, of each genre, and of the latest ratings.
CREATE TABLE popular_items (
    scope VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    n_ratings BIGINT NOT NULL
);

INSERT INTO popular_items BY NAME
WITH counted AS (
    SELECT
        counts.item_id,
        coalesce(items.title, counts.item_id) AS title,
        coalesce(items.genres, []) AS genres,
        counts.n_ratings,
        counts.n_recent
    FROM input_item_counts AS counts
    LEFT JOIN items ON items.item_id = counts.item_id
),

scoped AS (
    SELECT 'overall' AS scope, item_id, title, n_ratings FROM counted
    UNION ALL
    SELECT DISTINCT 'genre:' || genre AS scope, item_id, title, n_ratings
    FROM counted, unnest(genres) AS of_item (genre)
    UNION ALL
    SELECT 'recent' AS scope, item_id, title, n_recent AS n_ratings FROM counted WHERE n_recent > 0
),

ranked AS (
    SELECT *, row_number() OVER (PARTITION BY scope ORDER BY n_ratings DESC, item_id) AS position
    FROM scoped
),

final AS (
    SELECT scope, position, item_id, title, n_ratings
    FROM ranked
    WHERE position <= (SELECT k FROM release)
)

SELECT * FROM final
ORDER BY scope, position;

COMMENT ON TABLE popular_items IS 'an item at a position of a list of most rated items';
COMMENT ON COLUMN popular_items.scope IS 'overall, genre:NAME, or recent (the latest tenth of the ratings)';
COMMENT ON COLUMN popular_items.position IS 'place in the list, the first is 1';
COMMENT ON COLUMN popular_items.item_id IS 'the item, as the source spells it';
COMMENT ON COLUMN popular_items.title IS 'the item''s title; the item''s id where the source has none';
COMMENT ON COLUMN popular_items.n_ratings IS 'ratings of the item within the scope';
