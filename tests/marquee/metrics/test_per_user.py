"""All metrics of lists at once, and the cards that go with them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from marquee.metrics import RANKING, Catalogue, intervals, mark, per_user
from marquee.metrics.cards import FORMULAS, cards

LISTS = np.array([[3, 1, 0], [2, 4, -1], [0, 1, 2]])
RELEVANT = (np.array([0, 2, 3, 3]), np.array([1, 4, 2]))
CATALOGUE = Catalogue(np.array([50, 30, 10, 6, 4]), 60, np.eye(5, dtype=np.float32))


def test_every_metric_is_the_one_of_its_own_file() -> None:
    columns = per_user(LISTS, RELEVANT, LISTS[::-1], CATALOGUE, [1, 3])
    is_hit, n_relevant = mark(LISTS, *RELEVANT)
    for k in (1, 3):
        for name, metric in RANKING.items():
            np.testing.assert_array_equal(columns[f"{name}_at_{k}"], metric(is_hit, n_relevant, k))
    assert columns["diversity_at_3"].tolist() == [1.0, 1.0, 1.0]
    assert all(column.shape == (3,) for column in columns.values())
    assert {name.rsplit("_at_", 1)[0] for name in columns} == set(FORMULAS) - {"auc"}
    assert "diversity_at_3" not in per_user(LISTS, RELEVANT, LISTS, Catalogue(CATALOGUE.n_ratings, 60), [3])


def test_recall_by_segment_by_eye() -> None:
    # item 0 is head, 1 middle, 2 to 4 tail; user 0 wants 1 and 4 and gets 1; user 1 wants 2 and gets it; user 2 nothing
    columns = per_user(LISTS, RELEVANT, LISTS, CATALOGUE, [3])
    head, middle, tail = (columns[f"recall_{name}_at_3"].tolist() for name in ("head", "middle", "tail"))
    assert all(math.isnan(value) for value in head)
    assert middle[0] == 1.0 and math.isnan(middle[1]) and math.isnan(middle[2])
    assert tail[:2] == [0.0, 1.0] and math.isnan(tail[2])


def test_a_card_tells_what_a_figure_is_of() -> None:
    columns = per_user(LISTS, RELEVANT, LISTS, CATALOGUE, [3])
    found = intervals(columns, seed=7)
    assert found["ndcg_at_3"].n_users == 2 and found["novelty_at_3"].n_users == 3
    made = cards(found, {"ratings_version": 4, "split": {"protocol": "time"}}, k=3, seed=7)
    assert [card["metric"] for card in made] == list(columns)
    for card in made:
        assert card["formula"] and card["ratings_version"] == 4 and card["k"] == 3 and card["seed"] == 7
        assert card["value"] is None or card["low"] is None or card["low"] <= card["value"] <= card["high"]
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made[0]["value"] == pytest.approx(np.nanmean(columns["ndcg_at_3"]))
