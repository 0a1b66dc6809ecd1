"""What MLflow's pages say."""

from __future__ import annotations

import json
import math

import pytest

from marquee import model_cards

METRICS = {"ndcg_at_10": 0.12, "floor_ndcg_at_10": 0.08, "ndcg_at_5": 0.1, "floor_ndcg_at_5": 0.0, "fit_seconds": 3.0}
MORE = {
    "ndcg_at_10_low": 0.1, "ndcg_at_10_high": 0.14, "ndcg_at_10_light": 0.2, "cold_ndcg_at_10": 0.05,
    "evaluated_users": 28.0, "test_ratings": 200.0, "test_ratings_of_cold_items": 25.0,
}  # fmt: skip


def test_each_metric_stands_beside_the_floors() -> None:
    assert model_cards.beside_floor(METRICS) == [
        ("fit_seconds", 3.0, None),
        ("ndcg_at_5", 0.1, 0.0),
        ("ndcg_at_10", 0.12, 0.08),
    ]


def test_what_is_no_number_is_left_out() -> None:
    assert model_cards.finite({"a": 1, "b": math.nan, "c": math.inf}) == {"a": 1.0}


def test_the_page_of_a_run() -> None:
    snapshot = {"ratings_version": 3, "raw_sha256": ["aa", "bb"], "ingest_run_ids": []}
    tags = {
        "marquee.snapshot": json.dumps(snapshot),
        "airflow.run_id": "manual__1",
        "airflow.url": "http://127.0.0.1:8080/dags/train_recommender/runs/manual__1",
    }
    assert (
        model_cards.run_card("als-rank-32", METRICS | MORE, tags)
        == """**als-rank-32**

| metric | this model | 95 % interval | popularity floor | ratio |
|---|---:|---|---:|---:|
| ndcg_at_5 | 0.1000 |  | 0.0000 |  |
| ndcg_at_10 | 0.1200 | 0.1000 to 0.1400 | 0.0800 | 1.50 |

Slices:

- light users: ndcg_at_10 0.2000
- users who are new on the test side, by popular items: ndcg_at_10 0.0500

Limits:

- what people rate is what they have come across: figures tell who foretells ratings, not what is liked most
- the split in time is one: another month may tell otherwise
- 28 users were judged: intervals are wide
- 12.5% of the test ratings are of items without a rating before: no list holds them

Data:

- ratings_version: `3`
- raw_sha256: `aa`, `bb`
- ingest_run_ids: none

Airflow run [manual__1](http://127.0.0.1:8080/dags/train_recommender/runs/manual__1)"""
    )


@pytest.mark.parametrize("snapshot", ["", "{", "[]", "3"])
def test_a_page_says_nothing_of_what_it_does_not_know(snapshot: str) -> None:
    tags = {"marquee.snapshot": snapshot, "airflow.run_id": "run", "airflow.url": "/dags/relative"}
    assert model_cards.run_card("name", {}, tags) == "**name**\n\nAirflow run `run`"


def test_the_page_of_a_version_says_why_first() -> None:
    card = model_cards.version_card("als", "abc", {}, {}, "It beats the floor.")
    assert card == "It beats the floor.\n\n**als**\n\nMLflow run `abc`"


def test_the_page_of_the_model_shows_code_that_parses() -> None:
    code = model_cards.model_card("films").split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert "models:/films@champion" in code
