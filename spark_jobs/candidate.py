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
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from marquee import __version__, lineage, plots, registry
from marquee.candidates import is_floor
from marquee.lake import evaluations
from marquee.lake.objects import Lake
from marquee.metrics import USER_SEGMENTS, Interval, intervals, mae, mark, rmse, summarize
from marquee.metrics.cards import cards
from marquee.model_cards import finite
from marquee.recommender_files import RecommenderFiles
from marquee.splits import Split, by_time, sizes
from marquee.splits.base import known
from spark_jobs import job
from spark_jobs.evaluation import Evaluation, Exam, evaluate, figure_names
from spark_jobs.exams import exam_of, genre_vectors
from spark_jobs.interactions import Collected, Index, collect, read_ratings, seen_of
from spark_jobs.lake_source import read_table
from spark_jobs.models import recommender
from spark_jobs.models.base import Fitted, Recommender
from spark_jobs.models.popular import Popular
from spark_jobs.session import session

BOOTSTRAP_SEED = 42


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
        return result(candidate, found.run_id, key, found.metrics)
    model = recommender(candidate["model"], candidate.get("params", {}))
    spark = session(f"candidate {candidate['name']}")
    ratings = collect(read_ratings(spark, snapshot["ratings_version"]))
    catalogue = read_table(spark, "items", snapshot["items_version"], ["item_id", "title", "genres"]).toArrow()
    split = by_time(ratings.rated_at, snapshot["border"])
    exam = exam_of(ratings, split, genre_vectors(catalogue, ratings.index), snapshot["k"])
    counts = asdict(sizes(split, ratings.user_index, ratings.item_index)) | {"evaluated_users": len(exam.users)}
    job.say(", ".join(f"{name} {n:,}" for name, n in counts.items()))

    judged = judge(spark, candidate, model, ratings, split, exam)
    files, history = learn_all(spark, model, ratings, titles_of(catalogue, ratings.index))
    metrics = judged.metrics | {name: float(n) for name, n in counts.items()}
    metrics |= cold_figures(ratings, split, exam) | {"model_mb": size_mb(files)}
    # A figure that nobody has is left out: neither MLflow nor Airflow has a word for it.
    metrics = finite(metrics)
    about = {**snapshot, "split": split.about, "sizes": counts}
    evaluations.save(lake, key, judged.users)
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
        figures=judged.pictures,
        documents={"metric_cards.json": cards(judged.intervals, about, k=snapshot["k"], seed=BOOTSTRAP_SEED)},
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
    return result(candidate, run_id, key, metrics)


def result(candidate: dict[str, Any], run_id: str, key: str, metrics: dict[str, float]) -> dict[str, Any]:
    """What the gate needs to know of a candidate; the users' figures lie in the lake, under its key."""
    return {
        "name": candidate["name"],
        "run_id": run_id,
        "url": registry.run_url(run_id),
        "key": key,
        "metrics": metrics,
        "is_floor": is_floor(candidate),
    }


@dataclass(frozen=True)
class Judged:
    """What a candidate came to.

    Attributes:
        metrics: figures, the ends of their intervals (`ndcg_at_10_low`), and the floor's (`floor_...`).
        intervals: of the figures at k.
        users: a row a judged user.
        pictures: by file name.
    """

    metrics: dict[str, float]
    intervals: dict[str, Interval]
    users: pa.Table
    pictures: dict[str, Any]


def judge(
    spark: SparkSession, candidate: dict[str, Any], model: Recommender, ratings: Collected, split: Split, exam: Exam
) -> Judged:
    """Fit on the train side, and compare with the test side, beside the floor."""
    known = ratings.interactions(spark, split.is_train)
    started = time.monotonic()
    fitted = model.fit(known)
    fit_seconds = time.monotonic() - started
    ours = evaluate(spark, fitted, exam)
    floors = ours if is_floor(candidate) else evaluate(spark, Popular().fit(known), exam)
    columns = {name: ours.users[name].to_numpy() for name in figure_names(exam)}
    found = intervals(columns, seed=BOOTSTRAP_SEED)
    metrics = ours.figures | {f"floor_{name}": value for name, value in floors.figures.items()}
    for name, one in found.items():
        metrics |= {f"{name}_low": one.low, f"{name}_high": one.high}
    metrics |= {name: found[name].value for name in ("auc", "auc_known")}
    metrics |= by_segment(ours.users, f"ndcg_at_{exam.k}")
    metrics |= {"fit_seconds": fit_seconds, "last_trained_at": float(ratings.rated_at[split.is_train].max())}
    if not getattr(model, "implicit", True):
        metrics |= rating_errors(fitted, ratings, split)
    at = f"ndcg_at_{exam.k}"
    job.say(
        f"{candidate['name']}: {at} {metrics[at]:.4f} [{found[at].low:.4f}, {found[at].high:.4f}], "
        f"popularity floor {metrics[f'floor_{at}']:.4f}"
    )
    return Judged(metrics, found, ours.users, figures(candidate["name"], ours, floors, exam))


