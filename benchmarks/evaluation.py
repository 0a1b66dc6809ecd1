"""Models beside each other on MovieLens, under the gate's split and under the one that papers use, with intervals.

    python -m benchmarks.evaluation --data FOLDER
    python -m benchmarks.evaluation --data FOLDER --sets ml-100k --protocols random --seeds 5 --trials 60

FOLDER holds `ml-100k/u.data` and `ml-latest-small/ratings.csv`, as GroupLens packs them (grouplens.org/datasets).
Models: the popularity floor; Spark ML with the usual tutorial's explicit feedback, and with implicit feedback; and
ours, implicit, tuned on the train side alone (`marquee.tuning`, on a further split of it by the same protocol).
Protocols: `time`, the latest 20 % of the ratings; `random`, 25 % within each item, as the benchmark of
recommenders-team/recommenders has it. Every test rating is relevant, whatever its value; the lists are over the full
catalogue without the train items; figures are means over users whom the train side knows, and 95 % bootstrap intervals
over them. Several seeds are several random splits: a user's figure is then the mean of that user's over the splits.

The last line is one JSON object: {"tables": [{"data", "protocol", "n_users", "models": [{"name", "ndcg_at_10", "low",
"high", ...}]}]}.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.ingest import saying
from benchmarks.local_spark import local_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from marquee.splits import Split
    from spark_jobs.interactions import Collected

SETS, PROTOCOLS = ("ml-100k", "ml-latest-small"), ("time", "random")
K, SEED = 10, 42
SHOWN = ("recall", "precision", "map", "mrr", "hit_rate", "coverage", "novelty", "long_tail")


def main(argv: list[str]) -> int:
    given = arguments().parse_args(argv)
    tables = []
    with tempfile.TemporaryDirectory(prefix="marquee-evaluation-", ignore_cleanup_errors=True) as name:
        spark = local_spark(Path(name), memory="2g")
        for data in given.sets.split(","):
            ratings = read(given.data / data)
            for protocol in given.protocols.split(","):
                with saying(f"{data}, {protocol}"):
                    tables.append(measured(spark, data, ratings, protocol, given))
                print(shown(tables[-1]), flush=True)
        spark.stop()
    print(json.dumps({"tables": tables}))
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--protocols", default=",".join(PROTOCOLS))
    parser.add_argument("--seeds", type=int, default=5, help="random splits of the protocol random")
    parser.add_argument("--trials", type=int, default=40, help="budget of the search")
    return parser


def read(folder: Path) -> Collected:
    """The ratings of a data set of MovieLens."""
    import pandas as pd

    from spark_jobs.interactions import Collected, Index

    if (folder / "u.data").exists():
        table = pd.read_csv(folder / "u.data", sep="\t", names=["user", "item", "rating", "at"])
    elif (folder / "ratings.csv").exists():
        table = pd.read_csv(folder / "ratings.csv", header=0, names=["user", "item", "rating", "at"])
    else:
        raise SystemExit(f"{folder} holds neither u.data nor ratings.csv: unpack the data set there.")
    users, user = np.unique(table["user"].astype(str), return_inverse=True)
    items, item = np.unique(table["item"].astype(str), return_inverse=True)
    return Collected(
        Index(pa.array(users), pa.array(items)),
        user.astype(np.int32),
        item.astype(np.int32),
        table["rating"].to_numpy(np.float64),
        table["at"].to_numpy(np.int64) * 1_000_000,
    )


def measured(
    spark: SparkSession, data: str, ratings: Collected, protocol: str, given: argparse.Namespace
) -> dict[str, Any]:
    """A table: every model on the same splits."""
    seeds = range(SEED, SEED + (given.seeds if protocol == "random" else 1))
    runs: dict[str, list[tuple[pa.Table, float]]] = {}
    tuned = None
    for seed in seeds:
        split = split_of(ratings, protocol, seed)
        if tuned is None:
            tuned = searched(spark, ratings, split, protocol, given.trials)
        for name, model in models(tuned):
            runs.setdefault(name, []).append(judged(spark, ratings, split, model))
    told = []
    for name, of_model in runs.items():
        figures = summed_up(of_model)
        told.append({"name": name} | figures | ({"params": tuned} if name == "als-implicit-tuned" else {}))
    n_users = max(one.pop("n_users") for one in told)
    return {"data": data, "protocol": protocol, "seeds": len(seeds), "n_users": n_users, "models": told}


def summed_up(runs: list[tuple[pa.Table, float]]) -> dict[str, Any]:
    """Means over users of their means over the splits, the interval of nDCG, and the mean coverage."""
    from marquee.metrics import interval

    users = pa.concat_tables([users for users, _ in runs])
    metrics = [name for name in users.column_names if name != "user_index"]
    means = users.group_by("user_index").aggregate([(name, "mean") for name in metrics])
    of_ndcg = interval(means[f"ndcg_at_{K}_mean"].to_numpy(), seed=SEED)
    figures = {name: round(float(np.nanmean(means[f"{name}_mean"].to_numpy())), 4) for name in metrics}
    figures[f"coverage_at_{K}"] = round(float(np.mean([coverage for _, coverage in runs])), 4)
    return figures | {"low": round(of_ndcg.low, 4), "high": round(of_ndcg.high, 4), "n_users": of_ndcg.n_users}


def split_of(ratings: Collected, protocol: str, seed: int) -> Split:
    from marquee.splits import border, by_time, random_within

    if protocol == "time":
        return by_time(ratings.rated_at, border(ratings.rated_at, 0.2))
    return random_within(ratings.user_index, ratings.item_index, 0.25, seed, within="item")


def models(tuned: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    from spark_jobs.models import recommender

    shared = {"rank": 10, "iterations": 15, "seed": SEED}
    yield "popular", recommender("popular", {})
    yield "spark-als-explicit", recommender("spark-als", {**shared, "regularization": 0.05, "implicit": False})
    yield "spark-als-implicit", recommender("spark-als", {**shared, "regularization": 0.1, "alpha": 1.0})
    yield "als-implicit-tuned", recommender("als", tuned)


def searched(spark: SparkSession, ratings: Collected, split: Split, protocol: str, trials: int) -> dict[str, Any]:
    """Parameters by a search on the train side alone."""
    from marquee.tuning import Budget, search
    from spark_jobs.models import recommender

    known = ratings.where(split.is_train)
    inner = split_of(known, protocol, SEED)

    def judge(params: dict[str, Any]) -> float:
        return float(summed_up([judged(spark, known, inner, recommender("als", params))])[f"ndcg_at_{K}"])

    return search(judge, implicit=True, budget=Budget(trials), seed=SEED).params


def judged(spark: SparkSession, ratings: Collected, split: Split, model: Any) -> tuple[pa.Table, float]:
    """Each user's figures by a model, and the share of the catalogue that its lists hold."""
    from spark_jobs.evaluation import evaluate
    from spark_jobs.exams import exam_of

    exam = replace(exam_of(ratings, split, None, K), ks=(K,))
    evaluation = evaluate(spark, model.fit(ratings.interactions(spark, split.is_train)), exam)
    columns = ["user_index", *(f"{name}_at_{K}" for name in ("ndcg", *SHOWN) if name != "coverage")]
    return evaluation.users.select(columns), evaluation.figures[f"coverage_at_{K}"]


def shown(table: dict[str, Any]) -> str:
    """A table as text."""
    lines = [f"{table['data']}, {table['protocol']}, {table['n_users']} users, {table['seeds']} split(s)"]
    for one in table["models"]:
        lines.append(
            f"  {one['name']:<20} nDCG@{K} {one[f'ndcg_at_{K}']:.4f} [{one['low']:.4f}, {one['high']:.4f}]  "
            + "  ".join(f"{name} {one[f'{name}_at_{K}']:.4f}" for name in SHOWN)
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
