-- A user of the data; in the order of the users, so that looking one up reads few row groups.
CREATE TABLE users (
    user_id VARCHAR PRIMARY KEY,
    n_ratings BIGINT NOT NULL,
    segment VARCHAR NOT NULL,
    is_cold BOOLEAN NOT NULL,
    first_row BIGINT NOT NULL,
    n_rows BIGINT NOT NULL
);

INSERT INTO users BY NAME
WITH known AS (
    SELECT * FROM input_users
),

-- An index: DuckDB looks at the first letters of a text only when it chooses what to read, and ids may begin alike.
placed AS (
    SELECT user_id, min(rowid) AS first_row, count(*) AS n_rows
    FROM recommendations
    GROUP BY user_id
),

final AS (
    SELECT
        known.user_id,
        known.n_ratings,
        known.segment,
        known.is_cold,
        coalesce(placed.first_row, 0) AS first_row,
        coalesce(placed.n_rows, 0) AS n_rows
    FROM known
    LEFT JOIN placed ON placed.user_id = known.user_id
)

SELECT * FROM final
ORDER BY user_id;

COMMENT ON TABLE users IS 'a user of the data';
COMMENT ON COLUMN users.user_id IS 'the user, as the source spells it';
COMMENT ON COLUMN users.n_ratings IS 'items that the user has rated';
COMMENT ON COLUMN users.segment IS 'third of the users by n_ratings';
COMMENT ON COLUMN users.is_cold IS
    'whether the model has nothing to tell the user by: the list is the popular one';
COMMENT ON COLUMN users.first_row IS 'rowid of the user''s first row in recommendations, where the list lies in one piece';
COMMENT ON COLUMN users.n_rows IS 'rows of the user''s list';
