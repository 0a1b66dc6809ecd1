"""`marquee quarantine`: which rows were refused and why, and their lines to be mended."""

from __future__ import annotations

import csv
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from marquee.cli.lake import lake
from marquee.errors import SettingsError
from marquee.lake.objects import Lake
from marquee.quarantine import (
    COLUMNS,
    Lines,
    Summary,
    Wanted,
    accepted,
    as_file,
    lines_to_mend,
    prepared,
    refused_batch,
    summary_of,
)
from marquee.reasons import REASONS
from marquee.sources.formats import FORMATS

SHOWN_LETTERS = 160
REASON_NAMES = ", ".join(reason.code for reason in REASONS)


def quarantine(
    batch: Annotated[
        str, typer.Option(help="Only of the batch whose name or sha256 starts so.", show_default=False)
    ] = "",
    reason: Annotated[str, typer.Option(help=f"Only of this reason: {REASON_NAMES}.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=0, help="Examples of each reason.")] = 3,
    as_csv: Annotated[bool, typer.Option("--csv", help="All of these rows as CSV.")] = False,
    raw: Annotated[
        Path | None,
        typer.Option(help="New file for the lines of refused ratings as received, to be mended.", show_default=False),
    ] = None,
) -> None:
    """Show the rows that were refused: how many for which reason, examples, and what to do about them."""
    if as_csv and raw:
        raise SettingsError("--csv and --raw exclude each other: give one of them.")
    store, wanted = lake(), Wanted(batch, reason)
    held_back = refused_batch(store, batch)
    if as_csv:
        _write_csv(store, wanted, held_back)
    elif raw:
        _write_lines(store, wanted, held_back, raw)
    else:
        _show_all(store, wanted, held_back, limit)


def _show_all(store: Lake, wanted: Wanted, held_back: str | None, limit: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if held_back:
        found = summary_of(prepared(store, held_back, wanted), limit)
        _show(console, f"Batch {held_back[:12]}, which was not accepted: none of its rows is in the tables.", found)
    found = summary_of(accepted(store, wanted), limit)
    if found.rows or not held_back:
        _show(console, "Rows refused from the batches in the tables:", found)
    console.print(_next_step(found, held_back), markup=False)


def _show(console: Console, heading: str, found: Summary) -> None:
    console.print(heading, style="bold", markup=False)
    if not found.rows:
        console.print("No row was refused.\n")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("rows", "reason", "what it means"):
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    known = {reason.code: reason for reason in REASONS}
    ordered = sorted(found.counts, key=lambda code: (not known[code].is_fault, -found.counts[code], code))
    for code in ordered:
        meaning = known[code].meaning if known[code].is_fault else f"{known[code].meaning} (no fault)"
        table.add_row(f"{found.counts[code]:,}", code, meaning)
    console.print(table)
    for code in ordered:
        for row in found.examples[code]:
            console.print(f"\n{row.source_file}, line {row.source_line}: {row.sentence}", markup=False)
            text = row.raw if len(row.raw) <= SHOWN_LETTERS else f"{row.raw[:SHOWN_LETTERS]}..."
            console.print(Text(f"  {text}", style="dim"))
    console.print()


def _next_step(found: Summary, held_back: str | None) -> str:
    if held_back:
        return (
            "Next: mend these lines in the source and ingest it again, or let all others in: "
            "marquee ingest FILE --max-quarantined SHARE"
        )
    faults = {reason.code for reason in REASONS if reason.is_fault}
    if not faults.intersection(found.counts):
        return "Nothing is to be mended."
    return "Next: marquee quarantine --raw mended.csv, mend the lines in it, and ingest it: what is in the tables stays"


def _write_csv(store: Lake, wanted: Wanted, held_back: str | None) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rows in (*([prepared(store, held_back, wanted)] if held_back else []), accepted(store, wanted)):
        for some in rows:
            writer.writerows(zip(*(some[name].to_pylist() for name in COLUMNS), strict=True))


def _write_lines(store: Lake, wanted: Wanted, held_back: str | None, path: Path) -> None:
    if path.exists():
        raise SettingsError(f"{path} is there already: name a new file.")
    rows = prepared(store, held_back, wanted) if held_back else accepted(store, wanted)
    lines = lines_to_mend(store, rows, held_back)
    written = -1 if lines.header is not None else 0
    try:
        with path.open("xb") as file:
            for line in as_file(lines):
                file.write(line)
                written += 1
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    console = Console(highlight=False, soft_wrap=True)
    how = shlex.join(["marquee", "ingest", str(path), *_reading_words(lines, path)])
    console.print(f"{path}: {written:,} lines as they were received.", markup=False)
    if held_back:
        console.print(
            "Their batch was not accepted, so no row of it is in the tables: let the others in first, by "
            "marquee ingest FILE --max-quarantined SHARE",
            markup=False,
        )
    console.print(f"Next: mend them, then {how}", markup=False)


def _reading_words(lines: Lines, path: Path) -> list[str]:
    """What the command says so that the mended file is read as the first one was."""
    from marquee.sources.toml_file import dump, load, path_of

    name = lines.source.name
    if FORMATS.get(name) == lines.source:
        return ["--format", name]
    if path_of(name).exists() and load(name).digest == lines.source.digest:
        return ["--source", name]
    toml = path.with_suffix(".toml")
    try:
        with toml.open("x", encoding="utf-8") as file:
            file.write(dump(lines.source))
    except FileExistsError:
        raise SettingsError(f"{toml} is there already, and is to say how {path} is read: name another file.") from None
    return ["--source", str(toml)]
