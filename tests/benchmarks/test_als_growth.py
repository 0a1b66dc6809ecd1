"""The benchmark of ALS's growth: what it prints, its model, its picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import als_growth


@pytest.mark.slow
def test_a_tiny_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--ratings", "2e3,4e3", "--ranks", "4,8", "--tasks", "1,2", "--at", "2e3", "--rank", "4"]
    assert als_growth.main([*words, "--pictures", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [one["ratings"] for one in told["by_ratings"]] == [2000, 4000]
    assert [one["rank"] for one in told["by_rank"]] == [4, 8]
    assert [one["received_mb"] > 0 for one in told["by_tasks"]] == [False, True]
    for one in told["by_ratings"] + told["by_rank"] + told["by_tasks"]:
        assert one["cold_s"] > one["warm_s"] > one["iteration_s"] > 0 and one["peak_rss_mb"] > 100
    assert told["tasks_ratio"] > 0 and told["exponent"] is not None
    assert (tmp_path / "als-growth-implicit.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("rank", "is_implicit", "operations"),
    [
        (32, True, 2 * 1e6 * 32 * 33 + 3000 * (32**3 / 3 + 2 * 32**2)),
        (64, True, 8 * 1e6 * 64 * 4 + 2 * 3000 * 64**2 * 4),
        (64, False, 8 * 1e6 * 64 * 5),
    ],
)
def test_the_arithmetic_of_an_iteration(rank: int, is_implicit: bool, operations: float) -> None:
    point = {"ratings": 1_000_000, "users": 2000, "items": 1000, "rank": rank}
    assert als_growth.gflop(point, is_implicit=is_implicit) == pytest.approx(operations / 1e9)


def test_the_exponent_and_the_gain_by_tasks() -> None:
    given = als_growth.arguments().parse_args(["--at", "1e6"])
    shared = {"users": 1000, "items": 1000, "rank": 64, "tasks": 0}
    by_ratings = [{**shared, "ratings": n, "warm_s": n / 1e5, "iteration_s": n / 1e6} for n in (10**6, 10**7)]
    by_tasks = [{**shared, "tasks": n, "warm_s": 4 / n + 1, "iteration_s": 2 / n} for n in (1, 2)]
    told = als_growth.summary(given, by_ratings, [], by_tasks)
    assert (told["exponent"], told["tasks_ratio"], told["tasks_ratio_warm"]) == (1.0, 2.0, 1.67)
    assert told["by_ratings"][0]["model_s"] == 1.0
    assert told["by_ratings"][1]["model_s"] == pytest.approx(10, rel=0.05)
