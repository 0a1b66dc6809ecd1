"""Normalize: a raw batch to ratings, items and quarantine, each row in exactly one of them.

Reads the members of `raw/<sha256>/`, applies the rules of its format, keeps the latest rating of each user and item,
and prepares the parts of the tables. Nothing is committed here: validation comes first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from expectations.contracts import QUARANTINE
from marquee.errors import DataError
from marquee.lake.objects import Lake
from marquee.lake.raw import Manifest, Member, open_member, read_manifest
from spark_jobs import job
from spark_jobs.formats import READERS
from spark_jobs.formats.rows import PARSED_DDL, Received
from spark_jobs.lake_source import prepare_table
from spark_jobs.session import session

SUPERSEDED = "superseded"
EXAMPLES = 3


@dataclass(frozen=True)
class Normalized:
    """The three tables of a batch; together they hold every row that was read."""

    ratings: DataFrame
    items: DataFrame
    quarantine: DataFrame


def main(argv: list[str]) -> int:
    arguments = job.parser(__doc__)
    arguments.add_argument("--sha256", required=True, help="the raw batch")
    arguments.add_argument(
        "--max-quarantined", type=float, default=0.01, help="stop where a larger share of the ratings breaks a rule"
    )
    return job.run(arguments.parse_args(argv), normalize)


def normalize(arguments: argparse.Namespace, lake: Lake) -> dict[str, Any]:
    manifest = read_manifest(lake, arguments.sha256)
    spark = session(f"normalize {manifest.name}")
    ruled = keep_latest(read_batch(spark, manifest)).persist(StorageLevel.MEMORY_AND_DISK)
    counts = count(ruled)
    check_nothing_lost(counts)
    job.say(
        f"read {counts['read']:,} rows: {counts['ratings']:,} ratings and {counts['items']:,} items accepted, "
        f"{counts['quarantined']:,} quarantined {json.dumps(counts['reasons'])}"
    )
    check_enough_is_good(ruled, counts, manifest, arguments.max_quarantined)
    tables = split(ruled)
    prepared = {
        name: prepare_table(frame, name, manifest.sha256).rows
        for name, frame in (("ratings", tables.ratings), ("items", tables.items), ("quarantine", tables.quarantine))
    }
    # Counted once by the readers and once by what lies in the lake: the two must agree.
    if prepared["ratings"] != counts["ratings"] or prepared["quarantine"] != counts["quarantined"]:
        raise DataError(
            f"Batch {manifest.sha256}: {counts['ratings']} ratings and {counts['quarantined']} quarantined rows were "
            f"counted, but {prepared['ratings']} and {prepared['quarantine']} written: run the task again, and report "
            "this if it stays."
        )
    job.say(
        f"prepared {prepared['ratings']:,} ratings, {prepared['items']:,} items, {prepared['quarantine']:,} "
        "quarantined rows"
    )
    return {"sha256": manifest.sha256, "format": manifest.format, **counts, "items_prepared": prepared["items"]}


def read_batch(spark: SparkSession, manifest: Manifest) -> DataFrame:
    """All rows of the batch, checked one by one; a task reads one file."""
    received = datetime.fromisoformat(manifest.received_at)

    def read_members(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        lake = Lake.from_environment()
        for batch in batches:
            for row in batch.to_pylist():
                member = Member(**json.loads(row["member"]))
                read = READERS[manifest.format, member.table]
                with open_member(lake, manifest, member) as stream:
                    yield from read(stream, Received(manifest.sha256, member.name, received))

    members = [(json.dumps(vars(member)),) for member in manifest.members]
    frame = spark.createDataFrame(members, "member string").repartition(len(members))
    return frame.mapInArrow(read_members, PARSED_DDL)


def keep_latest(parsed: DataFrame) -> DataFrame:
    """Of several ratings of an item by a user the latest stays, of several lines of an item the last; mark the rest."""
    is_accepted = F.col("reason").isNull() & (F.col("kind") != "count")
    same_thing = Window.partitionBy("kind", "user_id", "item_id", is_accepted).orderBy(
        F.col("rated_at").desc(), F.col("source_line").desc(), F.col("source_file").desc()
    )
    is_superseded = is_accepted & (F.col("place") > 1)
    line = F.col("latest_line").cast("string")
    return (
        parsed.withColumn("place", F.row_number().over(same_thing))
        .withColumn("latest_line", F.first("source_line").over(same_thing))
        .withColumn("reason", F.when(is_superseded, F.lit(SUPERSEDED)).otherwise(F.col("reason")))
        .withColumn(
            "sentence",
            F.when(is_superseded, F.concat(F.lit("the same user and item come later, in line "), line)).otherwise(
                F.col("sentence")
            ),
        )
        .drop("place", "latest_line")
    )


def split(ruled: DataFrame) -> Normalized:
    """The three tables; an item that is rated but not listed gets its id as its title."""
    rows = ruled.filter(F.col("kind") != "count")
    accepted = rows.filter(F.col("reason").isNull())
    ratings = accepted.filter(F.col("kind") == "ratings").select(
        "user_id", "item_id", "rating", "rated_at", "source_sha256", "source_file", "source_line"
    )
    item_columns = ("item_id", "title", "genres", "source_sha256", "source_file", "source_line")
    listed = accepted.filter(F.col("kind") == "items").select(*item_columns)
    unlisted = (
        ratings.join(listed.select("item_id"), on="item_id", how="left_anti")
        .groupBy("item_id")
        .agg(F.min(F.struct("source_line", "source_sha256", "source_file")).alias("first"))
        .select(
            "item_id",
            F.col("item_id").alias("title"),
            F.array().cast("array<string>").alias("genres"),
            *(F.col(f"first.{name}").alias(name) for name in ("source_sha256", "source_file", "source_line")),
        )
    )
    quarantine = rows.filter(F.col("reason").isNotNull()).select(*QUARANTINE.column_names)
    return Normalized(ratings, listed.unionByName(unlisted), quarantine)


def count(ruled: DataFrame) -> dict[str, Any]:
    """Rows read, accepted and quarantined by reason, as plain numbers."""
    amount = F.sum(F.when(F.col("kind") == "count", F.col("source_line")).otherwise(1))
    found = ruled.groupBy("kind", "reason").agg(amount.alias("n")).collect()
    by = {(row["kind"], row["reason"]): int(row["n"]) for row in found}
    reasons: dict[str, int] = {}
    for (_, reason), n in by.items():
        if reason is not None:
            reasons[reason] = reasons.get(reason, 0) + n
    return {
        "read": by.get(("count", None), 0),
        "ratings": by.get(("ratings", None), 0),
        "items": by.get(("items", None), 0),
        "quarantined": sum(reasons.values()),
        "bad_ratings": sum(
            n for (kind, reason), n in by.items() if kind == "ratings" and reason not in (None, SUPERSEDED)
        ),
        "reasons": dict(sorted(reasons.items())),
    }


def check_nothing_lost(counts: dict[str, Any]) -> None:
    """Accepted + quarantined = read, always."""
    if counts["ratings"] + counts["items"] + counts["quarantined"] != counts["read"]:
        raise DataError(
            f"{counts['read']} rows were read, but {counts['ratings']} + {counts['items']} accepted and "
            f"{counts['quarantined']} quarantined: rows got lost; run the task again, and report this if it stays."
        )


def check_enough_is_good(ruled: DataFrame, counts: dict[str, Any], manifest: Manifest, allowed: float) -> None:
    """Stop where there is nothing to learn from, or where so much is bad that the file is not what it is taken for."""
    if counts["ratings"] + counts["bad_ratings"] == 0:
        raise DataError(
            f"{manifest.name} holds no ratings (format {manifest.format}): check that it is the right file."
        )
    share = counts["bad_ratings"] / (counts["ratings"] + counts["bad_ratings"])
    if share <= allowed:
        return
    is_bad = (F.col("kind") == "ratings") & F.col("reason").isNotNull() & (F.col("reason") != SUPERSEDED)
    examples = ruled.filter(is_bad).orderBy("source_file", "source_line").limit(EXAMPLES).collect()
    shown = "; ".join(f"{row['source_file']}, line {row['source_line']}: {row['sentence']}" for row in examples)
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in counts["reasons"].items() if reason != SUPERSEDED)
    n_bad, n_all = counts["bad_ratings"], counts["ratings"] + counts["bad_ratings"]
    raise DataError(
        f"{n_bad:,} of {n_all:,} ratings ({share:.1%}) break a rule, more than the {allowed:.1%} allowed ({reasons}): "
        f"{shown}. Mend the file and ingest it again, or allow more with the parameter max_quarantined."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
