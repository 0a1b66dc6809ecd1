"""`marquee inspect`: how a file would be read, how sure that is, and a TOML file to change it in."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from marquee.errors import SettingsError
from marquee.settings import settings

if TYPE_CHECKING:
    from marquee.sources.inspection import Inspection

COLORS = {"certain": "green", "likely": "cyan", "unsure": "yellow"}
#: Share of refused rows from which on they are not overlooked: that of a batch which is stopped.
MAX_QUARANTINED = 0.01


def inspect(
    source: Annotated[str, typer.Argument(metavar="FILE", help="File, folder, archive or URL.", show_default=False)],
    name: Annotated[str, typer.Option(help="Name of the source; empty: the file's own.")] = "",
    output: Annotated[
        Path | None, typer.Option(help="TOML file to write; none: sources/NAME.toml.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a TOML file that a person has changed.")] = False,
    user: Annotated[str, typer.Option(help="The user's column; empty: guessed, as all below.")] = "",
    item: Annotated[str, typer.Option(help="The item's column.")] = "",
    rating: Annotated[str | None, typer.Option(help="The rating's column; '': there is none.")] = None,
    time: Annotated[str | None, typer.Option(help="The time's column; '': there is none.")] = None,
    unit: Annotated[str, typer.Option(help="Of the time: s, ms, us, ns, iso, or a pattern as %d/%m/%Y.")] = "",
    separator: Annotated[str, typer.Option(help=r"Between two fields, as ';' or '\t'.")] = "",
    minimum: Annotated[float | None, typer.Option(help="Lowest rating of the scale.", show_default=False)] = None,
    maximum: Annotated[float | None, typer.Option(help="Highest rating of the scale.", show_default=False)] = None,
) -> None:
    """Look at a file of ratings, guess how it is read, and write that down as a TOML file."""
    from marquee.sources import locate
    from marquee.sources.inspection import Answers, source_name, written
    from marquee.sources.inspection import inspect as look
    from marquee.sources.toml_file import path_of

    if name and name != source_name(name):
        raise SettingsError(f"{name!r} is no name of a source: write small letters, digits, dots and dashes.")
    columns = {"user_id": user or None, "item_id": item or None, "rating": rating, "rated_at": time}
    answers = Answers(
        {ours: theirs for ours, theirs in columns.items() if theirs is not None},
        separator.replace("\\t", "\t"),
        unit,
        minimum,
        maximum,
    )
    located = locate(source, settings().cache)
    inspection = look(located, answers)
    _show(inspection)
    shown = shlex.quote(source)
    if inspection.format and not name and not output:
        _say(f"{inspection.format} is built in, and needs no TOML file. Next: marquee ingest {shown}")
        return
    own_name = source_name(located.name)
    chosen = name or (source_name(output.stem) if output else own_name)
    path = output or path_of(chosen)
    named = inspection.source.model_copy(update={"name": chosen})
    written(replace(inspection, source=named), path, may_replace=force)
    is_found = path.resolve() == path_of(own_name).resolve()
    option = "" if is_found else f" --source {shlex.quote(str(output) if output else chosen)}"
    n_questions = len(inspection.questions)
    questions = f" with {n_questions} question{'s' if n_questions > 1 else ''}" if n_questions else ""
    first = "answer there, then " if n_questions else ""
    _say(f"Wrote {_short(path)}{questions}. Next: {first}marquee ingest {shown}{option}")


def _show(inspection: Inspection) -> None:
    console = Console(highlight=False)
    guesses = _table("field", "guess", "sure", "why")
    for guess in inspection.guesses:
        guesses.add_row(
            guess.field, Text(guess.value), Text(guess.confidence, style=COLORS[guess.confidence]), Text(guess.reason)
        )
    console.print(guesses, "")
    examples = _table("user_id", "item_id", "rating", "rated_at")
    for row in inspection.examples:
        time = "" if row.rated_at is None else f"{row.rated_at:%Y-%m-%d %H:%M:%S}"
        examples.add_row(Text(row.user_id), Text(row.item_id), f"{row.rating:g}", time)
    console.print(examples, "")
    refused = f"{inspection.n_refused:,} of the first {inspection.n_rows:,} rows would be refused."
    is_much = inspection.n_refused > MAX_QUARANTINED * inspection.n_rows
    _say(refused, style="yellow" if is_much else "")
    for question in inspection.questions:
        _say(f"QUESTION  {question.field}: {question.sentence}", style="yellow")


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _say(sentence: str, style: str = "") -> None:
    Console(highlight=False, soft_wrap=True).print(sentence, style=style, markup=False)


def _short(path: Path) -> str:
    """The path as seen from here, where that is shorter."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
