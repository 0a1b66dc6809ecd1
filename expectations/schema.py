"""Schemas derived from the contracts: Arrow's and Spark's."""

from __future__ import annotations

import pyarrow as pa

from expectations.contracts import Table, Type

ARROW_TYPES: dict[Type, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "strings": pa.list_(pa.string()),
    "boolean": pa.bool_(),
}
SPARK_TYPES: dict[Type, str] = {
    "string": "string",
    "long": "bigint",
    "double": "double",
    "timestamp": "timestamp",
    "strings": "array<string>",
    "boolean": "boolean",
}


def arrow_schema(table: Table) -> pa.Schema:
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def spark_ddl(table: Table, columns: list[str] | None = None) -> str:
    """The table's columns (or those named, in their order) as Spark reads a schema: `user_id string, ...`."""
    types = {column.name: SPARK_TYPES[column.type] for column in table.columns}
    return ", ".join(f"{name} {types[name]}" for name in columns or table.column_names)
