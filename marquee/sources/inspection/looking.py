"""A look at a source: how it would be read, how sure that is, and what only a person can tell."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from marquee.sources.archive import Entry
from marquee.sources.contents import data_files
from marquee.sources.formats import FORMATS
from marquee.sources.inspection.catalogue import items_of
from marquee.sources.inspection.columns import Columns, columns_of
from marquee.sources.inspection.examples import Rows, rows_of
from marquee.sources.inspection.files import Chosen, Looked, chosen, further_texts, looked_at, opened
from marquee.sources.inspection.guesses import Answers, Confidence, Guess, Inspection, Question
from marquee.sources.inspection.scale import Scale
from marquee.sources.inspection.table import Table, further_rows
from marquee.sources.inspection.times import read_time
from marquee.sources.location import Located
from marquee.sources.packing import without_ending
from marquee.sources.reading import RatingsReading, Source
from marquee.sources.recognition import format_of
from marquee.sources.validated import validated

#: Bytes whose rows are read as all will be.
READ_BYTES = 256 << 10
#: Share of the ratings outside of a format's scale from which on the file only has that format's names.
MOST_STRAY = 0.01
LONGEST_NAME = 64

_ENDINGS = re.compile(r"(\.(csv|tsv|txt|dat|data|tab|json|jsonl|ndjson|parquet|tar|tgz|zip|inter))+$")


def inspect(located: Located, answers: Answers | None = None, *, now: datetime | None = None) -> Inspection:
    """How a source would be read. It looks at the first 4 MB, and of a plain file at a few places further in.

    Args:
        answers: what a person has said, which is not guessed; with some, no built-in format is looked for.
        now: an aware time, after which there are no ratings; None: the present.

    Raises:
        SourceError: it can't be read, or holds no ratings as far as can be told.
        DataError: it can't be read as it seems to be laid out.
    """
    said = answers or Answers()
    known = None if said.are_given else format_of(located)
    if known is not None and (inspection := _known(located, *known)):
        return inspection
    files = chosen(located)
    looked = looked_at(located, files.ratings, separator=said.separator)
    return _guessed(located, files, looked, said, now or datetime.now(UTC))


def check(located: Located, source: Source) -> None:
    """Hold the beginning of a single file against a source that was written down for it.

    Raises:
        DataError: it lacks a column, or is not laid out so at all.
    """
    if located.kind == "file":
        _first_rows(located, data_files(located)[0], source.ratings)


def source_name(file_name: str) -> str:
    """The name of a source that is made for a file: the file's own in lower case, without the usual endings."""
    plain = _ENDINGS.sub("", without_ending(file_name.lower()))
    name = re.sub(r"[^a-z0-9._-]+", "-", plain)[:LONGEST_NAME].strip("-._")
    return name or "source"


def _known(located: Located, known: Source, first: Entry) -> Inspection | None:
    """The built-in format that fits by its names; None where the ratings are on another scale than its own."""
    rows = _first_rows(located, first, known.ratings)
    if rows.n_out_of_range > MOST_STRAY * rows.n_read:
        return None
    guess = Guess("format", known.name, "certain", known.meaning)
    return Inspection(known, known.name, (guess,), (), rows.examples, rows.n_read, rows.n_refused)


def _guessed(located: Located, files: Chosen, looked: Looked, said: Answers, now: datetime) -> Inspection:
    table = _with_further_rows(located, looked)
    guesses, questions = [*files.guesses, *table.guesses], [*files.questions, *table.questions]
    values: dict[str, Any] = {"files": files.patterns, **table.reading}
    if looked.text:
        values["encoding"] = looked.text.encoding
        guesses.append(Guess("ratings.encoding", looked.text.encoding, looked.text.confidence, looked.text.reason))
        if looked.text.confidence == "unsure":
            sentence = "Which encoding is the file in, as Python names it (utf-8, latin-1, cp1251, shift_jis)?"
            questions.append(Question("ratings.encoding", sentence))
    if table.reading["layout"] in ("delimited", "jsonl", "parquet"):
        columns = columns_of(table, located.shown(files.ratings.path), now, said.columns)
        guesses += columns.guesses
        questions += columns.questions
        values |= {"columns": {ours: column.name for ours, column in columns.chosen.items()}}
        values |= _time(columns, said, guesses, questions)
        values |= _scale(columns, said, guesses, questions)
    elif table.reading["layout"] == "netflix":
        known = FORMATS["netflix-prize"].ratings
        values |= {"minimum": known.minimum, "maximum": known.maximum, "time": known.time}
    described = {"name": source_name(located.name), "meaning": f"as {located.name} is laid out", "ratings": values}
    source = validated(described, located.source)
    if files.items:
        items, more = items_of(files.items, files.item_patterns, source.ratings.columns.get("item_id", ""))
        source = source.model_copy(update={"items": items})
        guesses += more
    rows = _first_rows(located, files.ratings, source.ratings)
    return Inspection(source, "", tuple(guesses), tuple(questions), rows.examples, rows.n_read, rows.n_refused)


