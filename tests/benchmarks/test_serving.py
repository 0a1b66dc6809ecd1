"""The benchmark of look-ups runs, and tells what it says that it tells."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.serving import is_stale


def test_a_small_one() -> None:
    words = ["--users", "300", "--k", "3", "--readers", "2", "--seconds", "1.5", "--questions", "20"]
    words += ["--prefix", "customer-", "--warm", "20", "--cold", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serving", *words], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["users"], told["k"], told["reader_errors"], told["stale_reads"]) == (300, 3, 0, 0)
    assert told["rivals"].keys() == {"sqlite", "parquet"}
    for one in (told, *told["rivals"].values()):
        assert 0 < one["p50_ms"] <= one["p99_ms"] and one["answers"] > 0 and one["bytes_per_row"] > 0


def test_what_is_stale() -> None:
    current = [(0.0, "a"), (10.0, "b"), (20.0, "a")]
    assert not is_stale(5.0, "a", current) and not is_stale(10.9, "a", current) and not is_stale(15.0, "b", current)
    assert is_stale(21.5, "b", current)
    assert not is_stale(25.0, "a", current)
