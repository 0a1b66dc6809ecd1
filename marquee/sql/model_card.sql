-- The model's page in MLflow: one row.
CREATE TABLE model_card (
    model_name VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    card VARCHAR NOT NULL
);

INSERT INTO model_card BY NAME
WITH page AS (
    SELECT * FROM input_model_card
),

final AS (
    SELECT model_name, model_version, card
    FROM page
)

SELECT * FROM final;

COMMENT ON TABLE model_card IS 'the model''s page';
COMMENT ON COLUMN model_card.model_name IS 'the registered model in MLflow';
COMMENT ON COLUMN model_card.model_version IS 'its version';
COMMENT ON COLUMN model_card.card IS 'the version''s page in MLflow, as Markdown';
