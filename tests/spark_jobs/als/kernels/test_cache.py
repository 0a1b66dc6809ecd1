"""A second process loads the kernels instead of compiling them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FIT = """
import numpy as np
from spark_jobs.als.kernels import Problem, Rows, gram, solve
from spark_jobs.als.kernels.by_cg import solve_by_cg
rows = Rows(np.array([0, 2]), np.array([0, 1], np.int32), np.ones(2, np.float32))
Y = np.ones((2, 3), np.float32)
solve(rows, Y, np.zeros((1, 3), np.float32), Problem(True, 0.1), "cg", gram=gram(Y))
print(sum(solve_by_cg.stats.cache_hits.values()), sum(solve_by_cg.stats.cache_misses.values()))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path.cwd())}

    def hits_and_misses() -> str:
        done = subprocess.run([sys.executable, "-c", FIT], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert hits_and_misses() == "0 1"
    assert hits_and_misses() == "1 0"
