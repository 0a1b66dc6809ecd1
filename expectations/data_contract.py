"""The page `docs/data-contract.md`, made from the contract: `python -m expectations.data_contract [FILE]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from expectations.contracts import DRIFTS, MAX_QUARANTINED, REASONS, TABLES, Column, Table
from expectations.schema import ARROW_TYPES, DUCKDB_TYPES, SPARK_TYPES
from expectations.suites import suite_of
from marquee.releases import PUBLISHED

TEMPLATES = Path(__file__).parent / "templates"
#: Tables that are validated, and those that lie in the lake.
VALIDATED = ("ratings", "items", "splits", "quarantine", "recommendations")
LAKE = (*VALIDATED, "data_quality", "decisions", "releases")
#: More values than these are not listed.
MAX_VALUES = 5


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="where to write the page; without it, to the output")
    file = parser.parse_args(argv).file
    if file is None:
        sys.stdout.write(page())
    else:
        file.write_text(page(), encoding="utf-8")
    return 0


def page() -> str:
    """The page as Markdown."""
    environment = Environment(  # noqa: S701 - Markdown of our own words, no HTML
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    tables = [
        {"name": table.name, "facts": " ".join(facts(table)), "columns": columns(table)} for table in TABLES.values()
    ]
    return environment.get_template("data_contract.md.j2").render(
        max_quarantined=f"{MAX_QUARANTINED:.0%}",
        reasons=reasons(),
        whole_tables=whole_tables(),
        drifts=drifts(),
        types=types(),
        tables=tables,
    )


def reasons() -> str:
    rows = [(f"`{one.code}`", one.meaning, "yes" if one.is_fault else "no") for one in REASONS]
    return markdown(("reason", "meaning", "fault"), rows)


def whole_tables() -> str:
    """The expectations about tables as a whole, but for drift."""
    drifting = {one.name for one in DRIFTS}
    rows = [
        (f"`{name}`", check.sentence.removesuffix("."), f"`{check.name}`", check.severity)
        for name in VALIDATED
        for check in suite_of(name, k=10 if name == "recommendations" else None).checks
        if check.name not in drifting
    ]
    return markdown(("table", "expectation", "number in the results", "severity"), rows)


def drifts() -> str:
    rows = [
        (
            f"`{one.name}`",
            one.statistic,
            one.meaning,
            f"{one.warn:g}",
            "never" if one.stop is None else f"{one.stop:g}",
            f"{one.min_rows:,}",
        )
        for one in DRIFTS
    ]
    return markdown(("number", "what it is", "what it tells", "warn", "stop", "needs"), rows)


def types() -> str:
    rows = [
        (f"`{name}`", f"`{ARROW_TYPES[name]}`", f"`{SPARK_TYPES[name]}`", f"`{DUCKDB_TYPES[name]}`")
        for name in ARROW_TYPES
    ]
    return markdown(("type", "Arrow", "Spark", "DuckDB"), rows)


def columns(table: Table) -> str:
    rows = [
        (f"`{column.name}`", f"`{column.type}`", "yes" if column.is_nullable else "no", values(column), column.meaning)
        for column in table.columns
    ]
    return markdown(("column", "type", "null", "values", "meaning"), rows)


def facts(table: Table) -> Iterator[str]:
    """What there is to say of a table beside its columns, one sentence each."""
    places = [
        *([f"in the lake, as Delta table `tables/{table.name}`"] if table.name in LAKE else []),
        *(["in each release"] if table.name in PUBLISHED else []),
    ]
    yield f"A row is {table.grain}."
    yield f"It lies {'; and '.join(places)}."
    groups = [", ".join(f"`{name}`" for name in group) for group in (table.key, *table.also_unique) if group]
    yield f"Key: {'; also '.join(groups)}." if groups else "It has no key: rows may be alike."
    if table.min_rows == 0:
        yield "It may be empty."
    if table.partition:
        yield f"It is partitioned by `{table.partition}`, which follows from the user."


def values(column: Column) -> str:
    """What the values may be, in words."""
    if column.allowed:
        named = [f"`{value}`" for value in column.allowed]
        return ", ".join(named) if len(named) <= MAX_VALUES else f"one of {len(named)} codes"
    if column.min_length is not None and column.min_length == column.max_length:
        return f"{column.min_length} characters"
    if column.max_length is not None:
        return f"{column.min_length or 0} to {column.max_length} characters"
    if column.min_length is not None:
        return "not empty" if column.min_length == 1 else f"at least {column.min_length} characters"
    bounds = [f"at least {column.minimum:g}"] if column.minimum is not None else []
    bounds += [f"at most {column.maximum:g}"] if column.maximum is not None else []
    return ", ".join(bounds) or ("finite" if column.type == "double" else "")


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar in a value is written so that it ends no cell."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
