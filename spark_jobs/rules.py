"""The rules of a row: a block's rows become accepted rows, or go to quarantine with the first rule that they break.

A rule has a code (`marquee.reasons`) and a sentence with column and value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expectations.contracts import MAX_ID_LENGTH
from marquee.formats.blocks import BadLine, Block
from marquee.formats.shape import ENCODED, FLAG
from marquee.sources.reading import ISO, TIME_UNITS, ItemsReading, RatingsReading
from spark_jobs.times import NUMBER, microseconds

NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"
SHOWN = 40


@dataclass(frozen=True)
class Rule:
    """A row breaks it where `is_broken` (bool of shape (n,)) is set; `sentence` puts row i's fault into words."""

    reason: str
    is_broken: NDArray[np.bool_]
    sentence: Callable[[int], str]


@dataclass(frozen=True)
class Ruled:
    """A block's accepted rows, `line` among their columns, and its rows and lines that are refused."""

    accepted: pa.Table
    refused: list[BadLine]


def ratings(block: Block, reading: RatingsReading, received_at: datetime, known_items: pa.Array | None = None) -> Ruled:
    """Accepted ratings: user_id, item_id (dictionaries), rating (double), rated_at (int64 microseconds or null), line.

    Args:
        known_items: where the source promises a full catalogue, its items.
    """
    n = len(block.lines)
    user, item = (encoded(block.columns[name]) for name in ("user_id", "item_id"))
    rules = [missing("user_id", user), missing("item_id", item)]
    if "rating" in block.columns:
        rating, rating_rules = _rating(block.columns["rating"], reading)
        rules += rating_rules
    else:
        rating = np.ones(n)
    if "rated_at" in block.columns:
        times, time_rules = _time(block.columns["rated_at"], reading.time, received_at)
        rated_at = pa.array(times)
        rules += time_rules
    else:
        rated_at = pa.nulls(n, pa.int64())
    rules += [too_long("user_id", user), too_long("item_id", item)]
    if known_items is not None:
        rules.append(unknown("item_id", item, known_items))
    table = pa.table(
        {"user_id": user, "item_id": item, "rating": pa.array(rating), "rated_at": rated_at, "line": block.lines}
    )
    return ruled(block, table, rules)


def items(block: Block, reading: ItemsReading) -> Ruled:
    """Accepted items: item_id, title (the id where the source has none), genres, line."""
    item = text(block.columns["item_id"])
    rules = [missing("item_id", item)]
    title = item
    if "title" in block.columns:
        title = text(block.columns["title"])
        rules.append(missing("title", title))
    rules.append(too_long("item_id", item))
    genres = _genres(block, reading)
    return ruled(block, pa.table({"item_id": item, "title": title, "genres": genres, "line": block.lines}), rules)


def pairs(block: Block) -> Ruled:
    """Accepted pairs of a published split: user_id, item_id, line."""
    user, item = (text(block.columns[name]) for name in ("user_id", "item_id"))
    rules = [missing("user_id", user), missing("item_id", item), too_long("user_id", user), too_long("item_id", item)]
    return ruled(block, pa.table({"user_id": user, "item_id": item, "line": block.lines}), rules)


def ruled(block: Block, table: pa.Table, rules: Sequence[Rule]) -> Ruled:
    """The rows that break no rule, and those that do, each with the first that it breaks."""
    which = np.full(len(block.lines), -1, np.int64)
    for at in range(len(rules) - 1, -1, -1):
        which[rules[at].is_broken] = at
    broken = np.flatnonzero(which >= 0)
    if not len(broken):
        return Ruled(table, list(block.bad))
    raws = block.raw(broken.tolist())
    refused = [
        BadLine(int(block.lines[row]), rules[which[row]].reason, rules[which[row]].sentence(row), raw)
        for row, raw in zip(broken.tolist(), raws, strict=True)
    ]
    return Ruled(table.filter(pa.array(which < 0)), [*block.bad, *refused])


def encoded(values: pa.Array) -> pa.DictionaryArray:
    """Texts as a dictionary with int32 indices."""
    if pa.types.is_dictionary(values.type):
        return values if values.type == ENCODED else values.dictionary_decode().dictionary_encode().cast(ENCODED)
    return text(values).dictionary_encode()


def text(values: pa.Array) -> pa.Array:
    """Values as texts."""
    return (values.dictionary_decode() if pa.types.is_dictionary(values.type) else values).cast(pa.string())


def missing(column: str, texts: pa.Array) -> Rule:
    """Empty, or white space alone."""

    def is_empty(values: pa.Array) -> pa.Array:
        return pc.equal(pc.binary_length(pc.utf8_trim_whitespace(values)), 0)

    return Rule(f"missing_{column}", _by_value(texts, is_empty), lambda _: f"{column} is empty")


