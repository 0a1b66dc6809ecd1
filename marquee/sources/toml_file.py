"""How a source is read, as a TOML file that a person writes, reads and changes: `sources/NAME.toml`.

A file may hold open questions, as `marquee inspect` leaves them where it can't tell:

    # QUESTION: Which column is the user: "buyer" or "seller"? Answer in the line below, without its "#".
    # user_id = "buyer"

As long as the line below a question is a comment, the file can't be loaded, and the question is the sentence that says
why. An answered question is a comment like any other.
"""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from marquee.errors import SourceError
from marquee.settings import settings
from marquee.sources.files import file_errors
from marquee.sources.reading import Source
from marquee.sources.validated import validated

ENDING = ".toml"
QUESTION = "# QUESTION: "
ANSWER_BELOW = 'Answer in the line below, without its "#".'
LARGEST_BYTES = 1 << 20
WIDTH = 110

#: What stands, as a comment, where a field has no value.
_EXAMPLES = {"minimum": 1.0, "maximum": 5.0}
#: Fields that say nothing of files of a layout: left out where they have their defaults.
_MEANINGLESS = {
    "delimited": (),
    "jsonl": ("separator", "quote", "header", "n_fields", "last_takes_rest"),
    "parquet": ("separator", "quote", "header", "n_fields", "last_takes_rest", "encoding"),
    "baskets": ("quote", "header", "n_fields", "last_takes_rest"),
    "netflix": ("separator", "quote", "header", "n_fields", "last_takes_rest"),
}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def path_of(path_or_name: str) -> Path:
    """The file that is meant: a name without a slash and without .toml is `sources/NAME.toml` of the project."""
    is_name = "/" not in path_or_name and "\\" not in path_or_name and not path_or_name.lower().endswith(ENDING)
    return settings().sources / f"{path_or_name}{ENDING}" if is_name else Path(path_or_name).expanduser()


def load(path_or_name: str) -> Source:
    """The source that a TOML file describes.

    Raises:
        SourceError: the file is missing, no TOML, holds an open question, or a field in it is wrong; says which, its
            value and what is allowed.
    """
    path = path_of(path_or_name)
    if path.parent == settings().sources and not path.exists():
        there = ", ".join(sorted(file.stem for file in path.parent.glob(f"*{ENDING}"))) or "none yet"
        raise SourceError(
            f"{path} does not exist (sources there: {there}): make it by `marquee inspect FILE --name {path.stem}`."
        )
    with file_errors(path), path.open("rb") as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise SourceError(f"{path} has more than {LARGEST_BYTES:,} bytes, too many for a source: name another file.")
    return parse(data, str(path))


def parse(data: bytes, where: str) -> Source:
    """The source in the bytes of a TOML file.

    Args:
        where: the file's path, for messages.

    Raises:
        SourceError: as `load`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{where} is no UTF-8 text (byte {error.start + 1} is 0x{data[error.start]:02x}): save it as UTF-8."
        ) from None
    if question := next(_open_questions(text), None):
        line, sentence = question
        raise SourceError(f"{where}, line {line}, has an open question: {sentence}")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{where} is no TOML ({error}): mend that place.") from None
    return validated(values, where)


def dump(source: Source, notes: Mapping[str, str] | None = None, questions: Mapping[str, str] | None = None) -> str:
    """The source as the text of a TOML file, with a line of meaning above every field.

    Args:
        notes: field, as "ratings.separator", -> a further line above it.
        questions: field -> a question about it, which leaves it open: its value stands as a comment.
    """
    return "\n".join(_sections(source, notes or {}, questions or {})) + "\n"


def _sections(source: Source, notes: Mapping[str, str], questions: Mapping[str, str]) -> Iterator[str]:
    yield from _fields(source, "", ("ratings", "items", "splits"), notes, questions)
    tables: list[tuple[str, str, BaseModel]] = [("ratings", "[ratings]", source.ratings)]
    if source.items:
        tables.append(("items", "[items]", source.items))
    tables += [("splits", "[[splits]]", split) for split in source.splits]
    for name, heading, reading in tables:
        yield ""
        yield heading
        hidden = [
            field
            for field in _MEANINGLESS[reading.layout]  # type: ignore[attr-defined]
            if getattr(reading, field) == type(reading).model_fields[field].default
        ]
        yield from _fields(reading, f"{name}.", ("columns", *hidden), notes, questions)
        columns: dict[str, str] = reading.columns  # type: ignore[attr-defined]
        if columns:
            yield ""
            yield f"[{name}.columns]"
            yield from _comment(type(reading).model_fields["columns"].description or "")
            for ours, theirs in columns.items():
                yield from _field(f"{name}.columns.{ours}", ours, theirs, notes, questions)


def _fields(
    model: BaseModel, prefix: str, without: tuple[str, ...], notes: Mapping[str, str], questions: Mapping[str, str]
) -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        if name not in without:
            yield from _comment(field.description or "")
            yield from _field(f"{prefix}{name}", name, getattr(model, name), notes, questions)


def _field(place: str, name: str, value: Any, notes: Mapping[str, str], questions: Mapping[str, str]) -> Iterator[str]:
    if place in notes:
        yield from _comment(notes[place])
    key = name if _BARE_KEY.fullmatch(name) else _text(name)
    if place in questions:
        yield f"{QUESTION}{_printable(questions[place])} {ANSWER_BELOW}"
    is_comment = value is None or place in questions
    yield f"{'# ' if is_comment else ''}{key} = {_value(_EXAMPLES[name] if value is None else value)}"


def _comment(text: str) -> Iterator[str]:
    """Lines of a comment. Long words stay whole, and what would end a line or the file's validity is escaped."""
    lines = textwrap.wrap(_printable(text), WIDTH, break_long_words=False, break_on_hyphens=False)
    yield from (f"# {line}" for line in lines)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case tuple():
            return f"[{', '.join(_value(inner) for inner in value)}]"
        case _:
            raise TypeError(f"a source holds no {type(value).__name__}")


def _text(value: str) -> str:
    """A string in single quotes where double ones would need escapes; else JSON's escapes are TOML's, but for DEL."""
    if '"' in value and "'" not in value and "\\" not in value and value.isprintable():
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _open_questions(text: str) -> Iterator[tuple[int, str]]:
    """(line, sentence) of each question whose answer, in the line below, is still a comment."""
    lines = text.split("\n")
    for number, (line, below) in enumerate(zip(lines, [*lines[1:], ""], strict=True), start=1):
        is_answered = below.strip() != "" and not below.lstrip().startswith("#")
        if line.strip().startswith(QUESTION.strip()) and not is_answered:
            yield number, line.strip().removeprefix(QUESTION.strip()).strip()
