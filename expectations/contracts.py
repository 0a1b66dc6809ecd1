"""The contract of every table: columns, types, grain, keys, ranges. Everything else is derived from here.

Types are those that all rooms share: `string`, `long` (64 bit), `double`, `timestamp` (UTC, microseconds), and
`strings` (a list of strings), `boolean` and `reasons` (a list of records item_id string, title string, share double).
`docs/data-contract.md` is made from this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marquee.reasons import MAX_ID_LENGTH as MAX_ID_LENGTH
from marquee.reasons import REASONS as REASONS

Type = Literal["string", "long", "double", "timestamp", "strings", "boolean", "reasons"]

Severity = Literal["fatal", "warning"]

#: Share of the ratings read that may break a rule before a batch is refused; a run may set another.
MAX_QUARANTINED = 0.01
SOURCES = ("als", "popular")
#: As `marquee.metrics.segments` has them, which takes long to import.
USER_SEGMENTS = ("light", "medium", "heavy")


@dataclass(frozen=True)
class Column:
    """One column: its name, type, one line of meaning, and what its values may be."""

    name: str
    type: Type
    meaning: str
    is_nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table: its name, what a row is, the columns that tell rows apart (none: rows may be alike), all in order.

    `also_unique` lists further groups of columns that no two rows share; `min_rows` is the least that is a table;
    `partition` is a column of the Delta table that is in no part itself (a bucket: `marquee.buckets`).
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    also_unique: tuple[tuple[str, ...], ...] = ()
    min_rows: int = 1
    partition: str = ""

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class Drift:
    """A distance of a batch of ratings from the earlier ones; beyond `warn` it is recorded, beyond `stop` the run ends.

    Args:
        name: the number, as results name it.
        statistic: how it is computed.
        meaning: what it tells.
        warn: the largest value that goes without a word.
        stop: the largest value that does not end the run; None: no value does.
        min_rows: ratings that the batch and the earlier ones must each have for the number to say anything.
    """

    name: str
    statistic: str
    meaning: str
    warn: float
    stop: float | None = None
    min_rows: int = 1


USER_ID = Column("user_id", "string", "the user, as the source spells it", min_length=1, max_length=MAX_ID_LENGTH)
ITEM_ID = Column("item_id", "string", "the item, as the source spells it", min_length=1, max_length=MAX_ID_LENGTH)
SOURCE_SHA256 = Column(
    "source_sha256", "string", "sha256 of the raw batch that the row came in", min_length=64, max_length=64
)
SOURCE_FILE = Column("source_file", "string", "file of that batch", min_length=1)
SOURCE_LINE = Column("source_line", "long", "line of that file, the first is 1", minimum=1)
TITLE = Column("title", "string", "the item's title; the item's id where the source has none", min_length=1)
POSITION = Column("position", "long", "place in the list, the first is 1", minimum=1)
MODEL_NAME = Column("model_name", "string", "the registered model in MLflow")
MODEL_VERSION = Column("model_version", "string", "its version")
MLFLOW_RUN_ID = Column("mlflow_run_id", "string", "the MLflow run that trained it")

RATINGS = Table(
    name="ratings",
    grain="the latest rating of an item by a user",
    key=("user_id", "item_id"),
    columns=(
        USER_ID,
        ITEM_ID,
        Column("rating", "double", "the rating, on the source's own scale; 1 where the source has none"),
        Column("rated_at", "timestamp", "when it was given, UTC; null where the source has no times", is_nullable=True),
        SOURCE_SHA256,
        SOURCE_FILE,
        SOURCE_LINE,
    ),
    partition="bucket",
)

ITEMS = Table(
    name="items",
    grain="an item of the catalogue",
    key=("item_id",),
    columns=(
        ITEM_ID,
        TITLE,
        Column("genres", "strings", "genres of the item; empty where the source has none"),
        Column("is_listed", "boolean", "whether a catalogue lists it; else it was only rated, and its title is its id"),
        SOURCE_SHA256,
        SOURCE_FILE,
        SOURCE_LINE,
    ),
)

SPLITS = Table(
    name="splits",
    grain="a pair of user and item that a published split puts aside",
    key=("split", "user_id", "item_id"),
    columns=(
        Column("split", "string", "name of the split, as probe or u1", min_length=1),
        USER_ID,
        ITEM_ID,
        SOURCE_SHA256,
        SOURCE_FILE,
        SOURCE_LINE,
    ),
    min_rows=0,
)

# Where others draw the line. Evidently: a column has drifted from a PSI or a Jensen-Shannon distance of 0.1 on. Credit
# scoring, where the PSI comes from: 0.1 is a moderate, 0.25 a major shift. whylogs: a Hellinger distance over 0.15 is a
# possible, over 0.4 a certain drift. TFDV has no default, its guide takes 0.01 for L-infinity. deequ's example lets the
# number of rows double. All these watch features whose distribution should not move.
#
# Ratings do move, and honestly. In MovieLens latest-small, each year against those before it (1,000 ratings and more)
# has a PSI of 0.01 to 0.9 and a distance of 0.05 to 0.4, but 2.1 and 0.5 where half stars are new; all years to 2002
# against all after them: 3.2 and 0.51. A batch on another scale (1 to 10 after 1 to 5, likes after stars, all ratings
# alike) has a PSI of 8 and more, a distance of 0.84 and more. So warnings stand near the usual lines, and a run ends
# only beyond what honest data does.
DRIFTS = (
    Drift(
        "volume_factor",
        "rows of the batch by the median of the earlier batches' rows, or the inverse where that is above 1",
        "a batch that is far smaller or larger than usual",
        warn=10,
    ),
    Drift(
        "share_of_new_users",
        "share of the batch's users that table ratings does not have",
        "close to 1: the ids may be spelled in another way than before",
        warn=0.95,
        min_rows=100,
    ),
    Drift(
        "share_of_new_items",
        "share of the batch's items that table items does not have",
        "close to 1: another catalogue, or ids spelled in another way than before",
        warn=0.5,
        min_rows=100,
    ),
    Drift(
        "rating_mean_shift",
        "distance of the mean ratings, in standard deviations of the earlier ratings",
        "another scale, or other habits of rating",
        warn=0.5,
        stop=2,
        min_rows=1000,
    ),
    Drift(
        "rating_psi",
        "population stability index of the ratings' histograms",
        "ratings that are spread in another way; sum of (p - q) ln(p / q) over the bars, empty ones taken as 0.0001",
        warn=0.25,
        stop=5,
        min_rows=1000,
    ),
    Drift(
        "rating_js_distance",
        "Jensen-Shannon distance of the ratings' histograms",
        "the same between 0 (alike) and 1 (nothing in common), to the base 2; rare ratings weigh little",
        warn=0.3,
        stop=0.75,
        min_rows=1000,
    ),
    Drift(
        "shift_without_time",
        "distance of the shares of ratings that have no time",
        "a batch without times beside others that have them: a split by time leaves it on one side",
        warn=0.01,
    ),
    Drift(
        "time_gap_days",
        "days between the times of the batch and those of the earlier ones",
        "a batch is missing in between, or the unit of the times is another one",
        warn=366,
    ),
    Drift(
        "time_overlap",
        "share of the batch's time span that the earlier ones cover",
        "ratings that come late, or again: a correction, or a file taken in before; not for a batch that replaces",
        warn=0.5,
    ),
)

QUARANTINE = Table(
    name="quarantine",
    grain="a row that was read and not accepted",
    key=(),  # a basket's line may hold the same fault twice
    columns=(
        SOURCE_SHA256,
        SOURCE_FILE,
        SOURCE_LINE,
        Column("kind", "string", "what the row was to become", allowed=("ratings", "items", "splits")),
        Column("reason", "string", "code of the reason", allowed=tuple(reason.code for reason in REASONS)),
        Column("sentence", "string", "the reason in words, with column and value"),
        Column("raw", "string", "the line as it was received; bytes that are no text as \\xNN"),
    ),
    min_rows=0,
)

DATA_QUALITY = Table(
    name="data_quality",
    grain="an expectation about a table of a batch, and how it fared",
    key=("batch", "table_name", "expectation", "column_name", "severity"),
    columns=(
        Column("batch", "string", "the batch: sha256 of the raw bytes, and how they were read"),
        Column("table_name", "string", "the table that the expectation is about"),
        Column("expectation", "string", "Great Expectations' name for it"),
        Column("column_name", "string", "the column, or the number about the whole table; empty for all columns"),
        Column("severity", "string", "fatal stops the run, warning is recorded", allowed=("fatal", "warning")),
        Column("is_met", "boolean", "whether it holds"),
        Column("n_rows", "long", "rows of the table in the batch", minimum=0),
        Column("unexpected_count", "long", "rows, columns or findings that break it", minimum=0),
        Column("observed", "string", "the number found, where it is about the whole table; else empty"),
        Column("sentence", "string", "the expectation in words, and where it is broken, with examples"),
        Column("run_id", "string", "the Airflow run that looked"),
        Column("checked_at", "timestamp", "when that run was asked for, UTC"),
    ),
    min_rows=0,
)

RECOMMENDATIONS = Table(
    name="recommendations",
    grain="a recommended item at a position of a user's list",
    key=("user_id", "position"),
    columns=(
        USER_ID,
        POSITION,
        ITEM_ID,
        TITLE,
        Column("score", "double", "the model's score; falls along the list, comparable within one list only"),
        Column("source", "string", "what made the row: als or popular", allowed=SOURCES),
        Column(
            "because",
            "reasons",
            "up to three items that the user has rated, with their share of the score (a part of 1), highest first; "
            "empty where the source is popular",
        ),
    ),
    also_unique=(("user_id", "item_id"),),
)

SIMILAR_ITEMS = Table(
    name="similar_items",
    grain="an item at a position of another item's list",
    key=("item_id", "position"),
    columns=(
        ITEM_ID,
        POSITION,
        Column("similar_item_id", "string", "an item that the same people like", min_length=1),
        Column("title", "string", "title of the similar item", min_length=1),
        Column("similarity", "double", "cosine of the two items' factors; falls along the list", maximum=1.001),
    ),
    also_unique=(("item_id", "similar_item_id"),),
    min_rows=0,
)

POPULAR_ITEMS = Table(
    name="popular_items",
    grain="an item at a position of a list of most rated items",
    key=("scope", "position"),
    columns=(
        Column("scope", "string", "overall, genre:NAME, or recent (the latest tenth of the ratings)"),
        POSITION,
        ITEM_ID,
        TITLE,
        Column("n_ratings", "long", "ratings of the item within the scope", minimum=0),
    ),
    also_unique=(("scope", "item_id"),),
)

USERS = Table(
    name="users",
    grain="a user of the data",
    key=("user_id",),
    columns=(
        USER_ID,
        Column("n_ratings", "long", "items that the user has rated", minimum=0),
        Column("segment", "string", "third of the users by n_ratings", allowed=USER_SEGMENTS),
        Column(
            "is_cold",
            "boolean",
            "whether the model has nothing to tell the user by: the list is the popular one",
        ),
    ),
)

PLACES = Table(
    name="places",
    grain="every 4096th row of recommendations, by which readers find lists",
    key=("first_row",),
    columns=(Column("first_row", "long", "rowid in recommendations", minimum=0), USER_ID),
)

CLUSTERS = Table(
    name="clusters",
    grain="an item or a user, and the cluster it is in",
    key=("kind", "id"),
    columns=(
        Column("kind", "string", "what it is: item or user", allowed=("item", "user")),
        Column("id", "string", "its item_id or user_id", min_length=1, max_length=MAX_ID_LENGTH),
        Column("cluster", "long", "number of the cluster within its kind, the largest is 1", minimum=1),
        Column("name", "string", "genres that the cluster has more of than all have; else cluster and its number"),
        Column("x", "double", "place on a map of all items and users, from left to right"),
        Column("y", "double", "place on that map, from bottom to top"),
    ),
    min_rows=0,
)

MODEL_CARD = Table(
    name="model_card",
    grain="the model's page",
    key=("model_name",),
    columns=(MODEL_NAME, MODEL_VERSION, Column("card", "string", "the version's page in MLflow, as Markdown")),
)

EVALUATION = Table(
    name="evaluation",
    grain="a metric of a candidate of the training that the model comes from",
    key=("candidate", "metric"),
    columns=(
        Column("candidate", "string", "name of the candidate", min_length=1),
        Column("mlflow_run_id", "string", "its MLflow run; empty for a floor that was computed beside the model alone"),
        Column("metric", "string", "name of the metric, as ndcg_at_10", min_length=1),
        Column("value", "double", "its value on the test side of the split"),
        Column("low", "double", "low end of its 95 % interval over users; null where it has none", is_nullable=True),
        Column("high", "double", "high end of that interval; null where it has none", is_nullable=True),
        Column("is_champion", "boolean", "whether this release is made by this candidate"),
        Column("is_floor", "boolean", "whether it is popularity, the floor"),
    ),
)

RELEASE = Table(
    name="release",
    grain="this release: where every row of its tables comes from",
    key=("release_id",),
    columns=(
        Column("release_id", "string", "the release, as its file is named"),
        Column("created_at", "timestamp", "when it was asked for, UTC"),
        Column(
            "trained_at", "timestamp", "when the model's run in MLflow ended, UTC; null if unknown", is_nullable=True
        ),
        MODEL_NAME,
        MODEL_VERSION,
        MLFLOW_RUN_ID,
        Column("ratings_version", "long", "version of the table ratings that it was trained on", minimum=0),
        Column("items_version", "long", "version of the table items", minimum=0),
        Column("recommendations_version", "long", "version of the table recommendations in the lake", minimum=0),
        Column("raw_sha256", "strings", "sha256 of each raw batch in that version of ratings"),
        Column("ingest_run_ids", "strings", "the Airflow run that took each of those batches in"),
        Column("train_run_id", "string", "the Airflow run that trained the model"),
        Column("publish_run_id", "string", "the Airflow run that published the release"),
        Column("is_generated", "boolean", "whether any of the data was generated, not observed"),
        Column("k", "long", "length of a list", minimum=1),
        Column("n_users", "long", "users with a list", minimum=1),
        Column("n_items", "long", "items of the catalogue", minimum=1),
        Column("marquee_version", "string", "version of the program that published it"),
        Column("code_sha256", "string", "sha256 of that program's files"),
    ),
)

DECISIONS = Table(
    name="decisions",
    grain="a decision of the gate, or of a person, about the champion",
    key=("decision_id",),
    columns=(
        Column("decision_id", "string", "the Airflow run that decided", min_length=1),
        Column("decided_at", "timestamp", "when, UTC"),
        Column(
            "action",
            "string",
            "what was decided",
            allowed=("promote", "refresh", "floor", "keep", "late", "overrule"),
        ),
        MODEL_NAME,
        Column("champion_version", "string", "version that is champion from then on; empty where there is none"),
        Column("champion_before", "string", "version that was champion before; empty where there was none"),
        Column("challenger_version", "string", "version of the best of the others; empty where there is none"),
        Column("name", "string", "candidate that becomes champion; empty where the champion stays as it is"),
        Column("mlflow_run_id", "string", "its MLflow run"),
        Column("metric", "string", "what candidates were compared by, as ndcg_at_10"),
        Column("n_users", "long", "users who were judged", minimum=0),
        Column("reason", "string", "why, in words", min_length=1),
        Column("decided_by", "string", "gate, or the person who overruled it", min_length=1),
        Column("verdicts", "string", "JSON: what was found of every candidate, with intervals and broken guards"),
    ),
)

RELEASES = Table(
    name="releases",
    grain="an action on a release: the ledger that link and alias follow",
    key=("sequence",),
    columns=(
        Column("sequence", "long", "place in the order of the actions, the first is 1", minimum=1),
        Column("action_id", "string", "the Airflow run or the command that did it", min_length=1),
        Column(
            "action",
            "string",
            "what was done; allow lets a version be published again that was rolled back",
            allowed=("publish", "rollback", "pin", "unpin", "remove", "allow"),
        ),
        Column("release_id", "string", "the release; after publish and rollback it is current; empty for allow"),
        MODEL_NAME,
        MODEL_VERSION,
        Column("who", "string", "the person, schedule or retention", min_length=1),
        Column("why", "string", "in words; may be empty but for rollback and allow"),
        Column("at", "timestamp", "when it was asked for, UTC"),
        Column("previous_release_id", "string", "release that was current before; empty where there was none"),
        Column("fence", "long", "number of the lease that it was done under; never falls", minimum=1),
        Column(
            "decisions_version",
            "long",
            "version of the table decisions that was newest then: a later one may set another champion; -1: none",
            minimum=-1,
        ),
        Column(
            "jaccard", "double", "mean Jaccard of its lists with the previous release's", is_nullable=True, minimum=0
        ),
        Column("rbo", "double", "mean rank-biased overlap of the same, p = 0.9", is_nullable=True, minimum=0),
    ),
)

TABLES = {
    table.name: table
    for table in (
        RATINGS,
        ITEMS,
        SPLITS,
        QUARANTINE,
        DATA_QUALITY,
        DECISIONS,
        RELEASES,
        RECOMMENDATIONS,
        SIMILAR_ITEMS,
        POPULAR_ITEMS,
        USERS,
        PLACES,
        CLUSTERS,
        MODEL_CARD,
        EVALUATION,
        RELEASE,
    )
}
