-- Where this release comes from: one row. Counts are those of the tables beside it.
-- (created_at by way of TIMESTAMPTZ: a cast of '13:00+01:00' straight to TIMESTAMP drops the offset.)
CREATE TABLE release (
    release_id VARCHAR PRIMARY KEY,
    created_at TIMESTAMP NOT NULL,
    trained_at TIMESTAMP,
    model_name VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    mlflow_run_id VARCHAR NOT NULL,
    ratings_version BIGINT NOT NULL,
    items_version BIGINT NOT NULL,
    recommendations_version BIGINT NOT NULL,
    raw_sha256 VARCHAR[] NOT NULL,
    ingest_run_ids VARCHAR[] NOT NULL,
    train_run_id VARCHAR NOT NULL,
    publish_run_id VARCHAR NOT NULL,
    is_generated BOOLEAN NOT NULL,
    k BIGINT NOT NULL,
    n_users BIGINT NOT NULL,
    n_items BIGINT NOT NULL,
    marquee_version VARCHAR NOT NULL,
    code_sha256 VARCHAR NOT NULL
);

INSERT INTO release BY NAME
WITH stamp AS (
    SELECT * FROM input_release
),

counts AS (
    SELECT
        (SELECT count(DISTINCT user_id) FROM recommendations) AS n_users,
        (SELECT count(*) FROM items) AS n_items
),

final AS (
    SELECT
        stamp.release_id,
        stamp.created_at::TIMESTAMPTZ::TIMESTAMP AS created_at,
        stamp.trained_at::TIMESTAMPTZ::TIMESTAMP AS trained_at,
        stamp.model_name,
        stamp.model_version,
        stamp.mlflow_run_id,
        stamp.ratings_version,
        stamp.items_version,
        stamp.recommendations_version,
        stamp.raw_sha256,
        stamp.ingest_run_ids,
        stamp.train_run_id,
        stamp.publish_run_id,
        stamp.is_generated,
        stamp.k,
        counts.n_users,
        counts.n_items,
        stamp.marquee_version,
        stamp.code_sha256
    FROM stamp
    CROSS JOIN counts
)

SELECT * FROM final;

COMMENT ON TABLE release IS 'this release: where every row of its tables comes from';
COMMENT ON COLUMN release.release_id IS 'the release, as its file is named';
COMMENT ON COLUMN release.created_at IS 'when it was asked for, UTC';
COMMENT ON COLUMN release.trained_at IS 'when the model''s run in MLflow ended, UTC; null if unknown';
COMMENT ON COLUMN release.model_name IS 'the registered model in MLflow';
COMMENT ON COLUMN release.model_version IS 'its version';
COMMENT ON COLUMN release.mlflow_run_id IS 'the MLflow run that trained it';
COMMENT ON COLUMN release.ratings_version IS 'version of the table ratings that it was trained on';
COMMENT ON COLUMN release.items_version IS 'version of the table items';
COMMENT ON COLUMN release.recommendations_version IS 'version of the table recommendations in the lake';
COMMENT ON COLUMN release.raw_sha256 IS 'sha256 of each raw batch in that version of ratings';
COMMENT ON COLUMN release.ingest_run_ids IS 'the Airflow run that took each of those batches in';
COMMENT ON COLUMN release.train_run_id IS 'the Airflow run that trained the model';
COMMENT ON COLUMN release.publish_run_id IS 'the Airflow run that published the release';
COMMENT ON COLUMN release.is_generated IS 'whether any of the data was generated, not observed';
COMMENT ON COLUMN release.k IS 'length of a list';
COMMENT ON COLUMN release.n_users IS 'users with a list';
COMMENT ON COLUMN release.n_items IS 'items of the catalogue';
COMMENT ON COLUMN release.marquee_version IS 'version of the program that published it';
COMMENT ON COLUMN release.code_sha256 IS 'sha256 of that program''s files';
