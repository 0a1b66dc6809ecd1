"""`marquee sql`: a question to the published tables."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from marquee.errors import LakeError, ReleaseError, SettingsError
from marquee.settings import settings

if TYPE_CHECKING:
    import duckdb
    from pyarrow.dataset import Dataset

LAKE_TABLE = re.compile(r"\blake_(\w+)")
BATCH = 10_000
SHOWN = 100


def sql(
    query: Annotated[str, typer.Argument(help='As "from recommendations limit 10".', show_default=False)],
    as_csv: Annotated[bool, typer.Option("--csv", help="All rows as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All rows as a JSON array of objects.")] = False,
) -> None:
    """Ask the published tables, as recommendations, popular_items or release; `show tables` names them all.

    The tables of the lake are there by the names lake_ratings, lake_items, lake_quarantine and so on; ratings and items
    at the versions that the release was made from.
    """
    if as_csv and as_json:
        raise SettingsError("--csv and --json exclude each other: give one of them.")
    names, rows = ask(query)
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    elif as_json:
        _write_json(names, rows)
    else:
        _show(names, rows)


def ask(query: str, parameters: list[Any] | None = None) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Column names, and the rows one by one, of a query to the current release, opened for reading only.

    Raises:
        ReleaseError: there is no release yet, or the query is wrong (then with DuckDB's reason).
        LakeError: it names a table of the lake that is not there, or the store refuses.
    """
    import duckdb

    from marquee.releases import connect

    connection = connect(settings().var / "serving")
    try:
        for table in dict.fromkeys(LAKE_TABLE.findall(query.lower())):
            connection.register(f"lake_{table}", _of_lake(connection, table))
        answer = connection.execute(query, parameters or [])
    except duckdb.Error as error:
        connection.close()
        raise _wrong(error) from None
    except LakeError:
        connection.close()
        raise
    names = [column[0] for column in answer.description or []]

    def rows() -> Iterator[tuple[Any, ...]]:
        with connection:
            try:
                while batch := answer.fetchmany(BATCH):
                    yield from batch
            except duckdb.Error as error:
                raise _wrong(error) from None

    return names, rows()


def _of_lake(connection: duckdb.DuckDBPyConnection, table: str) -> Dataset:
    """A table of the lake: at the version that the release names, else the newest."""
    from marquee.cli.lake import lake
    from marquee.lake import tables

    (about,) = connection.sql("FROM release").to_arrow_table().to_pylist()
    version = about.get(f"{table}_version")
    return tables.dataset(lake(), table, tables.open_table(lake(), table).version() if version is None else version)


def _wrong(error: Exception) -> ReleaseError:
    reason = " ".join(str(error).split("\n\n")[0].split())
    return ReleaseError(
        f'The query can\'t be answered ({reason}): mend it; `marquee sql "show tables"` lists the tables.'
    )


def _write_json(names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    sys.stdout.write("[")
    for position, row in enumerate(rows):
        # JSON has no NaN and no infinity
        values = [None if isinstance(value, float) and not math.isfinite(value) else value for value in row]
        text = json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False, default=str)
        sys.stdout.write(f"{',' if position else ''}\n  {text}")
    sys.stdout.write("\n]\n")


def _show(names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    shown: list[list[Text]] = []
    n_rows = 0
    for row in rows:
        n_rows += 1
        if n_rows <= SHOWN:
            shown.append([Text("NULL", style="dim") if value is None else Text(str(value)) for value in row])
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for cells in shown:
        table.add_row(*cells)
    # A table that is wider than the screen would break every value: its rows stand below each other instead.
    if console.measure(table, options=console.options.update(width=100_000)).maximum <= console.width:
        console.print(table)
    else:
        for cells in shown:
            console.print(_upright(names, cells), "")
    rest = f"; the first {SHOWN} are shown, --csv gives all" if n_rows > SHOWN else ""
    console.print(f"{n_rows:,} row{'' if n_rows == 1 else 's'}{rest}", style="dim")


def _upright(names: list[str], cells: list[Text]) -> Table:
    """A row as lines of name and value."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, cell in zip(names, cells, strict=True):
        table.add_row(Text(name), cell)
    return table
