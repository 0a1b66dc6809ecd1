-- Every metric of every candidate of the training that the model comes from, the popularity floor among them.
CREATE TABLE evaluation (
    candidate VARCHAR NOT NULL,
    mlflow_run_id VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    low DOUBLE,
    high DOUBLE,
    is_champion BOOLEAN NOT NULL,
    is_floor BOOLEAN NOT NULL,
    PRIMARY KEY (candidate, metric)
);

INSERT INTO evaluation BY NAME
WITH evaluated AS (
    SELECT * FROM input_evaluation
),

final AS (
    SELECT candidate, mlflow_run_id, metric, value, low, high, is_champion, is_floor
    FROM evaluated
)

SELECT * FROM final
ORDER BY candidate, metric;

COMMENT ON TABLE evaluation IS 'a metric of a candidate of the training that the model comes from';
COMMENT ON COLUMN evaluation.candidate IS 'name of the candidate';
COMMENT ON COLUMN evaluation.mlflow_run_id IS
    'its MLflow run; empty for a floor that was computed beside the model alone';
COMMENT ON COLUMN evaluation.metric IS 'name of the metric, as ndcg_at_10';
COMMENT ON COLUMN evaluation.value IS 'its value on the test side of the split';
COMMENT ON COLUMN evaluation.low IS 'low end of its 95 % interval over users; null where it has none';
COMMENT ON COLUMN evaluation.high IS 'high end of that interval; null where it has none';
COMMENT ON COLUMN evaluation.is_champion IS 'whether this release is made by this candidate';
COMMENT ON COLUMN evaluation.is_floor IS 'whether it is popularity, the floor';
