"""Candidate: train one configured model, evaluate it beside the popularity floor, and keep it as an MLflow run.

The ratings of the pinned snapshot are split at its border in time. The model learns from what was rated before it, and
is compared with what was rated from it on; then it learns from everything, and that fit is what the run keeps as its
model. A run that is finished for the same inputs is found again by its key, and nothing is trained twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from marquee import __version__, lineage, plots, registry
from marquee.errors import TrainingError
from marquee.lake.objects import Lake
from marquee.recommender_files import RecommenderFiles
from marquee.splits.by_time import describe
from spark_jobs import job
from spark_jobs.evaluation import Evaluation, HeldOut, evaluate, rating_error
from spark_jobs.interactions import Collected, Index, Seen, collect, read_ratings, seen_of
from spark_jobs.lake_source import read_table
from spark_jobs.models import recommender
from spark_jobs.models.base import Fitted, Recommender
from spark_jobs.models.popular import Popular
from spark_jobs.session import session

KS = (1, 5, 10, 20, 50)


@dataclass(frozen=True)
class Sides:
    """The two sides of the split.

    Attributes:
        is_train, is_warm: bool of shape (n_ratings,): the train side; the test side's known users and items.
        train_seen: the items of each user on the train side.
        held_out: what the users of the test side did, of those whom the train side knows.
        counts: sizes, as metrics of the run.
    """

    is_train: np.ndarray
    is_warm: np.ndarray
    train_seen: Seen
    held_out: HeldOut
    counts: dict[str, int]


def main(argv: list[str]) -> int:
    arguments = job.parser(__doc__)
    arguments.add_argument("--candidate", required=True, type=json.loads, help='JSON: {"name", "model", "params"}')
    arguments.add_argument("--snapshot", required=True, type=json.loads, help="JSON of the pinned data and the split")
    arguments.add_argument("--experiment", required=True, help="MLflow experiment of the run")
    arguments.add_argument(
        "--tags", default={}, type=json.loads, help="JSON: tags of the MLflow run, as the Airflow run's id"
    )
    return job.run(arguments.parse_args(argv), train_candidate)


def train_candidate(arguments: argparse.Namespace, lake: Lake) -> dict[str, Any]:
    candidate, snapshot = arguments.candidate, arguments.snapshot
    key = key_of(candidate, snapshot)
    found = registry.find_candidate(arguments.experiment, key)
    if found is not None:
        job.say(f"{candidate['name']} was trained on this snapshot before: MLflow run {found.run_id}")
        return result(candidate, found.run_id, found.metrics)
    model = recommender(candidate["model"], candidate.get("params", {}))
    spark = session(f"candidate {candidate['name']}")
    ratings = collect(read_ratings(spark, snapshot["ratings_version"]))
    sides = split(ratings, snapshot["border"])
    job.say(", ".join(f"{name} {n:,}" for name, n in sides.counts.items()))

    metrics, pictures = judge(spark, candidate, model, ratings, sides, snapshot["k"])
    files, history = learn_all(spark, model, ratings, titles_of(spark, ratings.index, snapshot["items_version"]))
    run_id = registry.log_candidate(
        experiment=arguments.experiment,
        key=key,
        name=candidate["name"],
        params={
            "model": candidate["model"],
            **candidate.get("params", {}),
            "k": snapshot["k"],
            "test_share": snapshot["test_share"],
        },
        metrics=metrics,
        figures=pictures,
        tags={
            **arguments.tags,
            lineage.SNAPSHOT_TAG: json.dumps(snapshot, sort_keys=True),
            registry.CANDIDATE_TAG: json.dumps(candidate, sort_keys=True),
            "marquee.version": __version__,
        },
        files=files,
        history=history,
    )
    job.say(f"kept as MLflow run {run_id}")
    return result(candidate, run_id, metrics)


def result(candidate: dict[str, Any], run_id: str, metrics: dict[str, float]) -> dict[str, Any]:
    """What the gate needs to know of a candidate."""
    return {"name": candidate["name"], "run_id": run_id, "metrics": metrics, "is_floor": is_floor(candidate)}


def judge(
    spark: SparkSession, candidate: dict[str, Any], model: Recommender, ratings: Collected, sides: Sides, k: int
) -> tuple[dict[str, float], dict[str, Any]]:
    """Fit on the train side and compare with the test side: metrics (the floor's as `floor_...`) and pictures."""
    known = ratings.interactions(spark, sides.is_train)
    started = time.monotonic()
    fitted = model.fit(known)
    fit_seconds = time.monotonic() - started
    ks = sorted({*KS, k})
    ours = evaluate(spark, fitted, sides.train_seen, sides.held_out, ks)
    floors = ours
    if not is_floor(candidate):
        floors = evaluate(spark, Popular().fit(known), sides.train_seen, sides.held_out, ks)
    metrics = ours.figures | {f"floor_{name}": value for name, value in floors.figures.items()}
    metrics |= {name: float(n) for name, n in sides.counts.items()} | {"fit_seconds": fit_seconds}
    metrics |= explicit_error(model, fitted, ratings, sides.is_warm)
    at = f"ndcg_at_{k}"
    job.say(f"{candidate['name']}: {at} {metrics[at]:.4f}, popularity floor {metrics[f'floor_{at}']:.4f}")
    return metrics, figures(candidate["name"], ours, floors, ks, sides, len(ratings.index.items))


def learn_all(
    spark: SparkSession, model: Recommender, ratings: Collected, titles: pa.Array
) -> tuple[RecommenderFiles, tuple[dict[str, float], ...]]:
    """Fit on all ratings: the model that would be published, and what each iteration of the fit came to."""
    fitted, seen = model.fit(ratings.interactions(spark)), ratings.seen()
    is_popular = fitted.source == "popular"
    files = RecommenderFiles(
        user_ids=ratings.index.users,
        item_ids=ratings.index.items,
        titles=titles,
        n_ratings=np.bincount(seen.indices, minlength=len(ratings.index.items)).astype(np.int64),
        user_factors=None if is_popular else fitted.user_factors,
        item_factors=None if is_popular else fitted.item_factors,
        seen_indptr=seen.indptr,
        seen_indices=seen.indices,
        source=fitted.source,
    )
    return files, fitted.history


def key_of(candidate: dict[str, Any], snapshot: dict[str, Any]) -> str:
    """What the run is a function of, as a sha256: the candidate, the pinned data, the split, and our version."""
    return hashlib.sha256(json.dumps([candidate, snapshot, __version__], sort_keys=True).encode()).hexdigest()


def is_floor(candidate: dict[str, Any]) -> bool:
    return bool(candidate["model"] == "popular")


def split(ratings: Collected, border: int) -> Sides:
    """Train: rated before the border. Test: rated from it on, of users and items that the training side knows.

    Raises:
        TrainingError: no user of the test side is known to the training side.
    """
    user, item, is_train = ratings.user_index, ratings.item_index, ratings.rated_at < border
    is_known_user = np.zeros(len(ratings.index.users), bool)
    is_known_item = np.zeros(len(ratings.index.items), bool)
    is_known_user[user[is_train]] = True
    is_known_item[item[is_train]] = True
    is_warm = ~is_train & is_known_user[user] & is_known_item[item]
    about = describe(user, ratings.rated_at, border)
    counts = {
        "train_ratings": about.n_train,
        "test_ratings": about.n_test,
        "test_ratings_warm": int(is_warm.sum()),
        "train_users": about.n_train_users,
        "train_items": int(is_known_item.sum()),
        "test_users": about.n_warm_users + about.n_cold_users,
        "test_users_cold": about.n_cold_users,
    }
    users, position = np.unique(user[is_warm], return_inverse=True)
    if len(users) == 0:
        raise TrainingError(
            f"None of the {counts['test_users']} users of the test side has rated before the border, so no model "
            "can be judged: ingest ratings over a longer time, or set another test_share."
        )
    return Sides(
        is_train=is_train,
        is_warm=is_warm,
        train_seen=ratings.seen(is_train),
        held_out=HeldOut(users.astype(np.int64), seen_of(position, item[is_warm], len(users))),
        counts=counts | {"evaluated_users": len(users)},
    )


def explicit_error(model: Recommender, fitted: Fitted, ratings: Collected, is_warm: np.ndarray) -> dict[str, float]:
    """RMSE on the warm test ratings, where the model predicts ratings at all."""
    if getattr(model, "implicit", True):
        return {}
    user, item, rating = (values[is_warm] for values in (ratings.user_index, ratings.item_index, ratings.rating))
    return {"rmse": rating_error(fitted, user, item, rating)}


def titles_of(spark: SparkSession, index: Index, items_version: int) -> pa.Array:
    """The title of each item, in the order of the index; the id where the catalogue has none."""
    catalogue = read_table(spark, "items", items_version, ["item_id", "title"]).toArrow()
    title = dict(zip(catalogue["item_id"].to_pylist(), catalogue["title"].to_pylist(), strict=True))
    return pa.array([title.get(item, item) for item in index.items.to_pylist()], pa.string())


def figures(
    name: str, ours: Evaluation, floors: Evaluation, ks: list[int], sides: Sides, n_items: int
) -> dict[str, Any]:
    """The pictures of a run: each metric by k, and what the lists are made of, both beside the floor."""
    metric_names = sorted({metric.rsplit("_at_", 1)[0] for metric in ours.figures})

    def by_k(evaluation: Evaluation) -> dict[str, list[float]]:
        return {metric: [evaluation.figures[f"{metric}_at_{k}"] for k in ks] for metric in metric_names}

    n_ratings = np.bincount(sides.train_seen.indices, minlength=n_items)
    shown = {"popularity floor": floors} | ({} if ours is floors else {name: ours})
    return {
        "metrics_by_k.png": plots.metrics_by_k({label: by_k(evaluation) for label, evaluation in shown.items()}, ks),
        "lists_by_popularity.png": plots.lists_by_popularity(
            {
                label: np.bincount(evaluation.recommended[evaluation.recommended >= 0], minlength=n_items)
                for label, evaluation in shown.items()
            },
            n_ratings,
        ),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
