"""Score: the published lists of every user, by a pinned version of the registered model, into the lake.

The model's users are the users of the data that it was trained on; every one of them gets k items that they have not
rated, fewer only where the catalogue has no more. Users whom the model has nothing to tell by get popular items.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from expectations.contracts import RECOMMENDATIONS
from expectations.schema import spark_ddl
from marquee import registry
from marquee.errors import TrainingError
from marquee.lake.objects import Lake
from spark_jobs import job
from spark_jobs.lake_source import prepare_table
from spark_jobs.lists import Published
from spark_jobs.scoring import map_blocks
from spark_jobs.session import session


def main(argv: list[str]) -> int:
    arguments = job.parser(__doc__)
    arguments.add_argument("--model", required=True, help="name of the registered model")
    arguments.add_argument("--version", required=True, help="its version")
    arguments.add_argument("--k", required=True, type=int, help="recommendations for each user")
    arguments.add_argument("--batch", required=True, help="name under which the rows are prepared")
    return job.run(arguments.parse_args(argv), score)


def score(arguments: argparse.Namespace, lake: Lake) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="marquee-model-") as folder:
        files = registry.load_files(arguments.model, arguments.version, Path(folder))
    n_users, n_items = len(files.user_ids), len(files.item_ids)
    spark = session(f"score {arguments.model} {arguments.version}")
    shared, k = spark.sparkContext.broadcast(Published(files)), arguments.k

    def by_model(blocks: Iterator[np.ndarray]) -> Iterator[pa.RecordBatch]:
        published: Published = shared.value
        return published.by_model(blocks, k)

    def by_popularity(blocks: Iterator[np.ndarray]) -> Iterator[pa.RecordBatch]:
        published: Published = shared.value
        return published.by_popularity(blocks, k)

    is_cold = files.is_cold
    ddl = spark_ddl(RECOMMENDATIONS)
    lists = [
        map_blocks(spark, users, work, ddl)
        for users, work in ((np.flatnonzero(~is_cold), by_model), (np.flatnonzero(is_cold), by_popularity))
        if len(users)
    ]
    prepared = prepare_table(reduce(DataFrame.unionAll, lists), "recommendations", arguments.batch)
    n_unseen = n_items - np.diff(files.seen_indptr)
    due = int(np.minimum(n_unseen, k).sum())
    if prepared.rows != due:
        raise TrainingError(
            f"{prepared.rows:,} recommendations were written where {due:,} are due (k = {k} for each of {n_users:,} "
            "users, fewer where less is unseen): run the task again, and report this if it stays."
        )
    source = files.source
    job.say(f"{prepared.rows:,} recommendations for {n_users:,} users out of {n_items:,} items, from {source}")
    if n_cold := int(is_cold.sum()) if source != "popular" else 0:
        job.say(f"{n_cold:,} users have nothing that the model can tell them by, and get popular items")
    n_short = int((n_unseen < k).sum())
    if n_short:
        job.say(f"{n_short:,} users have fewer than {k} unseen items, and get those")
    return {"rows": prepared.rows, "users": n_users, "items": n_items, "source": source, "k": None if n_short else k}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
