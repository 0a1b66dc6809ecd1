"""A release as `build` takes it, small enough to check by eye, for the tests of whatever reads releases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from expectations.contracts import TABLES
from expectations.schema import arrow_schema

SHA = "a" * 64
ABOUT = {"model_name": "marquee", "model_version": "4", "mlflow_run_id": "run4"}


def of(table: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows by a table's contract; columns that are not given are null."""
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[table]))


def evaluation(**metrics: tuple[float, float | None]) -> pa.Table:
    """The model's value and the floor's of each metric; a floor of None: it has no such metric."""
    about = {"low": None, "high": None}
    rows = [
        {"candidate": name, "mlflow_run_id": run, "metric": metric, "value": pair[place], "is_champion": place == 0,
         "is_floor": place == 1, **about}
        for metric, pair in metrics.items()
        for place, (name, run) in enumerate((("als", "run4"), ("popular", "run3")))
        if pair[place] is not None
    ]  # fmt: skip
    return of("evaluation", rows)


def stamp(release_id: str, k: int, **changed: Any) -> pa.Table:
    row = {
        **ABOUT, "release_id": release_id, "created_at": datetime(2026, 11, 23, 18, 30, tzinfo=UTC).isoformat(),
        "trained_at": "2026-11-23T17:30:00+00:00", "ratings_version": 3, "items_version": 2,
        "recommendations_version": 1, "raw_sha256": [SHA, "b" * 64], "ingest_run_ids": ["manual__1", "manual__2"],
        "train_run_id": "asset__1", "publish_run_id": "asset__2", "is_generated": False, "k": k,
        "marquee_version": "0.1.0", "code_sha256": "d" * 64,
    }  # fmt: skip
    return pa.Table.from_pylist([row | changed])


def item(item_id: str, title: str, genres: list[str], line: int = 2, **changed: Any) -> dict[str, Any]:
    row = {"item_id": item_id, "title": title, "genres": genres, "is_listed": True, "source_sha256": SHA}
    return row | {"source_file": "movies.csv", "source_line": line} | changed


def tables(release_id: str, lists: list[dict[str, Any]], items: list[dict[str, Any]], k: int) -> dict[str, Any]:
    """All inputs: lists (`because` empty where it is not given) and items as given, the others small or empty."""
    lists = [{"because": [], **row} for row in lists]
    users = dict.fromkeys(row["user_id"] for row in lists)
    return {
        "recommendations": of("recommendations", lists),
        "items": of("items", items),
        "item_counts": pa.table(
            {
                "item_id": [row["item_id"] for row in items],
                "n_ratings": list(range(len(items) + 4, 4, -1)),
                "n_recent": list(range(len(items))),
            }
        ),
        "users": of("users", [{"user_id": one, "n_ratings": 1, "segment": "light", "is_cold": False} for one in users]),
        "similar_items": of("similar_items", []).drop_columns(["title"]),
        "clusters": of("clusters", []),
        "model_card": pa.Table.from_pylist([{"model_name": "marquee", "model_version": "4", "card": "**als**"}]),
        "evaluation": evaluation(ndcg_at_2=(0.25, 0.125), fit_seconds=(3.5, None)),
        "data_quality": of("data_quality", []),
        "release": stamp(release_id, k),
    }
