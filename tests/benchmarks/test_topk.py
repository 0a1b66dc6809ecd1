"""The benchmark of top-K at a tiny size, its arithmetic, and the rivals that it can't run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import topk, topk_sides
from marquee.settings import PROJECT

KEYS = [
    "users", "items", "rank", "ours_s", "product_s", "ratio_to_product", "speedup_spark", "speedup_implicit",
    "peak_rss_mb",
]  # fmt: skip
SIZES = {"users": 10, "items": 20, "rank": 4, "k": 3}
RUN = {"ours_s": 2.0, "product_s": 1.0, "spark_s": 40.0, "ours_rss_mb": 100.0}


@pytest.mark.slow
def test_a_tiny_run() -> None:
    command = [sys.executable, "-m", "benchmarks.topk", "--users", "3e3", "--items", "500", "--rank", "8"]
    command += ["--runs", "1", "--rivals", "spark"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert list(measured) == KEYS
    assert measured["users"] == 3_000 and measured["speedup_implicit"] is None
    assert all(measured[name] > 0 for name in KEYS if name != "speedup_implicit")
    assert "job_s" in done.stdout and "numpy_product_s" in done.stdout


def test_medians_and_the_highest_peak() -> None:
    runs = [RUN, RUN | {"ours_s": 8.0, "product_s": 5.0}, RUN | {"ours_s": 1.0, "ours_rss_mb": 300.0}]
    measured = topk.summary(SIZES, runs)
    assert list(measured) == KEYS
    assert (measured["ours_s"], measured["product_s"], measured["ratio_to_product"]) == (2.0, 1.0, 1.6)
    assert (measured["speedup_spark"], measured["speedup_implicit"], measured["peak_rss_mb"]) == (20.0, None, 300)


def test_the_data_are_the_same_each_time_and_fit_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        topk_sides.make(tmp_path / name, 50, 3_000, 5, 1)
    data, again = topk_sides.load(tmp_path / "a"), topk_sides.load(tmp_path / "b")
    for one, other in zip(data, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert data.user_factors.shape == (50, 5) and data.item_factors.shape == (3_000, 5)
    assert len(data.seen_indptr) == 51 and data.seen_indptr[-1] == len(data.seen_indices)
    assert 50 < len(data.seen_indices) / 50 < 300
    for start, stop in zip(data.seen_indptr[:-1], data.seen_indptr[1:], strict=True):
        assert (np.diff(data.seen_indices[start:stop]) > 0).all()


@pytest.mark.parametrize(("words", "rivals"), [("spark", ["spark"]), ("none", []), ("", [])])
def test_rivals(words: str, rivals: list[str]) -> None:
    assert topk.chosen(words) == rivals


def test_rivals_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no rival lightfm: choose spark, implicit, or none"):
        topk.chosen("spark,lightfm")
    monkeypatch.setattr(topk, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="`pip install implicit`"):
        topk.chosen("implicit")
