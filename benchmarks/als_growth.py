"""How our ALS grows with ratings, with rank and with tasks, beside its cost model, as figures and as pictures.

    python -m benchmarks.als_growth
    python -m benchmarks.als_growth --ratings 1e6,1e7,1e8 --tasks 1,2 --feedback implicit --pictures docs/images

Ours alone, on ratings generated as for `benchmarks.als`. Each point is a process of its own, which fits twice; its
`warm_s` are the seconds of the second fit, from the files, and `iteration_s` the median of that fit's iterations.
Ranks and tasks are varied at `--at` ratings. A task of several has one thread, so 2 tasks against 1 is 2 cores
against 1, with the exchange between them.

The model of an iteration is its arithmetic (docs/als.md): `model_s` is that by the rate of the point nearest to `--at`
and `--rank`, and so tells how far measurement is from proportion. `exponent` is the slope of log warm seconds by log
ratings, `tasks_ratio` the iteration's seconds of the fewest tasks by those of the most, `tasks_ratio_warm` the whole
fit's. Prints what it does, and as its last line one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression
from typing import TYPE_CHECKING, Any

from benchmarks import als
from marquee.plots import panel_of_lines
from spark_jobs.als.kernels import Problem, cg_steps_of, choose_solver

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Point = dict[str, Any]


def main(argv: list[str]) -> int:
    given = arguments().parse_args(argv)
    sizes, ranks, tasks = (
        [int(float(one)) for one in words.split(",") if one] for words in (given.ratings, given.ranks, given.tasks)
    )
    with tempfile.TemporaryDirectory(prefix="marquee-als-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        als.first_job(folder, given)
        by_ratings = [point for size in sizes for point in measured(folder, given, size, [given.rank], [0])]
        by_rank = measured(folder, given, int(given.at), ranks, [0])
        by_tasks = measured(folder, given, int(given.at), [given.rank], tasks)
    told = summary(given, by_ratings, by_rank, by_tasks)
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
        picture = given.pictures / f"als-growth-{given.feedback}.png"
        drawn(told).savefig(picture)
        print(f"Drawn: {picture}")
    print(json.dumps(told))
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.als_growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ratings", default="1e6,1e7,1e8", metavar="N,N,...")
    parser.add_argument("--ranks", default="16,32,64,128,256", metavar="K,K,...")
    parser.add_argument("--tasks", default="1,2", metavar="T,T,...", help="no more than there are cores")
    parser.add_argument("--at", type=float, default=10e6, help="ratings at which rank and tasks are varied")
    parser.add_argument("--rank", type=int, default=64, help="at which ratings and tasks are varied")
    parser.add_argument("--feedback", choices=("explicit", "implicit"), default="implicit")
    parser.add_argument("--solver", default="auto", help="auto, cholesky, cg, subspace")
    parser.add_argument("--pictures", type=Path, help="folder for a picture")
    parser.set_defaults(
        **{name: als.arguments().get_default(name) for name in ("users", "items", "iterations", "memory", "cold_only")}
    )
    return parser


def measured(
    folder: Path, given: argparse.Namespace, ratings: int, ranks: Sequence[int], tasks: Sequence[int]
) -> list[Point]:
    """A point for each rank and number of tasks, on the same ratings."""
    if not ranks or not tasks:
        return []
    data = als.made(folder / "data", ratings, given)
    users, items = als.sizes_of(ratings, given)
    points = []
    for rank in ranks:
        for n in tasks:
            asked = als.asked_of("ours", data, folder, given) | {"rank": rank, "n_tasks": n, "is_judged": False}
            point = {
                "ratings": ratings,
                "users": users,
                "items": items,
                "rank": rank,
                "solver": given.solver,
                "tasks": n,
            }
            point |= als.fitted(asked)
            print(f"            {json.dumps(point)}", flush=True)
            points.append(point)
    shutil.rmtree(data)
    return points


def gflop(point: Point, *, is_implicit: bool) -> float:
    """Arithmetic of an iteration, in 10^9 operations: that of docs/als.md, for the solver that the fit picks."""
    n, rows, k = point["ratings"], point["users"] + point["items"], point["rank"]
    problem = Problem(is_implicit, 0.1)
    if choose_solver(problem, k, point.get("solver", "auto")) == "cholesky":
        return float(2 * n * k * (k + 1) + rows * (k**3 / 3 + 2 * k**2)) / 1e9
    passes = cg_steps_of(problem, 3) + 1
    return float(8 * n * k * passes + (2 * rows * k**2 * passes if is_implicit else 0)) / 1e9


def summary(
    given: argparse.Namespace, by_ratings: list[Point], by_rank: list[Point], by_tasks: list[Point]
) -> dict[str, Any]:
    """All points with the model's seconds, the exponent, and the gain by tasks."""
    is_implicit = given.feedback == "implicit"
    everywhere = by_ratings + by_rank
    if everywhere:
        base = min(
            everywhere,
            key=lambda one: abs(math.log(one["rank"] / given.rank)) + abs(math.log(one["ratings"] / given.at)),
        )
        rate = gflop(base, is_implicit=is_implicit) / base["iteration_s"]
        for one in everywhere:
            one["model_s"] = round(gflop(one, is_implicit=is_implicit) / rate, 3)
    exponent = None
    if len(by_ratings) > 1:
        xs, ys = ([math.log(one[name]) for one in by_ratings] for name in ("ratings", "warm_s"))
        exponent = round(linear_regression(xs, ys).slope, 3)
    ratios: dict[str, float | None] = dict.fromkeys(("iteration_s", "warm_s"))
    if len(by_tasks) > 1:
        ratios = {name: round(by_tasks[0][name] / by_tasks[-1][name], 2) for name in ratios}
    return {
        "feedback": given.feedback,
        "rank": given.rank,
        "by_ratings": by_ratings,
        "by_rank": by_rank,
        "by_tasks": by_tasks,
        "exponent": exponent,
        "tasks_ratio": ratios["iteration_s"],
        "tasks_ratio_warm": ratios["warm_s"],
    }


def drawn(told: dict[str, Any]) -> Figure:
    """Seconds by ratings, by rank and by tasks; the model as a line of its own."""
    panels = []
    for name, label in (("ratings", "ratings"), ("rank", "rank"), ("tasks", "tasks, one core each")):
        points = told[f"by_{name}"]
        lines = {"whole fit": [one["warm_s"] for one in points], "an iteration": [one["iteration_s"] for one in points]}
        if name == "tasks":
            lines["an iteration, by the model"] = [
                points[0]["iteration_s"] * points[0]["tasks"] / one["tasks"] for one in points
            ]
        else:
            lines["an iteration, by the model"] = [one["model_s"] for one in points]
        panels.append((label, [one[name] for one in points], lines))
    return panel_of_lines(panels, y="seconds")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
