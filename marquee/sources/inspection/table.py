"""The layout of a text: which separator, quote and header it has, or whether its lines are objects or baskets."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from marquee.errors import SourceError
from marquee.sources.inspection.guesses import Confidence, Guess, Question
from marquee.sources.inspection.names import role_of

#: Records that the layout is guessed from, and values of all columns together that are looked at.
LAYOUT_RECORDS = 2_000
MOST_VALUES = 400_000
#: Share of the records that have to have the same number of fields; fewer where the first line names user and item.
REGULAR, REGULAR_WITH_NAMES = 0.9, 0.5

#: Characters that stand between fields and seldom in one; then those that are in times and words too.
STRONG = ("\t", "\x01", "\x1f", "::", ";", "|", ",")
WEAK = (" ", ":")
#: Those that win over others that fit as well: nobody writes them for anything else.
UNMISTAKABLE = ("\t", "\x01", "\x1f", "::")
CSV_LIKE = (",", ";")

_SECTION = re.compile(r"\d+:")
_IN_SECTION = re.compile(r"\d+,\d+(\.\d+)?,\d{4}-\d\d-\d\d")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_DECIMAL_COMMA = re.compile(r"\s*-?\d+,\d+\s*")


@dataclass(frozen=True)
class Table:
    """A sample as a table.

    Attributes:
        reading: the fields of a reading that say how it is taken apart.
        names: of the columns; their positions, the first is "1", where there is no header.
        rows: values of the columns, in their order.
        is_named: whether the columns have names of their own.
    """

    reading: dict[str, Any]
    names: list[str]
    rows: list[list[str]]
    is_named: bool
    guesses: list[Guess] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)

    def column(self, at: int) -> list[str]:
        return [row[at] for row in self.rows]


@dataclass(frozen=True)
class _Fit:
    """A separator and quote by which most records have the same number of fields."""

    separator: str
    quote: str
    n_fields: int
    share: float
    first: list[str]


def table_of(text: str, name: str, separator: str = "") -> Table:
    """The sample's text as a table.

    Args:
        name: the file, for messages.
        separator: what stands between two fields; "" is guessed.

    Raises:
        SourceError: it is no table, as far as can be told; says what it seems to be.
    """
    if separator:
        fit = _fit(text, separator)
        if fit is None:
            raise SourceError(
                f"{name} has no two fields with {separator!r} between them in most of its lines: name another, or "
                "leave it to be guessed."
            )
        return _delimited(text, [fit], name)
    start = text.lstrip()[:1]
    if start == "{" and (objects := _json_lines(text)):
        return objects
    if start == "[" and text.lstrip()[1:].lstrip()[:1] == "{":
        raise SourceError(f"{name} is one JSON array: write one object a line (`jq -c '.[]'`), and inspect that.")
    if start == "<":
        raise SourceError(f"{name} is HTML or XML: export it as CSV, JSON Lines or Parquet.")
    if _is_netflix(text):
        guess = Guess("ratings.layout", "netflix", "certain", "lines as '1:', and under them customer,rating,date")
        return Table({"layout": "netflix", "quote": "", "header": False}, [], [], is_named=True, guesses=[guess])
    fits = _fits(text)
    if not fits and (baskets := _baskets(text)):
        return baskets
    if not fits:
        raise SourceError(
            f"{name} has no separator by which most of its lines have the same number of fields, two or more: "
            "check what the file is, or write its TOML by hand."
        )
    return _delimited(text, fits, name)


def further_rows(text: str, table: Table) -> list[list[str]]:
    """The rows of a sample from further on in the same file; what is no whole row is left out."""
    if table.reading["layout"] == "jsonl":
        records = (_parsed(line) for line in text.split("\n"))
        return [_row_of(_flat(record), table.names) for record in records if record is not None]
    separator, quote = table.reading["separator"], table.reading["quote"]
    return [record for record in _records(text, separator, quote) if len(record) == len(table.names)]


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _json_lines(text: str) -> Table | None:
    lines = [line for line in text.split("\n") if line.strip()]
    parsed = [_parsed(line) for line in lines[:LAYOUT_RECORDS]]
    n_objects = sum(record is not None for record in parsed)
    if n_objects < REGULAR * len(parsed):
        return None
    flat = [_flat(record) for record in parsed if record is not None]
    names = list(dict.fromkeys(name for record in flat for name in record))
    more = (_parsed(line) for line in lines[LAYOUT_RECORDS : MOST_VALUES // max(len(names), 1)])
    flat += [_flat(record) for record in more if record is not None]
    reason = f"{n_objects:,} of {len(parsed):,} lines are JSON objects"
    confidence: Confidence = "certain" if n_objects == len(parsed) else "likely"
    guess = Guess("ratings.layout", "jsonl", confidence, reason)
    rows = [_row_of(record, names) for record in flat]
    return Table({"layout": "jsonl"}, names, rows, is_named=True, guesses=[guess])


def _parsed(line: str) -> dict[str, Any] | None:
    """The object in a line, its numbers as they are written; None where there is none."""
    try:
        record = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Values as texts by their paths, as 'user.id'; a list's texts stand with bars between them."""
    found: dict[str, str] = {}
    for name, value in record.items():
        match value:
            case dict():
                found |= _flat(value, f"{prefix}{name}.")
            case list():
                found[f"{prefix}{name}"] = "|".join(str(each) for each in value)
            case bool():
                found[f"{prefix}{name}"] = str(value).lower()
            case _:
                found[f"{prefix}{name}"] = "" if value is None else value
    return found


