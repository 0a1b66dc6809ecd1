"""Every ranking metric on lists that a reader can check by eye: H is a hit, . is none, best place first."""

from __future__ import annotations

from math import log2, nan

import numpy as np
import pytest

from marquee.metrics import RANKING, summarize

L2, L3 = 1 / log2(3), 1 / log2(4)  # discounts of the places 2 and 3; that of place 1 is 1

# list, n_relevant, k  ->  ndcg, recall, precision, map, mrr, hit_rate
MATRIX = [
    ("H..", 1, 3, (1, 1, 1 / 3, 1, 1, 1)),
    (".H.", 1, 3, (L2, 1, 1 / 3, 1 / 2, 1 / 2, 1)),
    ("..H", 1, 3, (L3, 1, 1 / 3, 1 / 3, 1 / 3, 1)),
    ("...", 1, 3, (0, 0, 0, 0, 0, 0)),
    ("HHH", 3, 3, (1, 1, 1, 1, 1, 1)),
    ("HHH", 6, 3, (1, 1 / 2, 1, 1, 1, 1)),  # more relevant than places: ideal all the same
    ("H.H", 2, 3, ((1 + L3) / (1 + L2), 1, 2 / 3, (1 + 2 / 3) / 2, 1, 1)),
    (".HH", 2, 3, ((L2 + L3) / (1 + L2), 1, 2 / 3, (1 / 2 + 2 / 3) / 2, 1 / 2, 1)),
    (".HH", 4, 3, ((L2 + L3) / (1 + L2 + L3), 1 / 2, 2 / 3, (1 / 2 + 2 / 3) / 3, 1 / 2, 1)),
    ("..H", 1, 2, (0, 0, 0, 0, 0, 0)),  # the hit comes after the cut
    ("H.H", 2, 1, (1, 1 / 2, 1, 1, 1, 1)),
    ("...", 0, 3, (nan,) * 6),  # nothing to find: no verdict, not 0
]


def hits(*lists: str) -> np.ndarray:
    return np.array([[place == "H" for place in one] for one in lists])


@pytest.mark.parametrize(("one", "n_relevant", "k", "expected"), MATRIX)
def test_values(one: str, n_relevant: int, k: int, expected: tuple[float, ...]) -> None:
    found = {name: metric(hits(one), np.array([n_relevant]), k)[0] for name, metric in RANKING.items()}
    assert list(RANKING) == ["ndcg", "recall", "precision", "map", "mrr", "hit_rate"]
    assert found == pytest.approx(dict(zip(RANKING, expected, strict=True)), abs=1e-12, nan_ok=True)


def test_summary_is_the_mean_over_users_with_something_to_find() -> None:
    summary = summarize(hits("H..", "...", "..."), np.array([1, 1, 0]), ks=[1, 3])
    assert list(summary)[:2] == ["ndcg_at_1", "recall_at_1"]
    assert summary["ndcg_at_3"] == 0.5
    assert summary["precision_at_3"] == pytest.approx(1 / 6)
    assert len(summary) == 2 * len(RANKING)


def test_summary_of_nobody_is_nan_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    for lists, n_relevant in ((hits("..."), np.array([0])), (np.zeros((0, 3), bool), np.zeros(0, np.int64))):
        assert all(np.isnan(value) for value in summarize(lists, n_relevant, ks=[3]).values())
    assert not recwarn.list


@pytest.mark.parametrize(
    ("lists", "n_relevant", "k", "said"),
    [
        (hits("HH."), np.array([1]), 3, "Row 0 holds 2 hits, but only 1 items are relevant"),
        (hits("H.."), np.array([1]), 4, "k is 4, but the lists have 3 places"),
        (hits("H.."), np.array([1]), 0, "k is 0"),
        (hits("H.."), np.array([1, 1]), 3, "n_relevant must be integers"),
        (hits("H.."), np.array([1.0]), 3, "n_relevant must be integers"),
        (hits("H..").astype(int), np.array([1]), 3, "is_hit must be bool"),
    ],
)
def test_refusals(lists: np.ndarray, n_relevant: np.ndarray, k: int, said: str) -> None:
    for metric in RANKING.values():
        with pytest.raises(ValueError, match=said):
            metric(lists, n_relevant, k)
