"""Schemas derived from the contracts: Arrow's, Spark's and DuckDB's."""

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
    "reasons": pa.list_(pa.struct([("item_id", pa.string()), ("title", pa.string()), ("share", pa.float64())])),
}
SPARK_TYPES: dict[Type, str] = {
    "string": "string",
    "long": "bigint",
    "double": "double",
    "timestamp": "timestamp",
    "strings": "array<string>",
    "boolean": "boolean",
    "reasons": "array<struct<item_id: string, title: string, share: double>>",
}
# DuckDB's own spelling, as its catalogue tells it; times are UTC.
DUCKDB_TYPES: dict[Type, str] = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "strings": "VARCHAR[]",
    "boolean": "BOOLEAN",
    "reasons": 'STRUCT(item_id VARCHAR, title VARCHAR, "share" DOUBLE)[]',
}


def arrow_schema(table: Table) -> pa.Schema:
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type]) for column in table.columns])


def spark_ddl(table: Table, columns: list[str] | None = None) -> str:
    """The table's columns (or those named, in their order) as Spark reads a schema: `user_id string, ...`."""
    types = {column.name: SPARK_TYPES[column.type] for column in table.columns}
    return ", ".join(f"{name} {types[name]}" for name in columns or table.column_names)


def duckdb_ddl(table: Table) -> str:
    """The columns of a `CREATE TABLE` in DuckDB: `"user_id" VARCHAR NOT NULL, ...`."""
    columns = ((column.name, DUCKDB_TYPES[column.type], column.is_nullable) for column in table.columns)
    return ", ".join(f'"{name}" {kind}{"" if is_nullable else " NOT NULL"}' for name, kind, is_nullable in columns)