def _row_of(record: dict[str, str], names: Sequence[str]) -> list[str]:
    return [record.get(name, "") for name in names]


def _is_netflix(text: str) -> bool:
    first, *rest = text.split("\n", 20)[:20]
    within = [line for line in rest if line and not _SECTION.fullmatch(line)]
    return bool(_SECTION.fullmatch(first.strip()) and within) and all(_IN_SECTION.fullmatch(line) for line in within)


def _records(text: str, separator: str, quote: str) -> Iterator[list[str]]:
    """The records of a text, blank lines left out. A separator of several characters knows no line ends in quotes."""
    if len(separator) > 1:
        yield from (line.split(separator) for line in text.split("\n") if line)
        return
    csv.field_size_limit(1 << 30)
    lines = io.StringIO(text, newline="")
    if quote:
        reader = csv.reader(lines, delimiter=separator, quotechar=quote)
    else:
        reader = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    yield from (record for record in reader if record)


def _fits(text: str) -> list[_Fit]:
    """The separators that fit, those that are no part of another first."""
    head = "".join(islice(_lines(text), LAYOUT_RECORDS))
    fits = [fit for separator in STRONG if (fit := _fit(head, separator))]
    return fits or [fit for separator in WEAK if (fit := _fit(head, separator))]


def _lines(text: str) -> Iterator[str]:
    yield from io.StringIO(text, newline="")


def _fit(text: str, separator: str) -> _Fit | None:
    if separator not in text:
        return None
    quotes = ('"', "") if '"' in text and len(separator) == 1 else ("",)
    tried = [fit for quote in quotes if (fit := _measured(text, separator, quote))]
    # Where quotes are as good as none, there is no field that they enclose.
    return max(tried, key=lambda fit: (round(fit.share, 2), fit.quote != ""), default=None)


def _measured(text: str, separator: str, quote: str) -> _Fit | None:
    records = list(_records(text, separator, quote))
    counts = Counter(len(record) for record in records)
    (n_fields, n_regular), *_ = counts.most_common(1)
    share = n_regular / len(records)
    roles = {role_of(name).role for name in records[0]}
    least = REGULAR_WITH_NAMES if {"user_id", "item_id"} <= roles else REGULAR
    if n_fields < 2 or share < least:
        return None
    return _Fit(separator, quote, n_fields, share, records[0])


def _baskets(text: str) -> Table | None:
    """Lines of various lengths, whose entries come again and again."""
    lines = [line for line in text.split("\n") if line]
    for separator in (*STRONG, " "):
        baskets = [line.split(separator) for line in lines]
        entries = [entry for basket in baskets for entry in basket]
        mean = len(entries) / max(len(baskets), 1)
        n_distinct = len(set(entries))
        if mean >= 1.5 and n_distinct <= 0.7 * len(entries):
            shown = repr(separator)
            reason = f"by {shown} the lines have {mean:.1f} fields on average, each a different number, and no header"
            guesses = [
                Guess("ratings.layout", "baskets", "likely", reason),
                Guess("ratings.separator", shown, "likely", f"{n_distinct:,} entries come {len(entries):,} times"),
            ]
            reading = {"layout": "baskets", "separator": separator, "quote": "", "header": False}
            rows = [[str(number), entry] for number, basket in enumerate(baskets, start=1) for entry in basket]
            return Table(reading, ["line", "entry"], rows[:MOST_VALUES], is_named=False, guesses=guesses)
    return None


