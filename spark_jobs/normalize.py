"""Normalize: a raw batch to ratings, items, splits and quarantine, each row in exactly one of them.

Tasks read the batch's pieces side by side, check every row (`rules.py`), and send the accepted ones on by buckets of
users (`buckets.py`). Other tasks settle the buckets (`settling.py`), and write each as one sorted part, with its
profile and its witnesses for the validation. Nothing is committed here: validation comes first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession

from expectations.prepared import save_profile, save_witnesses
from marquee.buckets import buckets_for
from marquee.errors import DataError, LakeError
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.pieces import Piece, groups, pieces
from marquee.lake.raw import Manifest, read_manifest
from spark_jobs import job
from spark_jobs.buckets import SENT_DDL
from spark_jobs.catalogue import Aside, read_aside, with_unlisted
from spark_jobs.normalized import Result, check_enough_is_good, check_nothing_lost, collected
from spark_jobs.reading import read_pieces
from spark_jobs.session import session
from spark_jobs.settled_parts import settle_buckets, write_lost, write_refused

#: A packed byte is taken for so many unpacked ones.
UNPACKED = 4
#: Freed memory that a Python worker keeps for its next block (glibc; elsewhere nothing heeds it).
HELD_BYTES = 256 << 20
#: A few large values travel together, which are compressed already.
FRAMES = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4",
    "spark.shuffle.compress": "false",
    "spark.shuffle.spill.compress": "false",
    # Large blocks come and go: pages that go back to the system each time cost a quarter of a reading task.
    "spark.executorEnv.ARROW_DEFAULT_MEMORY_POOL": "system",
    "spark.executorEnv.MALLOC_MMAP_THRESHOLD_": str(HELD_BYTES),
    "spark.executorEnv.MALLOC_TRIM_THRESHOLD_": str(HELD_BYTES),
}


def main(argv: list[str]) -> int:
    arguments = job.parser(__doc__)
    arguments.add_argument("--batch", required=True, help="the raw batch: sha256 of the bytes, and how they are read")
    arguments.add_argument(
        "--max-quarantined", type=float, default=0.01, help="stop where a larger share of the ratings breaks a rule"
    )
    return job.run(arguments.parse_args(argv), normalize)


def normalize(arguments: argparse.Namespace, lake: Lake) -> dict[str, Any]:
    manifest = read_manifest(lake, arguments.batch)
    check_nobody_edits(manifest, manifest)
    found = pieces(manifest, "ratings")
    work = groups(found, manifest)
    n_buckets = buckets_for(sum(piece.size * (UNPACKED if is_packed(manifest, piece) else 1) for piece in found))
    job.say(f"{manifest.name}: {len(found):,} pieces in {len(work):,} tasks, {n_buckets} buckets")
    aside = read_aside(lake, manifest)
    spark = session(f"normalize {manifest.name}", FRAMES, has_lake_source=False)
    results = settled(spark, manifest, work, n_buckets, aside).persist(StorageLevel.MEMORY_AND_DISK)
    result = collected(results, manifest, aside)
    check_nothing_lost(result.counts)
    job.say(result.sentence())
    check_nobody_edits(manifest, read_manifest(lake, arguments.batch))
    save(lake, manifest, spark, results, result, aside, n_buckets)
    check_enough_is_good(result, manifest, arguments.max_quarantined)
    return {"batch": manifest.batch, "sha256": manifest.sha256, "source": manifest.reading.name, **result.counts}


def check_nobody_edits(before: Manifest, now: Manifest) -> None:
    """Stop where rows are being taken out of the raw files, or were in the meantime: lines were read that moved.

    Raises:
        LakeError: so it is (transient).
    """
    if now.files != before.files or any(not one.is_done for file in now.files for one in file.redactions):
        raise LakeError(
            f"Rows of batch {now.batch} are being forgotten (marquee forget --list): run this again when that is done.",
            is_transient=True,
        )


def is_packed(manifest: Manifest, piece: Piece) -> bool:
    member = manifest.members[piece.at]
    return bool(member.packing) or member.member is not None


def settled(
    spark: SparkSession, manifest: Manifest, work: list[list[Piece]], n_buckets: int, aside: Aside
) -> DataFrame:
    """What the settling tasks have to say: parts, profiles, witnesses, counts, and rows whose raw lines are wanted."""
    received_at = datetime.fromisoformat(manifest.received_at)
    known_items = aside.known_items(manifest)

    def read_them(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for at in batch.column(0).to_pylist():
                yield from read_pieces(manifest, work[at], at, n_buckets, received_at, known_items)

    def settle_them(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from settle_buckets(batches, manifest, work)

    tasks = spark.range(0, len(work), 1, numPartitions=len(work))
    sent = tasks.mapInArrow(read_them, SENT_DDL)
    return sent.repartitionById(n_buckets, "bucket").mapInArrow(settle_them, SENT_DDL)


def save(
    lake: Lake,
    manifest: Manifest,
    spark: SparkSession,
    results: DataFrame,
    result: Result,
    aside: Aside,
    n_buckets: int,
) -> None:
    """List the parts that the tasks wrote, write those of items and splits, and keep profile and witnesses."""
    batch = manifest.batch
    lost = write_lost(spark, results, manifest) if result.n_lost else []
    refused = write_refused(lake, manifest, aside.refused)
    quarantine = (*result.parts["quarantine"], *lost, *refused)
    written = sum(part.rows for part in quarantine)
    if written != result.counts["quarantined"]:
        raise DataError(
            f"Batch {batch}: {result.counts['quarantined']:,} rows were counted for quarantine, but {written:,} "
            "written: run the task again, and report this if it stays."
        )
    items = with_unlisted(aside.items, result.rated_items, manifest)
    for table, rows in (("items", items), ("splits", aside.splits)):
        parts = (tables.write_part(lake, table, batch, rows),) if rows.num_rows else ()
        tables.save_prepared(lake, tables.Prepared(table, batch, parts))
    tables.save_prepared(lake, tables.Prepared("quarantine", batch, tuple(quarantine)))
    save_witnesses(lake, "ratings", batch, result.witnesses)
    save_profile(lake, batch, result.profile)
    tables.save_prepared(lake, tables.Prepared("ratings", batch, tuple(result.parts["ratings"]), n_buckets))
    job.say(f"prepared {result.counts['ratings']:,} ratings, {items.num_rows:,} items, {written:,} quarantined rows")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
