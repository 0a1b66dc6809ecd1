"""The forms by which people trigger the DAGs: JSON Schema, which Airflow's page explains and checks."""

from __future__ import annotations

from airflow.sdk import Param

from marquee.sources.formats import AUTO, FORMATS
from marquee.sources.requested import COLUMNS

COLUMNS_SECTION = "Columns, where the format is 'columns'"
#: Airflow's page lets a field of text be empty only where it may be null.
TEXT_OR_NONE = ["null", "string"]

INGEST_FORM = {
    "source": Param(
        type="string",
        minLength=1,
        title="Source",
        description="A path, folder, archive (zip, tar), packed file (gz, bz2, xz, zst) or URL (http, https, s3, file)",
    ),
    "format": Param(
        AUTO,
        enum=[AUTO, *FORMATS, COLUMNS],
        title="Format",
        description="auto: by the names of the files, else guessed; columns: a table whose columns you name below",
    ),
    "mode": Param(
        "append",
        enum=["append", "replace"],
        title="Mode",
        description="append: add to the ratings there are; replace: these become all there is (old versions stay)",
    ),
    "max_quarantined": Param(
        0.01,
        type="number",
        minimum=0,
        maximum=1,
        title="Bad rows allowed",
        description="Stop above this share of bad ratings",
    ),
    "drift": Param(
        "stop",
        enum=["stop", "warn"],
        title="Drift",
        description="Where the batch differs too much from those before it (docs/data-contract.md): stop, or only warn",
    ),
    "sha256": Param(
        None,
        type=TEXT_OR_NONE,
        pattern="^([0-9a-f]{64})?$",
        title="Checksum",
        description="Refuse other bytes than these",
    ),
    "user_column": Param(
        None,
        type=TEXT_OR_NONE,
        title="User",
        section=COLUMNS_SECTION,
        description="The file's name of the column; its position, the first is 1, where it has no names",
    ),
    "item_column": Param(None, type=TEXT_OR_NONE, title="Item", section=COLUMNS_SECTION, description="As above"),
    "rating_column": Param(
        None,
        type=TEXT_OR_NONE,
        title="Rating",
        section=COLUMNS_SECTION,
        description="Empty: none, each row counts 1",
    ),
    "time_column": Param(None, type=TEXT_OR_NONE, title="Time", section=COLUMNS_SECTION, description="Empty: none"),
    "separator": Param(
        None,
        type=TEXT_OR_NONE,
        maxLength=8,
        title="Separator",
        section=COLUMNS_SECTION,
        description="Between two fields, as ; or \\t or ::. Empty: guessed",
    ),
    "time_unit": Param(
        None,
        type=TEXT_OR_NONE,
        title="Unit of the time",
        section=COLUMNS_SECTION,
        description="s, ms, us, ns since 1970; iso; or a pattern as %d/%m/%Y %H:%M. Empty: guessed",
    ),
    "lowest_rating": Param(
        None,
        type=["null", "number"],
        title="Lowest rating",
        section=COLUMNS_SECTION,
        description="Of the scale; lower ones are refused. Empty, as the highest: guessed",
    ),
    "highest_rating": Param(
        None,
        type=["null", "number"],
        title="Highest rating",
        section=COLUMNS_SECTION,
        description="Of the scale; higher ones are refused",
    ),
    "reading": Param(
        None,
        type=["null", "object"],
        title="Reading",
        section="Or: all of it",
        description="A source's TOML as JSON, as the command line sends it. Empty: by the fields above",
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
    "tuning_trials": Param(
        0,
        type="integer",
        minimum=0,
        maximum=10_000,
        title="Tuning, trials",
        description="Search for better parameters with so many trials (Optuna); 0: no limit but the minutes",
    ),
    "tuning_minutes": Param(
        0,
        type="number",
        minimum=0,
        title="Tuning, minutes",
        description="Search for so long; 0: no limit but the trials. Both 0: no search",
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

OVERRULE_FORM = {
    "model_version": Param(
        None,
        type=TEXT_OR_NONE,
        pattern="^[0-9]*$",
        title="Model version",
        description="Of the registered model; empty: the challenger of the last training",
    ),
    "why": Param(
        type="string", minLength=5, title="Why", description="Kept with the decision, for those who ask later"
    ),
}

PUBLISH_FORM = {
    "model_version": Param(
        None,
        type=TEXT_OR_NONE,
        pattern="^[0-9]*$",
        title="Model version",
        description="Empty: the version that is champion",
    ),
    "why": Param(
        None,
        type=TEXT_OR_NONE,
        title="Why",
        description="With a version: it may be published though it was rolled back, or differs much from before",
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

ROLLBACK_FORM = {
    "release": Param(
        None,
        type=TEXT_OR_NONE,
        pattern="^([A-Za-z0-9][A-Za-z0-9._-]*)?$",
        title="Release",
        description="As `marquee releases` lists it; empty: the one before the current one",
    ),
    "why": Param(type="string", minLength=5, title="Why", description="Kept in the table releases"),
    "confirm": Param(
        False,
        type="boolean",
        title="Confirmed",
        description="Ticked: done at once; else a person is asked for on the run's page (Required Actions)",
    ),
}

FORGET_FORM = {
    "request": Param(
        type="string",
        pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        title="Request",
        description="Its name, as `marquee forget` gave it. Never an id: Airflow keeps what is typed here",
    ),
}
