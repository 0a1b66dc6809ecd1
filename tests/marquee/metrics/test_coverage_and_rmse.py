"""Metrics of all users together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from marquee.metrics import coverage, rmse


@pytest.mark.parametrize(
    ("lists", "n_items", "expected"),
    [
        ([[0, 1], [0, 1]], 4, 0.5),
        ([[0, 1], [2, 3]], 4, 1.0),
        ([[0, -1], [-1, -1]], 4, 0.25),
        ([[-1, -1]], 4, 0.0),
    ],
)
def test_coverage(lists: list[list[int]], n_items: int, expected: float) -> None:
    assert coverage(np.array(lists), n_items) == expected


def test_coverage_of_nothing() -> None:
    assert coverage(np.zeros((0, 10), np.int64), 4) == 0.0
    assert math.isnan(coverage(np.zeros((0, 10), np.int64), 0))


@pytest.mark.parametrize("lists", [[[0, 4]], [[0, -2]]])
def test_an_index_outside_of_the_catalogue_is_refused(lists: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="outside of a catalogue of 4"):
        coverage(np.array(lists), 4)


def test_rmse() -> None:
    assert rmse([1.0, 2.0, 5.0], [1.0, 4.0, 4.0]) == pytest.approx(math.sqrt(5 / 3))
    assert rmse([3.5], [3.5]) == 0.0
    assert math.isnan(rmse([], []))
    assert math.isnan(rmse([3.5, 1.0], [3.5, math.nan]))
    with pytest.raises(ValueError, match="one length"):
        rmse([1.0], [1.0, 2.0])