def too_long(column: str, texts: pa.Array) -> Rule:
    def is_long(values: pa.Array) -> pa.Array:
        return pc.greater(pc.utf8_length(values), MAX_ID_LENGTH)

    def sentence(at: int) -> str:
        return f"{column} has {len(texts[at].as_py()):,} characters, more than {MAX_ID_LENGTH}"

    return Rule(f"{column}_too_long", _by_value(texts, is_long), sentence)


def unknown(column: str, texts: pa.Array, known: pa.Array) -> Rule:
    def is_unknown(values: pa.Array) -> pa.Array:
        return pc.invert(pc.is_in(values, value_set=known))

    fault = "is not in the catalogue, which the source declares to be complete"
    return Rule("unknown_item", _by_value(texts, is_unknown), said(column, texts, fault))


def said(column: str, values: pa.Array, fault: str) -> Callable[[int], str]:
    def sentence(at: int) -> str:
        value = values[at].as_py()
        shown = repr(value[:SHOWN] + ("..." if len(value) > SHOWN else "")) if isinstance(value, str) else f"{value!r}"
        return f"{column} {shown} {fault}"

    return sentence


def _by_value(texts: pa.Array, test: Callable[[pa.Array], pa.Array]) -> NDArray[np.bool_]:
    """A test of each text, made once for each entry of a dictionary."""
    if not pa.types.is_dictionary(texts.type):
        return np.asarray(test(texts).to_numpy(zero_copy_only=False), bool)
    found = np.asarray(test(texts.dictionary).to_numpy(zero_copy_only=False), bool)
    if not found.any():
        return np.zeros(len(texts), bool)
    return np.asarray(found[texts.indices.to_numpy(zero_copy_only=False)], bool)


def _rating(values: pa.Array, reading: RatingsReading) -> tuple[NDArray[np.float64], list[Rule]]:
    low = -np.inf if reading.minimum is None else reading.minimum
    high = np.inf if reading.maximum is None else reading.maximum
    rules = []
    if pa.types.is_floating(values.type):
        rating = values.to_numpy(zero_copy_only=False)
    else:
        rating, is_number = numbers(values)
        rules = [
            missing("rating", values),
            Rule("rating_not_a_number", ~is_number, said("rating", values, "is not a number")),
        ]
    outside = f"is outside {low:g} to {high:g}"
    rules += [
        Rule("rating_not_finite", ~np.isfinite(rating), said("rating", values, "is not finite")),
        Rule("rating_out_of_range", ~((rating >= low) & (rating <= high)), said("rating", values, outside)),
    ]
    return rating, rules


def numbers(texts: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Texts as float64 of shape (n,), and which of them are numbers at all; what is none is NaN."""
    trimmed = pc.utf8_trim_whitespace(text(texts))
    is_plain = pc.match_substring_regex(trimmed, NUMBER)
    is_special = pc.match_substring_regex(trimmed, NOT_FINITE)
    plain = pc.if_else(is_plain, trimmed, pa.scalar("nan")).cast(pa.float64())
    infinite = pc.if_else(pc.match_substring_regex(trimmed, r"(?i)^[+-]?inf"), pa.scalar(float("inf")), plain)
    is_number = pc.or_(is_plain, is_special).to_numpy(zero_copy_only=False)
    return infinite.to_numpy(zero_copy_only=False), np.asarray(is_number, bool)


def _time(values: pa.Array, unit: str, received_at: datetime) -> tuple[NDArray[np.int64], list[Rule]]:
    times, is_time = microseconds(values, unit)
    latest = int(received_at.timestamp() * 1_000_000)
    form = _form(unit)
    is_text = pa.types.is_string(values.type) or pa.types.is_dictionary(values.type)
    moment = f"is later than the file was received ({received_at:%Y-%m-%d %H:%M:%S} UTC)"
    rules = [missing("rated_at", values)] if is_text else []
    rules += [
        Rule("bad_time", ~is_time, said("rated_at", values, f"is not {form}")),
        Rule("future_time", times > latest, said("rated_at", values, moment)),
    ]
    return times, rules


def _form(unit: str) -> str:
    if unit in TIME_UNITS:
        words = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
        return f"in {words[unit]} since 1970"
    return "an ISO 8601 time since 1970" if unit == ISO else f"a time of the form {unit!r} since 1970"


def _genres(block: Block, reading: ItemsReading) -> pa.Array:
    flags = [name for name in block.columns if name.startswith(FLAG)]
    kind = pa.list_(pa.string())
    if flags:
        is_set = [pc.equal(text(block.columns[name]), "1").to_numpy(zero_copy_only=False) for name in flags]
        names = np.array([name.removeprefix(FLAG) for name in flags])
        return pa.array([names[row].tolist() for row in np.column_stack(is_set).astype(bool)], kind)
    if "genres" not in block.columns:
        return pa.array([[]] * len(block.lines), kind)
    texts = block.columns["genres"]
    if pa.types.is_list(texts.type):
        return texts
    is_empty = pc.or_(pc.equal(texts, reading.no_genres), pc.equal(texts, ""))
    return pc.if_else(is_empty, pa.scalar([], kind), pc.split_pattern(texts, reading.genres_separator)).cast(kind)
