-- The k other items most similar to each item; in the order of the items, so that looking one up reads few row groups.
CREATE TABLE similar_items (
    item_id VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    similar_item_id VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    similarity DOUBLE NOT NULL
);

INSERT INTO similar_items BY NAME
WITH listed AS (
    SELECT * FROM input_similar_items
),

titled AS (
    SELECT
        listed.item_id,
        listed.position,
        listed.similar_item_id,
        coalesce(items.title, listed.similar_item_id) AS title,
        listed.similarity
    FROM listed
    LEFT JOIN items ON items.item_id = listed.similar_item_id
),

final AS (
    SELECT item_id, position, similar_item_id, title, similarity
    FROM titled
)

SELECT * FROM final
ORDER BY item_id, position;

COMMENT ON TABLE similar_items IS 'an item at a position of another item''s list';
COMMENT ON COLUMN similar_items.item_id IS 'the item, as the source spells it';
COMMENT ON COLUMN similar_items.position IS 'place in the list, the first is 1';
COMMENT ON COLUMN similar_items.similar_item_id IS 'an item that the same people like';
COMMENT ON COLUMN similar_items.title IS 'title of the similar item';
COMMENT ON COLUMN similar_items.similarity IS 'cosine of the two items'' factors; falls along the list';
