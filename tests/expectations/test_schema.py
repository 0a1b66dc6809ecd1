"""What the other rooms take from the contract is the contract: schemas of Arrow, Spark and DuckDB, and the suites."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from expectations.contracts import TABLES, Table
from expectations.schema import DUCKDB_TYPES, SPARK_TYPES, arrow_schema, duckdb_ddl, spark_ddl
from expectations.suites import suite_of

ALL = pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
# A value of each type, and one that is none of it.
VALUES: dict[str, tuple[Any, Any]] = {
    "string": ("x", 1),
    "long": (2**60, "x"),
    "double": (0.5, "x"),
    "timestamp": (datetime(2020, 1, 1, tzinfo=UTC), "x"),
    "strings": (["x"], 1),
    "boolean": (True, "x"),
    "reasons": ([{"item_id": "x", "title": "X", "share": 0.5}], 1),
}


@ALL
def test_names_are_told_apart(table: Table) -> None:
    assert len(set(table.column_names)) == len(table.columns)
    assert {*table.key, *(name for group in table.also_unique for name in group)} <= set(table.column_names)
    assert table.partition not in table.column_names


@ALL
def test_arrow_takes_values_of_the_contract_alone(table: Table) -> None:
    schema = arrow_schema(table)
    assert schema.names == table.column_names
    for column in table.columns:
        good, bad = VALUES[column.type]
        assert pa.array([good], schema.field(column.name).type).to_pylist() == [good]
        with pytest.raises(pa.ArrowException):
            pa.array([bad], schema.field(column.name).type)


@ALL
def test_spark_reads_the_same_schema(table: Table) -> None:
    # PySpark reads DDL in a session alone, but tells which Arrow types its own are without one.
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    # The one type that has commas itself stands for its name here.
    ddl = spark_ddl(table).replace(SPARK_TYPES["reasons"], "reasons")
    fields = dict(part.strip().split(" ", 1) for part in ddl.split(","))
    assert list(fields) == table.column_names
    names = {"string": "string", "bigint": "long", "double": "double", "timestamp": "timestamp", "boolean": "boolean"}

    def described(name: str, kind: Any) -> dict[str, Any]:
        return {"name": name, "type": kind, "nullable": True, "metadata": {}}

    def array(of: Any) -> dict[str, Any]:
        return {"type": "array", "elementType": of, "containsNull": True}

    reason = [described("item_id", "string"), described("title", "string"), described("share", "double")]
    nested = {"array<string>": array("string"), "reasons": array({"type": "struct", "fields": reason})}
    struct = [described(name, nested.get(kind) or names[kind]) for name, kind in fields.items()]
    found = to_arrow_schema(StructType.fromJson({"type": "struct", "fields": struct}), timezone="UTC")
    assert [str(field.type).replace("element", "item") for field in found] == [
        str(field.type) for field in arrow_schema(table)
    ]
    assert spark_ddl(table, table.column_names[:1]) == ddl.split(",")[0]


@ALL
def test_duckdb_makes_the_same_table(table: Table) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"create table made ({duckdb_ddl(table)})")
        found = connection.execute(
            "select column_name, data_type, is_nullable from duckdb_columns() where table_name = 'made'"
        ).fetchall()
        assert found == [(column.name, DUCKDB_TYPES[column.type], column.is_nullable) for column in table.columns]
        connection.register("rows", arrow_schema(table).empty_table())
        connection.execute("insert into made by name from rows")


@pytest.mark.parametrize("name", ["ratings", "items", "splits", "quarantine", "recommendations"])
def test_suites_say_what_the_contract_says(name: str) -> None:
    table = TABLES[name]
    rows = {(one.expectation_type, one.column): one for one in suite_of(name).rows}
    for column in table.columns:
        kinds = {kind for kind, about in rows if about == column.name}
        is_bounded = column.minimum is not None or column.maximum is not None or column.type == "double"
        has_length = column.min_length is not None or column.max_length is not None
        assert kinds == {
            *([] if column.is_nullable else ["expect_column_values_to_not_be_null"]),
            *(["expect_column_values_to_be_between"] if is_bounded else []),
            *(["expect_column_value_lengths_to_be_between"] if has_length else []),
            *(["expect_column_values_to_be_in_set"] if column.allowed else []),
        }
        if has_length:
            length = rows["expect_column_value_lengths_to_be_between", column.name]
            assert (length.min_value, length.max_value) == (column.min_length, column.max_length)
    uniques = {check.name for check in suite_of(name).checks if check.name.startswith("n_repeated_")}
    assert uniques == {f"n_repeated_{'_'.join(group)}" for group in (table.key, *table.also_unique) if group}
