-- A recommended item at a position of a user's list.
-- In the order of the users, so that looking one up reads few row groups.
CREATE TABLE recommendations (
    user_id VARCHAR NOT NULL,
    position BIGINT NOT NULL,
    item_id VARCHAR NOT NULL,
    title VARCHAR NOT NULL,
    score DOUBLE NOT NULL,
    source VARCHAR NOT NULL,
    because STRUCT(item_id VARCHAR, title VARCHAR, "share" DOUBLE)[] NOT NULL
);

INSERT INTO recommendations BY NAME
WITH scored AS (
    SELECT * FROM input_recommendations
),

final AS (
    SELECT user_id, position, item_id, title, score, source, because
    FROM scored
)

SELECT * FROM final
ORDER BY user_id, position;

COMMENT ON TABLE recommendations IS 'a recommended item at a position of a user''s list';
COMMENT ON COLUMN recommendations.user_id IS 'the user, as the source spells it';
COMMENT ON COLUMN recommendations.position IS 'place in the list, the first is 1';
COMMENT ON COLUMN recommendations.item_id IS 'the item, as the source spells it';
COMMENT ON COLUMN recommendations.title IS 'the item''s title; the item''s id where the source has none';
COMMENT ON COLUMN recommendations.score IS 'the model''s score; falls along the list, comparable within one list only';
COMMENT ON COLUMN recommendations.source IS 'what made the row: als or popular';
COMMENT ON COLUMN recommendations.because IS
    'up to three items that the user has rated, with their share of the score (a part of 1), highest first; empty where the source is popular';
