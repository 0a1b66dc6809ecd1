"""The table of what was expected of each batch: replaced batch by batch, also by several at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from expectations.contracts import DATA_QUALITY
from expectations.quality_table import record
from expectations.report import Outcome, Report
from expectations.schema import arrow_schema
from marquee.errors import LakeError
from marquee.lake import tables
from marquee.lake.objects import Lake

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
MET = Outcome("expect_column_values_to_not_be_null", "rating", "fatal", True, 0, (), "", "rating: Never null nor NaN")
FAR = Outcome("expect_column_max_to_be_between", "rating_psi", "warning", False, 1, ("0.3",), "0.3", "rating_psi: far")


def report(table: str, *outcomes: Outcome) -> Report:
    return Report(table, 7, outcomes, "data_docs/x.html")


def read(lake: Lake) -> list[dict[str, Any]]:
    version = tables.current_version(lake, "data_quality")
    assert version is not None
    batches = list(tables.read_table(lake, "data_quality", version))
    found = pa.Table.from_batches(batches).select(DATA_QUALITY.column_names)
    assert found.cast(arrow_schema(DATA_QUALITY)).num_rows == found.num_rows
    rows: list[dict[str, Any]] = found.to_pylist()
    return sorted(rows, key=lambda row: (row["batch"], row["table_name"], row["column_name"]))


def test_a_batch_is_replaced_by_its_next_report(fresh_lake: Lake) -> None:
    record(fresh_lake, report("ratings", MET, FAR), "it's one", "run 1", AT)
    record(fresh_lake, report("items", MET), "it's one", "run 1", AT)
    record(fresh_lake, report("ratings", MET), "two", "run 2", AT)
    first = read(fresh_lake)
    assert [(row["batch"], row["table_name"], row["column_name"]) for row in first] == [
        ("it's one", "items", "rating"),
        ("it's one", "ratings", "rating"),
        ("it's one", "ratings", "rating_psi"),
        ("two", "ratings", "rating"),
    ]
    assert first[2] == {
        "batch": "it's one", "table_name": "ratings", "expectation": "expect_column_max_to_be_between",
        "column_name": "rating_psi", "severity": "warning", "is_met": False, "n_rows": 7, "unexpected_count": 1,
        "observed": "0.3", "sentence": "rating_psi: far", "run_id": "run 1", "checked_at": AT,
    }  # fmt: skip
    record(fresh_lake, report("ratings", MET), "it's one", "run 3", AT)
    assert [(row["batch"], row["run_id"]) for row in read(fresh_lake)] == [
        ("it's one", "run 1"),
        ("it's one", "run 3"),
        ("two", "run 2"),
    ]


def test_several_at_once_lose_nothing(fresh_lake: Lake) -> None:
    names = [f"batch {number}" for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: record(fresh_lake, report("ratings", MET, FAR), name, "run", AT), names))
    assert [row["batch"] for row in read(fresh_lake)] == [name for name in names for _ in range(2)]


def test_a_bucket_that_is_not_there(lake: Lake) -> None:
    gone = Lake(lake.endpoint, lake.region, "no-such-bucket", lake.access_key, lake.secret_key)
    with pytest.raises(LakeError, match="does not exist"):
        record(gone, report("ratings", MET), "one", "run", AT)
