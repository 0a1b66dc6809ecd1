"""Narrow frames: what comes out is what went in, bit by bit, and what is usual takes few bytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.buckets import divided, packed, unpacked
from spark_jobs.narrow import RATINGS, widened

COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "user_id": st.sampled_from(["1", "2", "007", "ä"]),
    "item_id": st.sampled_from(["a", "b"]),
    "rating": st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 0.5, 4.5, 63.5, 64.0, -64.0, 0.1]),
    "rated_at": st.integers(0, 1 << 40)
    | st.sampled_from([0, 1_000_000, (1 << 32) * 1_000_000, 253_402_300_799_000_000]),
    "line": st.integers(1, 5) | st.integers(1, 1 << 40),
    "member": st.integers(0, 2),
}


def table(rows: dict[str, list[Any]]) -> pa.Table:
    plain = {"user_id": pa.string(), "item_id": pa.string()}
    columns = {name: pa.array(rows[name], plain.get(name, RATINGS.field(name).type)) for name in RATINGS.names}
    return pa.table(
        {name: column.dictionary_encode() if name in plain else column for name, column in columns.items()},
        schema=RATINGS,
    )


def travelled(rows: pa.Table, n_buckets: int) -> list[dict[str, Any]]:
    frames = [unpacked(packed(frame)) for _, frame in divided([rows], n_buckets)]
    found = [widened(frame) for frame in frames]
    assert all(one.schema.equals(RATINGS) for one in found)
    return [row for one in found for row in one.to_pylist()]


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(row) for row in rows)  # tells -0.0 from 0.0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 8), st.sampled_from([1, 4]), st.booleans(), st.data())
def test_rows_arrive_as_they_left(n: int, n_buckets: int, has_times: bool, data: st.DataObject) -> None:
    rows = {
        name: data.draw(st.one_of(st.lists(values, min_size=n, max_size=n), values.map(lambda one: [one] * n)))
        for name, values in COLUMNS.items()
    }
    if not has_times:
        rows["rated_at"] = [None] * n
    sent = table(rows)
    assert in_order(travelled(sent, n_buckets)) == in_order(sent.to_pylist())


@pytest.mark.parametrize("n_items", [1 << 16, (1 << 16) + 1])
def test_many_items(n_items: int) -> None:
    rows = {name: [one] * n_items for name, one in zip(RATINGS.names, ["1", "a", 3.5, 1_000_000, 1, 0], strict=True)}
    rows["item_id"] = [str(at) for at in range(n_items)]
    rows["line"] = list(range(1, n_items + 1))
    sent = table(rows)
    assert travelled(sent, 1) == sent.to_pylist()


def test_what_is_usual_takes_few_bytes() -> None:
    n = 1000
    rows = pa.table(
        {
            "user_id": pa.array(["1"] * n).dictionary_encode(),
            "item_id": pa.array([str(at % 50) for at in range(n)]).dictionary_encode(),
            "rating": pa.array(np.arange(n) % 10 / 2),
            "rated_at": pa.array(np.arange(n) * 1_000_000 + 1_700_000_000_000_000),
            "line": pa.array(np.arange(2, n + 2)),
            "member": pa.array(np.zeros(n, np.int32)),
        },
        schema=RATINGS,
    )
    ((_, frame),) = divided([rows], 1)
    types = {field.name: field.type for field in frame.schema}
    assert "member" not in types
    assert (types["rating"], types["rated_at"], types["line"]) == (pa.int8(), pa.uint32(), pa.uint8())
    assert types["item_id"].index_type == pa.uint16()
    assert math.isclose(sum(column.nbytes for column in frame.columns) / n, 10, rel_tol=0.1)
