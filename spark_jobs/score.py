"""Score: the published lists of every user, by a pinned version of the registered model, into the lake.

The model's users are the users of the data that it was trained on; every one of them gets k items that they have not
rated, fewer only where the catalogue has no more.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from expectations.contracts import RECOMMENDATIONS
from expectations.schema import arrow_schema, spark_ddl
from marquee import registry
from marquee.errors import TrainingError
from marquee.lake.objects import Lake
from spark_jobs import job
from spark_jobs.interactions import Seen
from spark_jobs.lake_source import prepare_table
from spark_jobs.models.base import Fitted
from spark_jobs.scoring import map_lists
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
    if files.user_factors is None or files.item_factors is None:
        fitted = Fitted(
            files.source, np.ones((n_users, 1), np.float32), files.n_ratings.astype(np.float32).reshape(-1, 1)
        )
    else:
        fitted = Fitted(files.source, files.user_factors, files.item_factors)
    spark = session(f"score {arguments.model} {arguments.version}")
    ids = spark.sparkContext.broadcast((files.user_ids, files.item_ids, files.titles))
    schema, source, k = arrow_schema(RECOMMENDATIONS), files.source, arguments.k

    def to_rows(users: np.ndarray, items: np.ndarray, scores: np.ndarray) -> pa.RecordBatch:
        user_ids, item_ids, titles = ids.value
        is_there = items.ravel() >= 0
        chosen = pa.array(items.ravel()[is_there])
        positions = np.tile(np.arange(1, k + 1), len(users))[is_there]
        columns = [
            user_ids.take(pa.array(np.repeat(users, k)[is_there])),
            pa.array(positions),
            item_ids.take(chosen),
            titles.take(chosen),
            pa.array(scores.ravel()[is_there]),
            pa.repeat(pa.scalar(source), int(is_there.sum())),
        ]
        return pa.RecordBatch.from_arrays(
            [column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
        )

    everybody = np.arange(n_users)
    seen = Seen(files.seen_indptr, files.seen_indices)
    lists = map_lists(spark, fitted, seen, everybody, k, to_rows, spark_ddl(RECOMMENDATIONS))
    prepared = prepare_table(lists, "recommendations", arguments.batch)
    n_unseen = n_items - np.diff(files.seen_indptr)
    due = int(np.minimum(n_unseen, k).sum())
    if prepared.rows != due:
        raise TrainingError(
            f"{prepared.rows:,} recommendations were written where {due:,} are due (k = {k} for each of {n_users:,} "
            "users, fewer where less is unseen): run the task again, and report this if it stays."
        )
    job.say(f"{prepared.rows:,} recommendations for {n_users:,} users out of {n_items:,} items, from {source}")
    n_short = int((n_unseen < k).sum())
    if n_short:
        job.say(f"{n_short:,} users have fewer than {k} unseen items, and get those")
    return {"rows": prepared.rows, "users": n_users, "items": n_items, "source": source, "k": None if n_short else k}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
