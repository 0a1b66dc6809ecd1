"""Top-K at size: our kernel, the bare matrix product, `implicit.recommend` and Spark ML, on the same factors.

    python -m benchmarks.topk --users 138000 --items 27000 --rank 64
    python -m benchmarks.topk --users 138000 --items 27000 --rank 64 --k 10 --rivals spark,implicit
    python -m benchmarks.topk --users 1e6 --items 1e5 --rivals none

Factors and seen items (about 170 a user) are generated (seeded, not timed). Each side is a process of its own with all
cores, in turn, and its seconds are those of one call on arrays in memory, after a small one:

- `ours_s`: `marquee.top_k.top_k`, seen items left out.
- `product_s`: all scores in blocks `U_b @ V.T`, with nothing done with them; by the same BLAS in the same threads, in
  tiles of the kernel's own shape, which is the fastest of those tried. Half of it before ours, half after.
- `implicit.recommend`, seen items left out, BLAS in one thread as the library asks for. It is no part of this project:
  `pip install implicit` into the environment, where it is to be compared.
- Spark ML's `recommendForAllUsers`, which can leave out no items, to a sink that keeps nothing.

Prints a table of all runs with, besides, numpy's product, what import and first call took (compiled code comes from
the disk), and our whole Spark job, from arrays on the driver to rows in a sink, cold and warm. The last line is one
JSON object with the medians; a rival that was left out is null; `peak_rss_mb` is the highest resident memory of our
side, the arrays included.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from benchmarks.ingest import run, saying
from benchmarks.scratch import FOREIGN

RIVALS = ("spark", "implicit")
RUNS = 3
SEED = 1
Run = dict[str, float]


def main(argv: list[str]) -> int:
    given = arguments().parse_args(argv)
    sizes = {name: int(float(getattr(given, name))) for name in ("users", "items", "rank", "k")}
    rivals = chosen(given.rivals)
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    command = [sys.executable, "-m", "benchmarks.topk_sides"]
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="marquee-topk-", ignore_cleanup_errors=True) as name:
        data = Path(name) / "data"
        with saying("generating factors"):
            words = [str(sizes[size]) for size in ("users", "items", "rank")]
            run([*command, "make", str(data), *words, str(SEED)], environment)
        for _ in range(given.runs):
            told: Run = {}
            for side in ("ours", "job", *rivals):
                with saying(side):
                    left = run([*command, side, str(data), str(sizes["k"])], environment)
                of_side = json.loads(left.splitlines()[-1])
                told |= {"job_rss_mb" if side == "job" else f"{side}_rss_mb": of_side.pop("peak_rss_mb")} | of_side
            runs.append(told)
    print(table(runs))
    print(json.dumps(summary(sizes, runs)))
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.topk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", default="138000")
    parser.add_argument("--items", default="27000")
    parser.add_argument("--rank", default="64")
    parser.add_argument("--k", default="10")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--rivals", default=",".join(RIVALS), help="spark, implicit, both with a comma, or none")
    return parser


def chosen(words: str) -> list[str]:
    """The rivals asked for; ends the benchmark where one is unknown or not installed."""
    rivals = [word for word in words.split(",") if word not in ("", "none")]
    unknown = [rival for rival in rivals if rival not in RIVALS]
    if unknown:
        raise SystemExit(f"There is no rival {', '.join(unknown)}: choose spark, implicit, or none.")
    if "implicit" in rivals and find_spec("implicit") is None:
        raise SystemExit(
            "The library implicit is not installed: `pip install implicit` into the environment, or leave it out of "
            "--rivals."
        )
    return rivals


def table(runs: list[Run]) -> str:
    """All runs, a line each."""
    names = list(runs[0])
    lines = [names, *([f"{run[name]:,.{0 if name.endswith('mb') else 2}f}" for name in names] for run in runs)]
    return "\n".join("".join(word.rjust(max(len(names[at]), 8) + 2) for at, word in enumerate(line)) for line in lines)


def summary(sizes: dict[str, int], runs: list[Run]) -> dict[str, float | int | None]:
    """The medians of the runs; ratios are medians of each run's own."""

    def middle(name: str, by: str = "") -> float | None:
        if name not in runs[0]:
            return None
        return round(median(run[name] / (run[by] if by else 1.0) for run in runs), 3)

    return {
        **{name: sizes[name] for name in ("users", "items", "rank")},
        "ours_s": middle("ours_s"),
        "product_s": middle("product_s"),
        "ratio_to_product": middle("ours_s", by="product_s"),
        "speedup_spark": middle("spark_s", by="ours_s"),
        "speedup_implicit": middle("implicit_s", by="ours_s"),
        "peak_rss_mb": round(max(run["ours_rss_mb"] for run in runs)),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
