-- How good the model is: a row for each metric, beside the popularity floor's on the same split.
CREATE TABLE model (
    model_name VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    mlflow_run_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    rank BIGINT,
    metric VARCHAR PRIMARY KEY,
    value DOUBLE NOT NULL,
    floor DOUBLE
);

INSERT INTO model BY NAME
WITH evaluated AS (
    SELECT * FROM input_model
),

final AS (
    SELECT model_name, model_version, mlflow_run_id, source, rank, metric, value, floor
    FROM evaluated
)

SELECT * FROM final
ORDER BY metric;

COMMENT ON TABLE model IS 'a metric of the model, beside the popularity floor';
COMMENT ON COLUMN model.model_name IS 'the registered model in MLflow';
COMMENT ON COLUMN model.model_version IS 'its version';
COMMENT ON COLUMN model.mlflow_run_id IS 'the MLflow run that trained it';
COMMENT ON COLUMN model.source IS 'what made the rows: als or popular';
COMMENT ON COLUMN model.rank IS 'number of factors; null for a model without';
COMMENT ON COLUMN model.metric IS 'name of the metric, as ndcg_at_10';
COMMENT ON COLUMN model.value IS 'the model''s value on the test side of the split';
COMMENT ON COLUMN model.floor IS 'the popularity floor''s value on the same; null where it has none';
