-- A user of the data; in the order of the users, so that looking one up reads few row groups.
CREATE TABLE users (
    user_id VARCHAR NOT NULL,
    n_ratings BIGINT NOT NULL,
    segment VARCHAR NOT NULL,
    is_cold BOOLEAN NOT NULL
);

INSERT INTO users BY NAME
WITH known AS (
    SELECT * FROM input_users
),

final AS (
    SELECT user_id, n_ratings, segment, is_cold
    FROM known
)

SELECT * FROM final
ORDER BY user_id;

COMMENT ON TABLE users IS 'a user of the data';
COMMENT ON COLUMN users.user_id IS 'the user, as the source spells it';
COMMENT ON COLUMN users.n_ratings IS 'items that the user has rated';
COMMENT ON COLUMN users.segment IS 'third of the users by n_ratings';
COMMENT ON COLUMN users.is_cold IS
    'whether the model has nothing to tell the user by: the list is the popular one';
