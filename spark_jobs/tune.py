"""Tune: search for the parameters of ALS on the train side of a snapshot, within a budget; each trial is Spark jobs.

The train side is split once more by time, with the snapshot's own share: the search never sees the test side. Trials,
their figures and the pictures stay in MLflow, each a run nested in the search's. What is found is one more candidate,
which has to pass the gate as all others do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import replace
from typing import Any

from marquee import __version__, registry
from marquee.lake.objects import Lake
from marquee.splits import border, by_time
from marquee.tuning import Budget, Trial, search
from spark_jobs import job
from spark_jobs.evaluation import evaluate
from spark_jobs.exams import exam_of
from spark_jobs.interactions import Collected, collect, read_ratings
from spark_jobs.models import recommender
from spark_jobs.session import session

MODEL = "als"


def main(argv: list[str]) -> int:
    arguments = job.parser(__doc__)
    arguments.add_argument("--snapshot", required=True, type=json.loads, help="JSON of the pinned data and the split")
    arguments.add_argument("--experiment", required=True, help="MLflow experiment of the runs")
    arguments.add_argument("--feedback", choices=("implicit", "explicit"), default="implicit")
    arguments.add_argument("--trials", type=int, default=0, help="at most so many; 0: no limit but the minutes")
    arguments.add_argument("--minutes", type=float, default=0.0, help="at most so long; 0: no limit but the trials")
    arguments.add_argument("--seed", type=int, default=42)
    arguments.add_argument("--max-rank", type=int, default=128)
    arguments.add_argument("--known", default=[], type=json.loads, help="JSON: list of parameters to begin with")
    arguments.add_argument("--tags", default={}, type=json.loads, help="JSON: tags of the MLflow runs")
    return job.run(arguments.parse_args(argv), tune)


def tune(arguments: argparse.Namespace, lake: Lake) -> dict[str, Any]:
    snapshot, budget = arguments.snapshot, Budget(arguments.trials, arguments.minutes)
    if budget.is_none:
        job.say("no budget for a search: nothing is tuned")
        return {}
    asked = {
        "snapshot": snapshot, "feedback": arguments.feedback, "trials": budget.trials, "minutes": budget.minutes,
        "seed": arguments.seed, "max_rank": arguments.max_rank, "known": arguments.known, "version": __version__,
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    found = registry.find_tuning(arguments.experiment, key)
    if found is not None:
        job.say("this search was done before: its parameters are taken from MLflow")
        return candidate_of(found)
    spark = session("tune als")
    ratings = collect(read_ratings(spark, snapshot["ratings_version"]))
    known = before(ratings, snapshot["border"])
    split = by_time(known.rated_at, border(known.rated_at, snapshot["test_share"]))
    exam = replace(exam_of(known, split, None, snapshot["k"]), ks=(snapshot["k"],))
    data = known.interactions(spark, split.is_train)
    data.frame.cache()
    metric = f"ndcg_at_{snapshot['k']}"

    def judge(params: dict[str, Any]) -> float:
        return evaluate(spark, recommender(MODEL, params).fit(data), exam).figures[metric]

    def tell(trial: Trial) -> None:
        told = ", ".join(f"{name} {value:.4g}" for name, value in trial.params.items() if isinstance(value, float))
        figure = "" if trial.value is None else f": {metric} {trial.value:.4f}"
        job.say(f"trial {trial.number} {trial.state}, rank {trial.params.get('rank')}, {told}{figure}")

    best = search(
        judge,
        implicit=arguments.feedback == "implicit",
        budget=budget,
        seed=arguments.seed,
        max_rank=arguments.max_rank,
        metric=metric,
        known=arguments.known,
        tell=tell,
    )
    registry.log_tuning(
        experiment=arguments.experiment, key=key, metric=metric, found=best, tags=arguments.tags, asked=asked
    )
    job.say(f"best of {len(best.trials)} trials: {metric} {best.value:.4f} on the inner split")
    return candidate_of(best.params)


def before(ratings: Collected, start: int) -> Collected:
    """The ratings before an instant."""
    return ratings.where(ratings.rated_at < start)


def candidate_of(params: dict[str, Any]) -> dict[str, Any]:
    """The candidate that a search adds."""
    return {"name": "als-tuned", "model": MODEL, "params": params}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