def _first_rows(located: Located, entry: Entry, reading: RatingsReading) -> Rows:
    stream, is_cut = opened(located, entry, READ_BYTES)
    with stream:
        return rows_of(reading, stream, is_cut=is_cut)


def _with_further_rows(located: Located, looked: Looked) -> Table:
    if looked.text is None or looked.table.reading["layout"] not in ("delimited", "jsonl"):
        return looked.table
    rows = [row for text in further_texts(located, looked.text) for row in further_rows(text, looked.table)]
    return replace(looked.table, rows=[*looked.table.rows, *rows])


def _time(columns: Columns, said: Answers, guesses: list[Guess], questions: list[Question]) -> dict[str, Any]:
    """The unit of the times, and what to ask about it."""
    column = columns.chosen.get("rated_at")
    if column is None:
        guesses.append(
            Guess("ratings.columns.rated_at", "none", "likely", "no column holds times; training needs them")
        )
        return {}
    if said.time:
        guesses.append(Guess("ratings.time", said.time, "certain", "so it was said"))
        return {"time": said.time}
    found = column.time
    if found is None:
        example = next(iter(column.values), "")[:40]
        question = (
            f"How are the times in {column.name!r} written, as {example!r}: s, ms, us, ns, iso, or which pattern of "
            "strptime?"
        )
        questions.append(Question("ratings.time", question))
        guesses.append(Guess("ratings.time", "iso", "unsure", "no known form of a time fits"))
        return {"time": "iso"}
    if found.rivals:
        readings = [(read_time(found.example, unit), unit) for unit in (found.unit, *found.rivals)]
        either = " or ".join(f"{moment:%d %B %Y} ({unit})" for moment, unit in readings)
        questions.append(Question("ratings.time", f"Is {found.example!r} in column {column.name!r} {either}?"))
    guesses.append(Guess("ratings.time", found.unit, found.confidence, found.reason))
    return {"time": found.unit}


def _scale(columns: Columns, said: Answers, guesses: list[Guess], questions: list[Question]) -> dict[str, Any]:
    """The scale of the ratings, whether rows add up, and what to ask about it."""
    column = columns.chosen.get("rating")
    if column is None:
        guesses.append(
            Guess("ratings.repeated", "sum", "likely", "no column is a rating: each row is an event, and counts 1")
        )
        return {"repeated": "sum"}
    if said.minimum is not None or said.maximum is not None:
        scale = Scale(said.minimum, said.maximum, column.role == "count", "certain", "so it was said")
    elif column.is_numeric:
        scale = column.scale
    else:
        return {}
    if scale.apart is not None:
        sentence = (
            f"Is {scale.apart:g} a rating (then write minimum = {scale.apart:g}), or does it mean that there is none "
            f"(then minimum = {scale.minimum:g}, and those rows go to quarantine)?"
        )
        questions.append(Question("ratings.minimum", sentence))
    for field, value in (("minimum", scale.minimum), ("maximum", scale.maximum)):
        is_asked = scale.apart is not None and field == "minimum"
        sure: Confidence = "unsure" if is_asked else "likely" if scale.confidence == "unsure" else scale.confidence
        guesses.append(Guess(f"ratings.{field}", "none" if value is None else f"{value:g}", sure, scale.reason))
    repeated = "sum" if scale.is_count else "latest"
    reason = (
        "amounts of the same user and item add up"
        if scale.is_count
        else "a later rating of the same item replaces the earlier"
    )
    guesses.append(Guess("ratings.repeated", repeated, "likely", reason))
    return {"minimum": scale.minimum, "maximum": scale.maximum, "repeated": repeated}
