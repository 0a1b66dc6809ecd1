-- What was expected of the batches that the release is made of, and of its own lists, and how it fared.
CREATE TABLE data_quality (
    batch VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    expectation VARCHAR NOT NULL,
    column_name VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    is_met BOOLEAN NOT NULL,
    n_rows BIGINT NOT NULL,
    unexpected_count BIGINT NOT NULL,
    observed VARCHAR NOT NULL,
    sentence VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    checked_at TIMESTAMP NOT NULL
);

INSERT INTO data_quality BY NAME
WITH checked AS (
    SELECT * FROM input_data_quality
),

final AS (
    SELECT
        batch,
        table_name,
        expectation,
        column_name,
        severity,
        is_met,
        n_rows,
        unexpected_count,
        observed,
        sentence,
        run_id,
        checked_at::TIMESTAMPTZ::TIMESTAMP AS checked_at
    FROM checked
)

SELECT * FROM final
ORDER BY batch, table_name, expectation, column_name, severity;

COMMENT ON TABLE data_quality IS 'an expectation about a table of a batch, and how it fared';
COMMENT ON COLUMN data_quality.batch IS 'the batch: sha256 of the raw bytes, and how they were read';
COMMENT ON COLUMN data_quality.table_name IS 'the table that the expectation is about';
COMMENT ON COLUMN data_quality.expectation IS 'Great Expectations'' name for it';
COMMENT ON COLUMN data_quality.column_name IS 'the column, or the number about the whole table; empty for all columns';
COMMENT ON COLUMN data_quality.severity IS 'fatal stops the run, warning is recorded';
COMMENT ON COLUMN data_quality.is_met IS 'whether it holds';
COMMENT ON COLUMN data_quality.n_rows IS 'rows of the table in the batch';
COMMENT ON COLUMN data_quality.unexpected_count IS 'rows, columns or findings that break it';
COMMENT ON COLUMN data_quality.observed IS 'the number found, where it is about the whole table; else empty';
COMMENT ON COLUMN data_quality.sentence IS 'the expectation in words, and where it is broken, with examples';
COMMENT ON COLUMN data_quality.run_id IS 'the Airflow run that looked';
COMMENT ON COLUMN data_quality.checked_at IS 'when that run was asked for, UTC';