def _delimited(text: str, fits: list[_Fit], name: str) -> Table:
    fit, guesses, questions = _chosen(fits, text)
    records = list(islice(_records(text, fit.separator, fit.quote), MOST_VALUES // fit.n_fields + 1))
    rows = [record for record in records if len(record) == fit.n_fields]
    is_first_regular = len(records[0]) == fit.n_fields
    if not is_first_regular and len(rows) > 1 and _header(rows)[0] == "true":
        raise SourceError(
            f"{name}, line 1, has not the {fit.n_fields} fields that the lines below have ({len(records[0])}): "
            "take out what stands above the line of the columns' names."
        )
    has_header = False
    if is_first_regular:
        value, confidence, reason = _header(rows)
        has_header = value == "true"
        guesses.append(Guess("ratings.header", value, confidence, reason))
        if confidence == "unsure":
            shown = fit.separator.join(rows[0])[:80]
            sentence = (
                f"Does the first line ({shown}) name the columns (true), or is it data (false; they are '1', '2', ...)?"
            )
            questions.append(Question("ratings.header", sentence))
    quote = fit.quote or ('"' if fit.separator in CSV_LIKE and '"' not in text else "")
    reading = {"layout": "delimited", "separator": fit.separator, "quote": quote, "header": has_header}
    if has_header:
        return Table(
            reading, [each.strip() for each in rows[0]], rows[1:], is_named=True, guesses=guesses, questions=questions
        )
    reading["n_fields"] = fit.n_fields
    names = [str(at + 1) for at in range(fit.n_fields)]
    return Table(reading, names, rows, is_named=False, guesses=guesses, questions=questions)


def _chosen(fits: list[_Fit], text: str) -> tuple[_Fit, list[Guess], list[Question]]:
    """The separator, where several fit: one that is never part of a field, or the one that names user and item."""
    ranked = sorted(fits, key=lambda fit: (_n_roles(fit), fit.separator in UNMISTAKABLE, fit.n_fields), reverse=True)
    best, *others = ranked
    n_lines = text.count("\n")
    regular = (
        f"by it {best.share:.0%} of the lines have {best.n_fields} fields"
        if best.share < 1
        else f"by it all lines have {best.n_fields} fields"
    )
    rivals = [
        fit
        for fit in others
        if _n_roles(fit) >= _n_roles(best) and best.separator not in UNMISTAKABLE and not _is_decimal(fit, best, text)
    ]
    confidence: Confidence = "certain" if best.share == 1 and n_lines >= 3 else "likely"
    questions: list[Question] = []
    if rivals:
        confidence = "unsure"
        either = " or ".join(f"{fit.separator!r} ({fit.n_fields} fields)" for fit in (best, *rivals))
        questions.append(Question("ratings.separator", f"Which character stands between two fields, {either}?"))
    guesses = [
        Guess(
            "ratings.layout",
            "delimited",
            "certain" if not rivals else "likely",
            "lines of fields with a separator between them",
        )
    ]
    guesses.append(Guess("ratings.separator", repr(best.separator), confidence, regular))
    return best, guesses, questions


def _n_roles(fit: _Fit) -> int:
    return len({role_of(name).role for name in fit.first} - {""})


def _is_decimal(rival: _Fit, best: _Fit, text: str) -> bool:
    """Whether the rival is the comma of numbers as 3,5."""
    if rival.separator != ",":
        return False
    records = list(islice(_records(text, best.separator, best.quote), LAYOUT_RECORDS))
    with_comma = [value for record in records for value in record if "," in value]
    return all(_DECIMAL_COMMA.fullmatch(value) for value in with_comma)


def _header(rows: list[list[str]]) -> tuple[str, Confidence, str]:
    """Whether the first row names the columns, how sure that is, and why."""
    first, rest = rows[0], rows[1:LAYOUT_RECORDS]
    named = [name for name in first if role_of(name).role]
    values = [[row[at] for row in rest] for at in range(len(first))]
    above_numbers = [
        name
        for name, column in zip(first, values, strict=True)
        if name.strip() and not is_number(name) and column and sum(map(is_number, column)) >= REGULAR * len(column)
    ]
    if len(named) >= 2:
        return "true", "certain", f"the first line names {', '.join(repr(name) for name in named[:4])}"
    if any(is_number(name) for name in first):
        number = next(name for name in first if is_number(name))
        return "false", "certain", f"the first line holds the number {number}, which is no name"
    if above_numbers:
        return "true", "certain", f"{above_numbers[0]!r} stands above numbers"
    if any(name and name in column for name, column in zip(first, values, strict=True)):
        return "false", "likely", "what the first line holds comes again below it"
    if named:
        return "true", "likely", f"the first line names {named[0]!r}"
    return "true", "unsure", "all columns are texts, and the first line may be one more row"