def by_segment(users: pa.Table, metric: str) -> dict[str, float]:
    """The metric's mean within each segment of users that has some, as `ndcg_at_10_light`."""
    segment, values = np.array(users["segment"].to_pylist()), users[metric].to_numpy()
    return {
        f"{metric}_{name}": float(np.nanmean(values[segment == name]))
        for name in USER_SEGMENTS
        if np.any(~np.isnan(values[segment == name]))
    }


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
        problem=fitted.problem,
        seen_ratings=None if is_popular else ratings.by_user(),
        n_recent=ratings.recent(),
    )
    return files, fitted.history


def key_of(candidate: dict[str, Any], snapshot: dict[str, Any]) -> str:
    """What the run is a function of, as a sha256: the candidate, the pinned data, the split, and our version."""
    return hashlib.sha256(json.dumps([candidate, snapshot, __version__], sort_keys=True).encode()).hexdigest()


def titles_of(catalogue: pa.Table, index: Index) -> pa.Array:
    """The title of each item, in the order of the index; the id where the catalogue has none."""
    title = dict(zip(catalogue["item_id"].to_pylist(), catalogue["title"].to_pylist(), strict=True))
    return pa.array([title.get(item, item) for item in index.items.to_pylist()], pa.string())


def rating_errors(fitted: Fitted, ratings: Collected, split: Split) -> dict[str, float]:
    """RMSE and MAE on the test ratings of known users and items, where the model predicts ratings at all."""
    is_known = known(ratings.user_index, split.is_train)[ratings.user_index]
    at = split.is_test & is_known & known(ratings.item_index, split.is_train)[ratings.item_index]
    users, items = ratings.user_index[at], ratings.item_index[at]
    predicted = np.einsum("nr,nr->n", fitted.user_factors[users], fitted.item_factors[items], dtype=np.float64)
    return {"rmse": rmse(ratings.rating[at], predicted), "mae": mae(ratings.rating[at], predicted)}


def cold_figures(ratings: Collected, split: Split, exam: Exam) -> dict[str, float]:
    """What users get whom the train side does not know: popular items. `cold_lists`: the share who get k of them."""
    is_known = known(ratings.user_index, split.is_history)
    n_ratings = exam.catalogue.n_ratings
    best = np.lexsort((np.arange(len(n_ratings)), -n_ratings))[: min(exam.k, int((n_ratings > 0).sum()))]
    at = split.is_test & ~is_known[ratings.user_index] & (n_ratings > 0)[ratings.item_index]
    users, position = np.unique(ratings.user_index[at], return_inverse=True)
    told = {"cold_lists": float(len(best) == exam.k)}
    if len(users):
        lists = np.tile(np.pad(best, (0, exam.k - len(best)), constant_values=-1), (len(users), 1))
        wanted = seen_of(position, ratings.item_index[at], len(users))
        figures = summarize(*mark(lists, wanted.indptr, wanted.indices), [exam.k])
        told |= {f"cold_{name}": value for name, value in figures.items()}
    return told


def size_mb(files: RecommenderFiles) -> float:
    """Megabytes of a model's arrays."""
    arrays = (files.user_factors, files.item_factors, files.n_ratings, files.n_recent)
    seen = (files.seen_indptr, files.seen_indices, files.seen_ratings)
    text = (files.user_ids, files.item_ids, files.titles)
    return float(sum(one.nbytes for one in (*arrays, *seen, *text) if one is not None) / 1e6)


def figures(name: str, ours: Evaluation, floors: Evaluation, exam: Exam) -> dict[str, Any]:
    """The pictures of a run: each metric by k, and what the lists are made of, both beside the floor."""
    metric_names = sorted({metric.rsplit("_at_", 1)[0] for metric in ours.figures})

    def by_k(evaluation: Evaluation) -> dict[str, list[float]]:
        return {metric: [evaluation.figures[f"{metric}_at_{k}"] for k in exam.ks] for metric in metric_names}

    shown = {"popularity floor": floors} | ({} if ours is floors else {name: ours})
    return {
        "metrics_by_k.png": plots.metrics_by_k(
            {label: by_k(evaluation) for label, evaluation in shown.items()}, list(exam.ks)
        ),
        "lists_by_popularity.png": plots.lists_by_popularity(
            {label: evaluation.recommended for label, evaluation in shown.items()}, exam.catalogue.n_ratings
        ),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
