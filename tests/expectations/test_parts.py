"""Parts of any size become parts of a bounded one, with the same rows in the same order and types that stay."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from expectations.parts import regroup, to_pandas


@given(sizes=st.lists(st.integers(0, 12), max_size=6), rows=st.integers(1, 10))
def test_regroup_keeps_rows_and_order(sizes: list[int], rows: int) -> None:
    numbers = iter(range(sum(sizes)))
    parts = [pa.table({"n": pa.array([next(numbers) for _ in range(size)], pa.int64())}) for size in sizes]
    pieces = list(regroup(iter(parts), rows))
    assert [n for piece in pieces for n in piece.column("n").to_pylist()] == list(range(sum(sizes)))
    assert [piece.num_rows for piece in pieces[:-1]] == [rows] * (len(pieces) - 1)
    assert bool(pieces) == bool(sizes)


def test_regroup_never_joins_different_schemas() -> None:
    numbers, texts = pa.table({"n": [1]}), pa.table({"n": ["1"]})
    assert list(regroup([numbers, numbers, texts, numbers])) == [pa.concat_tables([numbers] * 2), texts, numbers]


def test_nulls_do_not_change_types() -> None:
    table = pa.table({
        "text": pa.array(["a", None]), "number": pa.array([2**60 + 1, None]), "share": pa.array([0.5, None]),
        "at": pa.array([1, None], pa.timestamp("us", "UTC")), "list": pa.array([["a"], None]),
    })  # fmt: skip
    frame = to_pandas(table)
    assert [str(dtype) for dtype in frame.dtypes] == [
        "string", "Int64", "float64", "datetime64[us, UTC]", "list<item: string>[pyarrow]",
    ]  # fmt: skip
    assert frame["number"][0] == 2**60 + 1
    assert frame.isna().sum().tolist() == [1] * 5
