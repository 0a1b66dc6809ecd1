"""How a source is to be read, from what the form of `ingest_ratings` says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from marquee.errors import SourceError
from marquee.sources.formats import AUTO, format_named
from marquee.sources.inspection import Answers, Inspection, inspect
from marquee.sources.location import Located
from marquee.sources.reading import Source
from marquee.sources.validated import validated

log = logging.getLogger("marquee")

#: The format whose columns are named in the form.
COLUMNS = "columns"
#: Fields of the form -> our columns.
COLUMN_FIELDS = {
    "user_column": "user_id",
    "item_column": "item_id",
    "rating_column": "rating",
    "time_column": "rated_at",
}


def requested(params: Mapping[str, Any], located: Located) -> Source | None:
    """How the source is to be read; None where it is a built-in format that its names tell.

    A `reading`, the content of a source's TOML as JSON, comes first; then a `format` by its name, or the columns that
    the form names; else it is guessed, where nothing is ambiguous.

    Raises:
        SourceError: the reading is wrong, the format or a column unknown, or something only a person can tell.
    """
    reading = params.get("reading")
    if reading:
        return validated(reading, "The field reading")
    name = params.get("format") or AUTO
    if name == COLUMNS:
        return without_questions(inspect(located, answers_of(params)), located)
    if name != AUTO:
        return format_named(name)
    inspection = inspect(located)
    if inspection.format:
        return None
    source = without_questions(inspection, located)
    for line in described(inspection):
        log.info(line)
    return source


def answers_of(params: Mapping[str, Any]) -> Answers:
    """What the form says of the columns; a rating or time that is left empty is none.

    Raises:
        SourceError: the user's or the item's column is missing.
    """
    columns = {ours: str(params.get(field) or "").strip() for field, ours in COLUMN_FIELDS.items()}
    missing = [field for field, ours in COLUMN_FIELDS.items() if ours in ("user_id", "item_id") and not columns[ours]]
    if missing:
        raise SourceError(
            f"Format {COLUMNS} needs the fields user_column and item_column: fill {' and '.join(missing)}."
        )
    separator = str(params.get("separator") or "").replace("\\t", "\t")
    unit = str(params.get("time_unit") or "").strip()
    return Answers(columns, separator, unit, params.get("lowest_rating"), params.get("highest_rating"))


def without_questions(inspection: Inspection, located: Located) -> Source:
    """The source, where an inspection has left nothing open.

    Raises:
        SourceError: something is open; holds the questions.
    """
    if inspection.questions:
        asked = " ".join(question.sentence for question in inspection.questions)
        raise SourceError(
            f"{located.source} can't be read without an answer. {asked} Run `marquee inspect {located.source}`, answer "
            f"in the file that it writes (sources/{inspection.source.name}.toml), and ingest it again."
        )
    return inspection.source


def described(inspection: Inspection) -> tuple[str, str]:
    """An inspection in two lines: what was guessed, and what to do where it is wrong."""
    reading = inspection.source.ratings
    columns = ", ".join(f"{ours} = {theirs}" for ours, theirs in reading.columns.items())
    laid_out = f"{reading.layout}, separator {reading.separator!r}" if reading.layout == "delimited" else reading.layout
    scale = "" if reading.minimum is None else f", ratings from {reading.minimum:g} to {reading.maximum:g}"
    times = f", times as {reading.time}" if "rated_at" in reading.columns else ""
    sure = "certain" if all(guess.confidence == "certain" for guess in inspection.guesses) else "likely"
    return (
        f"Guessed ({sure}): {laid_out}{': ' if columns else ''}{columns}{scale}{times}.",
        "Where that is wrong, `marquee inspect` writes it down as a file to change.",
    )
