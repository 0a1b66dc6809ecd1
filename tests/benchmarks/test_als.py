"""The benchmark of ALS runs, and what it prints is what its page promises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import als, als_sides


@pytest.mark.slow
@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_a_tiny_run(feedback: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--ratings", "3e3", "--rank", "4", "--iterations", "3", "--feedback", feedback, "--memory", "1g"]
    assert als.main([*words, "--rivals", "spark"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["rank"], told["feedback"], told["implicit"], told["speedup_implicit"]) == (4, feedback, None, None)
    assert 0 < told["ratings"] <= 3000
    for side in (told["ours"], told["spark"]):
        assert side["cold_s"] > side["warm_s"] > 0 and side["peak_rss_mb"] > 100
    assert told["ours"]["objective"] == pytest.approx(told["spark"]["objective"], rel=0.2)
    assert told["speedup_spark"] == pytest.approx(told["spark"]["cold_s"] / told["ours"]["cold_s"], abs=0.01)


def test_the_ratings_are_in_range_and_no_pair_comes_twice(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    als_sides.make(folder, 5_000, 80, 200, 1)
    table = pq.read_table(folder)
    pairs = table["user"].to_numpy() * 200 + table["item"].to_numpy()
    assert len(np.unique(pairs)) == len(pairs) and 3_000 < len(pairs) <= 5_000
    rating = table["rating"].to_numpy()
    assert rating.min() >= 0.5 and rating.max() <= 5 and not np.any(np.mod(rating * 2, 1))


def test_the_middle_of_runs_is_their_median_and_the_highest_peak() -> None:
    runs = [
        {"cold_s": 3.0, "warm_s": None, "peak_rss_mb": 5},
        {"cold_s": 1.0, "warm_s": None, "peak_rss_mb": 9},
        {"cold_s": 2.0, "warm_s": None, "peak_rss_mb": 7},
    ]
    assert als.middle(runs) == {"cold_s": 2.0, "warm_s": None, "peak_rss_mb": 9}


def test_a_rival_that_is_none_is_a_sentence() -> None:
    with pytest.raises(SystemExit, match="There is no rival sparc: choose spark, implicit, or none"):
        als.main(["--rivals", "sparc"])
