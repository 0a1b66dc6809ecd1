"""Which candidate becomes the champion: the best, but never one that the floor equals or that could not be judged."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.errors import TrainingError
from marquee.gate import choose, table

METRIC = "ndcg_at_10"


def result(name: str, value: float | None, *, is_floor: bool = False) -> dict[str, Any]:
    metrics = {} if value is None else {METRIC: value}
    return {"name": name, "run_id": f"run of {name}", "is_floor": is_floor, "metrics": metrics}


@pytest.mark.parametrize(
    ("floor", "candidates", "winner"),
    [
        (0.10, {}, "popular"),
        (0.10, {"a": 0.20}, "a"),
        (0.10, {"a": 0.20, "b": 0.30}, "b"),
        (0.10, {"a": 0.30, "b": 0.30}, "a"),  # of equals the earlier
        (0.10, {"a": 0.10}, "popular"),  # an equal of the floor does not beat it
        (0.10, {"a": 0.09}, "popular"),
        (0.10, {"a": math.nan, "b": 0.2}, "b"),
        (0.10, {"a": math.nan}, "popular"),
        (0.10, {"a": None}, "popular"),
        (0.00, {"a": 0.0}, "popular"),
    ],
)
@pytest.mark.parametrize("is_floor_last", [False, True])
def test_the_winner(floor: float, candidates: dict[str, float | None], winner: str, is_floor_last: bool) -> None:
    results = [result("popular", floor, is_floor=True)]
    others = [result(name, value) for name, value in candidates.items()]
    decision = choose(others + results if is_floor_last else results + others, METRIC)
    assert (decision["name"], decision["run_id"]) == (winner, f"run of {winner}")
    assert decision[f"floor_{METRIC}"] == floor
    assert decision[METRIC] == (floor if winner == "popular" else candidates[winner])
    assert f"{floor:.4f}" in decision["reason"]
    assert ("the floor itself is the champion" in decision["reason"]) == (winner == "popular")


@pytest.mark.parametrize(
    "results",
    [
        [],
        [result("a", 0.3)],
        [result("a", 0.3), result("popular", None, is_floor=True)],
        [result("a", 0.3), result("popular", math.nan, is_floor=True)],
    ],
)
def test_without_a_floor_nothing_is_chosen(results: list[dict[str, Any]]) -> None:
    with pytest.raises(TrainingError, match=r"The popularity floor has no ndcg_at_10, .* read the log of its task"):
        choose(results, METRIC)


@given(st.floats(0, 1), st.lists(st.one_of(st.none(), st.floats(0, 1), st.just(math.nan)), max_size=6))
def test_the_champion_is_never_worse_than_the_floor(floor: float, values: list[float | None]) -> None:
    results = [result(f"c{at}", value) for at, value in enumerate(values)]
    decision = choose([result("popular", floor, is_floor=True), *results], METRIC)
    assert decision[METRIC] == max([floor, *(v for v in values if v is not None and not math.isnan(v))])


def test_the_table_has_a_line_for_each_candidate_best_first() -> None:
    results = [result("popular", 0.1, is_floor=True), result("als", 0.25), result("broken", math.nan)]
    head, *lines = table(results, 10).splitlines()
    assert head.split() == [f"{name}_at_10" for name in
                            ("ndcg", "recall", "precision", "map", "mrr", "hit_rate", "coverage")]  # fmt: skip
    assert [line.split()[:2] for line in lines] == [["als", "0.2500"], ["popular", "0.1000"], ["broken", "nan"]]
