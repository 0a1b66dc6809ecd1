"""An expectation about rows holds on the witnesses exactly if it holds on all rows, whatever their order."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.contracts import ITEMS, QUARANTINE, RATINGS, RECOMMENDATIONS, TABLES, Column, Table
from expectations.evaluation import evaluate
from expectations.looks import Look
from expectations.schema import arrow_schema
from expectations.suite import build
from expectations.witnesses import witnesses

START = datetime(2020, 1, 1, tzinfo=UTC)
SCALE = Column("rating", "double", "the rating", minimum=0.5, maximum=5)
TEXTS = ["", "a", "b", "ä", "e\u0301", "日本", "x" * 64, "y" * 256, "y" * 257, "ö" * 257]
NUMBERS = [0.0, -0.0, 0.5, 1.0, 5.0, 5.5, -3.0, math.inf, -math.inf, math.nan]


def values(column: Column) -> st.SearchStrategy[Any]:
    """Good and bad values of a column; nulls are rare, so that most frames break few rules."""
    texts = st.sampled_from([*column.allowed, *TEXTS] if column.allowed else TEXTS)
    of_type: dict[str, st.SearchStrategy[Any]] = {
        "string": texts,
        "long": st.integers(-1, 5) | st.just(2**60),
        "double": st.sampled_from(NUMBERS),
        "timestamp": st.integers(-3, 3).map(lambda days: START + timedelta(days=days)),
        "strings": st.lists(st.sampled_from("ab"), max_size=2),
        "boolean": st.booleans(),
        "reasons": st.lists(st.just({"item_id": "a", "title": "A", "share": 0.5}), max_size=2),
    }
    return of_type[column.type] | (st.none() if column.name < "s" else st.nothing())


@st.composite
def parts(draw: st.DrawFn, table: Table) -> pa.Table:
    """Rows of a table, in chunks, with texts as dictionaries (that have unused values) or not."""
    narrow = [
        st.lists(draw(st.sampled_from([values(column), st.just(draw(values(column)))])), min_size=12, max_size=12)
        for column in table.columns
    ]
    n_rows = draw(st.integers(0, 12))
    drawn = {column.name: draw(some)[:n_rows] for column, some in zip(table.columns, narrow, strict=True)}
    part = pa.table(drawn, schema=arrow_schema(table))
    if draw(st.booleans()):
        cut = draw(st.integers(0, n_rows))
        part = pa.concat_tables([part.slice(0, cut), part.slice(cut)])
    if draw(st.booleans()):
        for position, column in enumerate(table.columns):
            if column.type == "string":
                part = part.set_column(position, column.name, coded(part.column(position), draw(st.booleans())))
    return part


def coded(texts: pa.ChunkedArray, has_unused: bool) -> pa.Array:
    unused = ["", "z" * 300] if has_unused else []
    distinct = [text for text in dict.fromkeys([*unused, *texts.to_pylist()]) if text is not None]
    indices = [None if text is None else distinct.index(text) for text in texts.to_pylist()]
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(distinct, pa.string()))


def broken(part: pa.Table, columns: list[Column]) -> set[tuple[str, str]]:
    """The slow twin of Great Expectations: which rules of which columns some value breaks."""
    found = set()
    for column in columns:
        for value in part.column(column.name).to_pylist():
            is_missing = value is None or value != value
            if is_missing:
                found |= set() if column.is_nullable else {(column.name, "null")}
                continue
            if column.type == "double" and math.isinf(value):
                found.add((column.name, "range"))
            if column.type in ("long", "double"):
                low, high = column.minimum, column.maximum
                if (low is not None and value < low) or (high is not None and value > high):
                    found.add((column.name, "range"))
            if column.type == "string":
                low, high = column.min_length or 0, column.max_length or math.inf
                if not low <= len(value) <= high:
                    found.add((column.name, "length"))
                if column.allowed and value not in column.allowed:
                    found.add((column.name, "allowed"))
    return found


def with_scale(table: Table) -> list[Column]:
    return [SCALE if column.name == "rating" else column for column in table.columns]


CASES = st.sampled_from([RATINGS, ITEMS, QUARANTINE, RECOMMENDATIONS]).flatmap(
    lambda table: st.tuples(st.just(table), parts(table))
)


@settings(max_examples=400, deadline=None)
@given(case=CASES)
def test_the_witnesses_break_what_the_rows_break(case: tuple[Table, pa.Table]) -> None:
    table, part = case
    found = witnesses(part, table)
    assert broken(found, with_scale(table)) == broken(part, with_scale(table))
    assert found.schema == arrow_schema(table)
    assert all(row in rows(part) for row in rows(found))
    assert len({repr(row) for row in rows(found)}) == found.num_rows or has_twins(part)


@settings(max_examples=200, deadline=None)
@given(case=CASES, seed=st.integers(0, 99), cut=st.integers(0, 12))
def test_neither_order_nor_cuts_change_them(case: tuple[Table, pa.Table], seed: int, cut: int) -> None:
    table, part = case
    found = witnesses(part, table)
    shuffled = random.Random(seed).sample(range(part.num_rows), part.num_rows)
    assert rows(witnesses(part.take(pa.array(shuffled, pa.int64())), table)) == rows(found)
    of_parts = pa.concat_tables([witnesses(part.slice(0, cut), table), witnesses(part.slice(cut), table)])
    assert rows(witnesses(of_parts, table)) == rows(found)


@settings(max_examples=12, deadline=None)
@given(case=CASES)
def test_great_expectations_says_the_same(case: tuple[Table, pa.Table]) -> None:
    table, part = case
    suite = build(table, with_scale(table), checks=(), advice="")
    plain = part.cast(arrow_schema(table))

    def verdicts(witnessed: pa.Table) -> dict[tuple[str, str], bool]:
        tallies = evaluate(suite, Look(part.num_rows, (witnessed,), {}), lambda: [witnessed])
        found = [tally.outcome() for tally in tallies]
        return {(one.expectation, one.column): one.success for one in found}

    assert verdicts(witnesses(part, table)) == verdicts(plain)


def rows(part: pa.Table) -> list[dict[str, Any]]:
    """Rows as the rules see them: NaN is as missing as null, and -0.0 is 0.0."""
    return [{name: shown(value) for name, value in row.items()} for row in part.to_pylist()]


def shown(value: Any) -> str:
    is_missing = value is None or value != value
    return "missing" if is_missing else repr(value + 0.0 if isinstance(value, float) else value)


def has_twins(part: pa.Table) -> bool:
    return len({repr(row) for row in rows(part)}) < part.num_rows


def test_a_witness_tells_where_it_is() -> None:
    n = 1000
    part = pa.table(
        {
            "user_id": [str(line) for line in range(n)],
            "item_id": ["1"] * n,
            "rating": [3.0] * 500 + [9.0] + [3.0] * 499,
            "rated_at": [START] * n,
            "source_sha256": ["a" * 64] * n,
            "source_file": ["ratings.csv"] * n,
            "source_line": list(range(2, n + 2)),
        },
        schema=arrow_schema(RATINGS),
    )
    found = {row["source_line"]: row["rating"] for row in witnesses(part, RATINGS).to_pylist()}
    assert found[502] == 9.0
    assert 2 in found
    assert len(found) < 10


def test_at_most_five_strangers() -> None:
    rows = [dict.fromkeys(QUARANTINE.column_names, "x") | {"source_line": 1, "reason": f"r{n}"} for n in range(50)]
    found = witnesses(pa.Table.from_pylist(rows, schema=arrow_schema(QUARANTINE)), QUARANTINE)
    assert sorted(set(found.column("reason").to_pylist())) == ["r0", "r1", "r10", "r11", "r12"]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_rows_has_none(name: str) -> None:
    assert witnesses(arrow_schema(TABLES[name]).empty_table(), TABLES[name]).num_rows == 0


def test_columns_that_are_missing_or_of_another_type_have_none() -> None:
    odd = pa.table({"user_id": [1, 2], "rating": [9.0, 1.0], "mood": ["", "x"]})
    assert witnesses(odd, RATINGS).to_pylist() == [
        {"user_id": 2, "rating": 1.0, "mood": "x"},
        {"user_id": 1, "rating": 9.0, "mood": ""},
    ]
