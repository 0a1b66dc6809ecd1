"""ALS at size: ours, Spark ML's and the library `implicit`, on the same ratings, each with all cores, in one run.

    python -m benchmarks.als --ratings 20e6 --rank 64 --feedback explicit
    python -m benchmarks.als --ratings 20e6 --rank 64 --feedback implicit --rivals spark,implicit
    python -m benchmarks.als --ratings 100480507 --users 480189 --items 17770 --rivals none

The ratings are generated (seeded, not timed) as Parquet files. A small fit comes before all, and leaves what an
installation's first job leaves; Spark ML gets the same options of the JVM. Each side is a process of its own: its
`cold_s` are the seconds from the start of the process to the factors (interpreter, imports, Spark's session, reading
the files, fit), its `warm_s` those of a second fit in the same process, from the files again. `objective` is what the
factors of the second fit come to, by our own definition (Spark ML's objective), computed outside the clock;
`peak_rss_mb` the highest sum of the resident memory of the side's processes.

`implicit` minimizes another sum: its regularization does not grow with the number of ratings. So ours is fitted once
more with regExponent = 0, which is that sum, and `objective_unscaled` tells what both come to. The library is no
part of this project: `pip install implicit` beside it, where it is to be compared. It has no explicit feedback.

Prints what it does, and as its last line one JSON object; a rival that was left out is null, `speedup_...` are cold to
cold. How ours grows with ratings, rank and tasks is measured by `benchmarks.als_growth`.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq

from benchmarks.ingest import saying
from benchmarks.process_tree import PeakMemory
from marquee.settings import PROJECT

SIDES = ("ours", "spark", "implicit")
SEED = 1


def main(argv: list[str]) -> int:
    given = arguments().parse_args(argv)
    rivals = [] if given.rivals in ("", "none") else given.rivals.split(",")
    if unknown := set(rivals) - {"spark", "implicit"}:
        raise SystemExit(f"There is no rival {', '.join(sorted(unknown))}: choose spark, implicit, or none.")
    if "implicit" in rivals and given.feedback == "explicit":
        rivals.remove("implicit")
    if "implicit" in rivals and find_spec("implicit") is None:
        raise SystemExit("The library implicit is not installed: pip install implicit, or leave it out of --rivals.")
    with tempfile.TemporaryDirectory(prefix="marquee-als-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        first_job(folder, given)
        data = made(folder / "data", int(given.ratings), given)
        runs: dict[str, list[dict[str, Any]]] = {}
        for _ in range(given.runs):
            for side in ("ours", *rivals):
                runs.setdefault(side, []).append(measure(side, data, folder, given))
        ratings = sum(pq.read_metadata(file).num_rows for file in data.glob("*.parquet"))
    print(json.dumps(summary(ratings, given, runs)))
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.als", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings", type=float, default=20e6)
    parser.add_argument("--users", type=int, default=0, help="0: 138,000 of 20 million ratings, and in proportion")
    parser.add_argument("--items", type=int, default=0, help="0: 27,000 of 20 million, by the root of the ratings")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--feedback", choices=("explicit", "implicit"), default="explicit")
    parser.add_argument("--rivals", default="spark,implicit", help="spark, implicit, both with a comma, or none")
    parser.add_argument("--solver", default="auto", help="of ours: auto, cholesky, cg, subspace")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--cold-only", action="store_true", help="no second fit of the rivals: their warm_s is null")
    parser.add_argument("--memory", default="8g", help="of the driver's JVM")
    return parser


def first_job(folder: Path, given: argparse.Namespace) -> None:
    """A small fit, not timed, that leaves what an installation's first job leaves: compiled code, Spark's classes."""
    data = made(folder / "first", 10_000, argparse.Namespace(users=0, items=0))
    measure("ours", data, folder, given)


def made(folder: Path, ratings: int, given: argparse.Namespace) -> Path:
    """Ratings as Parquet files, by a process of its own."""
    users, items = sizes_of(ratings, given)
    with saying(f"generating {ratings:,} ratings of {users:,} users for {items:,} items"):
        ran(["make", str(folder), str(ratings), str(users), str(items), str(SEED)])
    return folder


def sizes_of(ratings: int, given: argparse.Namespace) -> tuple[int, int]:
    """Users and items: as asked for, or as 20 million ratings have them, users in proportion, items by the root."""
    users = given.users or max(20, round(138_000 * ratings / 20e6))
    return users, given.items or max(20, round(27_000 * math.sqrt(ratings / 20e6)))


def measure(side: str, data: Path, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """One side's process: its seconds, its objective, and the peak of its memory."""
    asked = asked_of(side, data, folder, given)
    told = fitted(asked)
    told |= json.loads(ran(["judge", json.dumps(asked)]))
    print(f"            {side}: {json.dumps(told)}", flush=True)
    return told


def asked_of(side: str, data: Path, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """What the process of a side is asked for."""
    return {
        "side": side, "data": str(data), "out": str(folder / "out"), "rank": given.rank, "iterations": given.iterations,
        "implicit": given.feedback == "implicit", "memory": given.memory, "solver": given.solver, "n_tasks": 0,
        "is_warm": side == "ours" or not given.cold_only, "is_judged": True,
    }  # fmt: skip


def fitted(asked: dict[str, Any]) -> dict[str, Any]:
    """What a side's process tells of its fits, and the peak of its memory."""
    out = Path(asked["out"])
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with saying(asked["side"]), PeakMemory(out, with_own_tree=True) as peak:
        told: dict[str, Any] = json.loads(ran(["fit", json.dumps(asked)]))
    return told | {"peak_rss_mb": round(peak.rss_mb)}


def ran(words: Sequence[str]) -> str:
    """The last line that a process of `benchmarks.als_sides` prints."""
    command = [sys.executable, "-m", "benchmarks.als_sides", *words]
    done = subprocess.run(command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout.splitlines()[-1]


def summary(ratings: int, given: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians of the runs, and the ratios of cold to cold within each run."""
    sides = {side: None if side not in runs else middle(runs[side]) for side in SIDES}

    def speedup(rival: str) -> float | None:
        if rival not in runs:
            return None
        ratios = [t["cold_s"] / o["cold_s"] for t, o in zip(runs[rival], runs["ours"], strict=True)]
        return float(round(median(ratios), 2))

    return {
        "ratings": ratings, "rank": given.rank, "feedback": given.feedback, **sides,
        "speedup_spark": speedup("spark"), "speedup_implicit": speedup("implicit"),
    }  # fmt: skip


def middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure; the highest peak."""
    figures = {name: median(run[name] for run in runs) for name in runs[0] if runs[0][name] is not None}
    return {name: None if runs[0][name] is None else round(figures[name], 2) for name in runs[0]} | {
        "peak_rss_mb": max(run["peak_rss_mb"] for run in runs)
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
