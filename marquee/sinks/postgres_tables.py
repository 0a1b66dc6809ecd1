"""One table of a release into PostgreSQL: its rows, types, comments and indexes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import psycopg

#: Columns that look-ups name, each with an index in every table that has it.
INDEXED = ("user_id", "item_id")
ROWS_AT_ONCE = 10_000
TYPES = {
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "TINYINT": "smallint",
    "UTINYINT": "smallint",
    "SMALLINT": "smallint",
    "USMALLINT": "integer",
    "INTEGER": "integer",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "UBIGINT": "numeric",
    "HUGEINT": "numeric",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}


def names_of(source: duckdb.DuckDBPyConnection) -> list[str]:
    """The tables of the database `published`, in order."""
    rows = source.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'published' ORDER BY ALL")
    return [str(name) for (name,) in rows.fetchall()]


def copy_table(
    source: duckdb.DuckDBPyConnection, target: psycopg.Connection[Any], table: str, schema: str, new: str
) -> None:
    """Make the table `new` of the schema from a table of the database `published`, in the transaction under way.

    Raises:
        duckdb.Error, psycopg.Error: as they come.
    """
    from psycopg import sql

    columns = source.execute(
        "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() "
        "WHERE database_name = 'published' AND table_name = ? ORDER BY column_index",
        [table],
    ).fetchall()
    about = source.execute(
        "SELECT comment FROM duckdb_tables() WHERE database_name = 'published' AND table_name = ?", [table]
    ).fetchone()
    types = [_type(data_type) for _, data_type, _, _ in columns]
    name = sql.Identifier(schema, new)
    parts = [
        sql.SQL("{} {}{}").format(sql.Identifier(column), sql.SQL(kind), sql.SQL("" if nullable else " NOT NULL"))
        for (column, _, nullable, _), kind in zip(columns, types, strict=True)
    ]
    target.execute(sql.SQL("CREATE TABLE {} ({})").format(name, sql.SQL(", ").join(parts)))
    read = ", ".join(_read(*column[:2]) for column in columns)
    rows = source.execute(f"SELECT {read} FROM published.{_quoted(table)}")  # noqa: S608 - names of its own catalogue
    # FREEZE: a transaction that looked at the database before the swap, and asks for this table after it, sees the rows
    command = sql.SQL("COPY {} FROM STDIN (FORMAT BINARY, FREEZE)").format(name)
    with target.cursor() as cursor, cursor.copy(command) as copy:
        copy.set_types(types)
        while batch := rows.fetchmany(ROWS_AT_ONCE):
            for row in batch:
                copy.write_row(_sent(row, types))
    for column, _, _, said in columns:
        column_name = sql.Identifier(schema, new, column)
        target.execute(sql.SQL("COMMENT ON COLUMN {} IS {}").format(column_name, sql.Literal(said)))
        if column in INDEXED:
            target.execute(sql.SQL("CREATE INDEX ON {} ({})").format(name, sql.Identifier(column)))
    target.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(about[0] if about else None)))
    target.execute(sql.SQL("ANALYZE {}").format(name))


def copy_grants(target: psycopg.Connection[Any], schema: str, old: str, new: str) -> None:
    """Let the same people do the same with the table `new` as with `old`, and nobody else; columns as well.

    Raises:
        psycopg.Error: as it comes.
    """
    from psycopg import sql

    name = sql.Identifier(schema, new)
    for who in {grantee for grantee, _, _, _ in _grants(target, schema, new)}:
        target.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(name, _role(who)))
    for who, privilege, column, may_pass_on in _grants(target, schema, old):
        columns = sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL("")
        # the new table may have no such column any more
        if column and not _has_column(target, schema, new, column):
            continue
        more = sql.SQL(" WITH GRANT OPTION" if may_pass_on else "")
        target.execute(sql.SQL("GRANT {}{} ON {} TO {}{}").format(sql.SQL(privilege), columns, name, _role(who), more))


def _grants(target: psycopg.Connection[Any], schema: str, table: str) -> list[tuple[Any, ...]]:
    """Who (None: everybody), privilege, column (None: the table), and whether it may be passed on; but the owner's."""
    return target.execute(
        """
        WITH given AS (
            SELECT c.relowner, NULL AS attname, aclexplode(c.relacl) AS acl
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = %(schema)s AND c.relname = %(table)s
            UNION ALL
            SELECT c.relowner, a.attname, aclexplode(a.attacl)
            FROM pg_attribute AS a
            JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = %(schema)s AND c.relname = %(table)s
        )
        SELECT r.rolname, (acl).privilege_type, attname, (acl).is_grantable
        FROM given LEFT JOIN pg_roles AS r ON r.oid = (acl).grantee
        WHERE (acl).grantee <> relowner
        """,
        {"schema": schema, "table": table},
    ).fetchall()


def _has_column(target: psycopg.Connection[Any], schema: str, table: str, column: str) -> bool:
    query = "SELECT 1 FROM information_schema.columns WHERE (table_schema, table_name, column_name) = (%s, %s, %s)"
    return target.execute(query, [schema, table, column]).fetchone() is not None


def _role(name: str | None) -> Any:
    from psycopg import sql

    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)


def _type(data_type: str) -> str:
    """PostgreSQL's type for DuckDB's; what has no match, as a struct or a list of them, is jsonb."""
    base = data_type.removesuffix("[]")
    if base in TYPES:
        return TYPES[base] + ("[]" if base != data_type else "")
    return "jsonb"


def _read(column: str, data_type: str) -> str:
    return f"to_json({_quoted(column)})::VARCHAR" if _type(data_type) == "jsonb" else _quoted(column)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sent(row: Sequence[Any], types: Sequence[str]) -> list[Any]:
    """A row as psycopg writes it: the text of JSON as it is."""
    from psycopg.types.json import Jsonb

    return [
        Jsonb(value, dumps=str) if kind == "jsonb" and value is not None else value
        for value, kind in zip(row, types, strict=True)
    ]
