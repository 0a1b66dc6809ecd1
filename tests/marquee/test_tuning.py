"""The search for parameters: seeded, within its budget, in two stages, pruned, and beginning with what is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from marquee.errors import TrainingError
from marquee.tuning import EARLY_ITERATIONS, ITERATIONS, Budget, Trial, search


def hill(params: dict[str, Any]) -> float:
    """Its top is at regularization .01, unobserved weight .1, rank 64, exponent .5; lower after few iterations."""
    height = -((math.log10(params["regularization"]) + 2) ** 2)
    height -= (math.log10(params.get("unobserved_weight", 0.1)) + 1) ** 2
    height -= 0.1 * math.log2(params["rank"] / 64) ** 2 + (params.get("regularization_exponent", 0.5) - 0.5) ** 2
    return height - 1 / params["iterations"]


def test_the_same_seed_finds_the_same_near_the_top() -> None:
    one, again = (search(hill, implicit=True, budget=Budget(60), seed=3) for _ in range(2))
    assert (one.params, one.value) == (again.params, again.value)
    assert one.value == pytest.approx(hill(one.params)) and one.value > -0.35
    assert one.params["iterations"] == ITERATIONS and one.params["alpha"] == 1.0
    assert search(hill, implicit=True, budget=Budget(60), seed=4).params != one.params


def test_regularization_and_unobserved_weight_are_searched_first() -> None:
    found = search(hill, implicit=True, budget=Budget(20), seed=1)
    assert len(found.trials) == 20
    first, rest = found.trials[:12], found.trials[12:]
    assert {(one.params["rank"], one.params["regularization_exponent"]) for one in first} == {(32, 1.0)}
    assert len({one.params["regularization"] for one in first}) > 8
    assert len({one.params["rank"] for one in rest}) > 1


def test_what_is_known_is_tried_first_and_what_is_poor_is_given_up() -> None:
    known = {"regularization": 0.01, "unobserved_weight": 0.1, "rank": 64, "regularization_exponent": 0.5, "alpha": 0.3}
    told: list[Trial] = []
    found = search(hill, implicit=True, budget=Budget(40), seed=1, known=[known], tell=told.append)
    assert told == list(found.trials)
    assert {name: told[0].params[name] for name in known} == known | {"alpha": 1.0}
    assert found.value == pytest.approx(-1 / ITERATIONS)
    pruned = [one for one in told if one.state == "pruned"]
    assert pruned and all(one.value is None and one.early is not None for one in pruned)


def test_a_trial_that_fails_is_told_and_the_search_goes_on() -> None:
    def steep(params: dict[str, Any]) -> float:
        if params["regularization"] < 0.01:
            raise TrainingError("The fit came to factors that are no finite numbers.")
        return hill(params)

    found = search(steep, implicit=True, budget=Budget(20), seed=1)
    failed = [one for one in found.trials if one.state == "fail"]
    assert failed and all(one.value is None for one in failed) and found.params["regularization"] >= 0.01


def test_minutes_end_a_search() -> None:
    found = search(hill, implicit=False, budget=Budget(minutes=0.02), seed=1)
    assert found.trials and "unobserved_weight" not in found.params


def test_pictures_show_history_and_importance() -> None:
    found = search(hill, implicit=True, budget=Budget(20), seed=1)
    assert set(found.pictures) == {"tuning_history.png", "tuning_importance.png"}


def test_refusals() -> None:
    with pytest.raises(ValueError, match="needs a budget"):
        search(hill, implicit=True, budget=Budget(), seed=1)
    with pytest.raises(ValueError, match="No trial came to a figure"):
        search(lambda _: math.nan, implicit=True, budget=Budget(3), seed=1)
    assert EARLY_ITERATIONS < ITERATIONS
