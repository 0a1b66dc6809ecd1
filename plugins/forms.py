"""The forms by which people trigger the DAGs: JSON Schema, which Airflow's page explains and checks."""

from __future__ import annotations

from airflow.sdk import Param

INGEST_FORM = {
    "source": Param(
        type="string", minLength=1, title="Source", description="A path, folder, archive (zip, tar) or URL"
    ),
    "format": Param(
        "auto", enum=["auto", "movielens-csv", "movielens-100k"], title="Format", description="auto: by the names"
    ),
    "mode": Param(
        "append",
        enum=["append", "replace"],
        title="Mode",
        description="append: add to the ratings there are; replace: these become all there is (old versions stay)",
    ),
    "sha256": Param(
        "",
        type="string",
        pattern="^([0-9a-f]{64})?$",
        title="Checksum",
        description="Refuse other bytes than these",
    ),
    "max_quarantined": Param(
        0.01,
        type="number",
        minimum=0,
        maximum=1,
        title="Bad rows allowed",
        description="Stop above this share of bad ratings",
    ),
}

TRAIN_FORM = {
    "k": Param(
        10,
        type="integer",
        minimum=1,
        maximum=1000,
        title="k",
        description="Length of the lists that models are compared by",
    ),
    "feedback": Param(
        "implicit",
        enum=["implicit", "explicit"],
        title="Feedback",
        description="implicit: a rating tells that a user chose an item; explicit: it is a number to predict",
    ),
    "ranks": Param(
        [16, 32],
        type="array",
        items={"type": "integer", "minimum": 1, "maximum": 1024},
        title="Ranks",
        description="Factors; one candidate each",
    ),
    "iterations": Param(10, type="integer", minimum=1, maximum=1000, title="Iterations"),
    "regularization": Param(
        0.05, type="number", minimum=0, title="Regularization", description="Scaled by the number of ratings"
    ),
    "alpha": Param(
        0.3, type="number", minimum=0, title="Alpha", description="Implicit only: confidence is 1 + alpha x rating"
    ),
    "test_share": Param(
        0.2,
        type="number",
        exclusiveMinimum=0,
        exclusiveMaximum=1,
        title="Test share",
        description="Share of the ratings, the latest, to test on",
    ),
    "seed": Param(42, type="integer", title="Seed"),
}

PUBLISH_FORM = {
    "model_version": Param(
        "",
        type="string",
        pattern="^[0-9]*$",
        title="Model version",
        description="Empty: the version that is champion",
    ),
    "k": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=1000,
        title="k",
        description="Empty: the setting serving.k",
    ),
}
