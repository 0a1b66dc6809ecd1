-- Every so often the user whose row stands there: between two of them a reader finds anybody's list without an index.
-- DuckDB looks at the first letters of a text only when it chooses what to read, and ids may begin alike.
CREATE TABLE places (
    first_row BIGINT PRIMARY KEY,
    user_id VARCHAR NOT NULL
);

INSERT INTO places BY NAME
WITH placed AS (
    SELECT rowid AS first_row, user_id FROM recommendations
),

final AS (
    SELECT first_row, user_id
    FROM placed
    WHERE first_row % 4096 = 0
)

SELECT * FROM final
ORDER BY first_row;

COMMENT ON TABLE places IS 'every 4096th row of recommendations, by which readers find lists';
COMMENT ON COLUMN places.first_row IS 'rowid in recommendations';
COMMENT ON COLUMN places.user_id IS 'the user, as the source spells it';
