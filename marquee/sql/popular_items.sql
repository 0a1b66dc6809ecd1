-- The list for users whom the model does not know: the k items with most ratings, equal ones by item id.
CREATE TABLE popular_items (
    position BIGINT PRIMARY KEY,
    item_id VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    n_ratings BIGINT NOT NULL
);

INSERT INTO popular_items BY NAME
WITH counted AS (
    SELECT * FROM input_item_counts
),

ranked AS (
    SELECT
        row_number() OVER (ORDER BY counted.n_ratings DESC, counted.item_id) AS position,
        counted.item_id,
        coalesce(items.title, counted.item_id) AS title,
        counted.n_ratings
    FROM counted
    LEFT JOIN items ON items.item_id = counted.item_id
),

final AS (
    SELECT position, item_id, title, n_ratings
    FROM ranked
    WHERE position <= (SELECT k FROM release)
)

SELECT * FROM final
ORDER BY position;

COMMENT ON TABLE popular_items IS 'an item at a position of the list for users the model does not know';
COMMENT ON COLUMN popular_items.position IS 'place in the list, the first is 1';
COMMENT ON COLUMN popular_items.item_id IS 'the item, as the source spells it';
COMMENT ON COLUMN popular_items.title IS 'the item''s title; the item''s id where the source has none';
COMMENT ON COLUMN popular_items.n_ratings IS 'ratings of the item in the data';
