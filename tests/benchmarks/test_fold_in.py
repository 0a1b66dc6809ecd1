"""The benchmark of fold-in runs, and tells what it says that it tells."""

from __future__ import annotations

import json
import subprocess
import sys


def test_a_small_one() -> None:
    words = ["--items", "200", "--rank", "4", "--history", "5"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fold_in", *words], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["items"], told["rank"], told["history"]) == (200, 4, 5)
    assert min(told[name] for name in ("one_per_s", "many_per_s", "solve_per_s")) > 0
