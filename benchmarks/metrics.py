"""All metrics of a model at size: lists, comparison, AUC over the whole catalogue, in one pass on Spark.

    python -m benchmarks.metrics --users 1e6 --k 10
    python -m benchmarks.metrics --users 1e6 --k 10 --items 1e5 --runs 3

Factors of rank 16, a history of about 20 items and about 10 relevant items a user are generated (seeded, not timed).
`seconds` are those of `spark_jobs.evaluation.evaluate`, from arrays on the driver to figures, after a small one: making
the lists and the floor's lists, leaving out what was seen, every metric of every user at k, and AUC without sampling.
`intervals_s` are those of the bootstrap intervals of all metrics. `peak_rss_mb` is the highest sum of the resident
memory of all processes. The last line is one JSON object, with medians of the runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.ingest import saying
from benchmarks.local_spark import local_spark
from benchmarks.process_tree import PeakMemory

RANK, SEED = 16, 1


def main(argv: list[str]) -> int:
    given = arguments().parse_args(argv)
    users, items = int(given.users), int(given.items)
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="marquee-metrics-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        spark = local_spark(folder, memory="2g")
        once(spark, *made(2000, 500, given.k), k=given.k)
        with saying(f"generating {users:,} users and {items:,} items"):
            data = made(users, items, given.k)
        for _ in range(given.runs):
            with saying("evaluating"), PeakMemory(folder, with_own_tree=True) as peak:
                told = once(spark, *data, k=given.k)
            runs.append(told | {"peak_rss_mb": round(peak.rss_mb)})
            print(f"            {json.dumps(runs[-1])}", flush=True)
        spark.stop()
    names = runs[0]
    middle = {name: round(median(run[name] for run in runs), 2) for name in names}
    print(json.dumps({"users": users, "items": items, "k": given.k, **middle}))
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.metrics",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--users", type=float, default=1e6)
    parser.add_argument("--items", type=float, default=1e4)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1)
    return parser


def made(users: int, items: int, k: int):  # type: ignore[no-untyped-def]
    """A fitted model and an exam."""
    from marquee.metrics import Catalogue
    from spark_jobs.evaluation import Exam
    from spark_jobs.interactions import Seen
    from spark_jobs.models.base import Fitted

    rng = np.random.default_rng(SEED)
    factors = [rng.normal(size=(n, RANK)).astype(np.float32) for n in (users, items)]
    weight = np.cumsum(1.0 / (np.arange(items) + 20.0))

    def lists(mean: int, keep: np.ndarray | None = None) -> np.ndarray:
        drawn = np.searchsorted(weight, rng.random(users * mean) * weight[-1]).clip(max=items - 1)
        pairs = np.unique(np.repeat(np.arange(users), mean) * items + drawn)
        return pairs if keep is None else pairs[~np.isin(pairs, keep, assume_unique=True)]

    def csr(pairs: np.ndarray) -> Seen:
        counts = np.bincount(pairs // items, minlength=users)
        return Seen(np.concatenate(([0], np.cumsum(counts))), (pairs % items).astype(np.int32))

    seen = lists(20)
    wanted = lists(10, seen)
    catalogue = Catalogue(
        np.bincount(seen % items, minlength=items), users, (rng.random((items, 18)) < 0.1).astype(np.float32)
    )
    exam = Exam(np.arange(users), csr(wanted), csr(seen), catalogue, k, (k,))
    return Fitted("als", factors[0], factors[1]), exam


def once(spark, fitted, exam, *, k: int) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Seconds of one evaluation, and of the intervals of all its metrics."""
    from marquee.metrics import intervals
    from spark_jobs.evaluation import evaluate, figure_names

    begin = time.monotonic()
    evaluation = evaluate(spark, fitted, exam)
    seconds = time.monotonic() - begin
    begin = time.monotonic()
    found = intervals({name: evaluation.users[name].to_numpy() for name in figure_names(exam)}, seed=SEED)
    assert len(found) > 15 and found[f"ndcg_at_{k}"].n_users > 0
    return {"seconds": seconds, "intervals_s": time.monotonic() - begin}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
