"""Rows of texts to typed rows, or to quarantine: each rule has a code and a sentence, and the first that fails counts.

All readers yield record batches of one schema (`PARSED`): a row is accepted where `reason` is null, else quarantined.
The last row of a file has `kind` "count" and holds, as `source_line`, how many rows were read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.contracts import MAX_ID_LENGTH
from spark_jobs.formats.delimited import BadLine, Block

PARSED = pa.schema(
    [
        ("kind", pa.string()),  # ratings, items or count
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rating", pa.float64()),
        ("rated_at", pa.timestamp("us", tz="UTC")),
        ("title", pa.string()),
        ("genres", pa.list_(pa.string())),
        ("source_sha256", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("reason", pa.string()),
        ("sentence", pa.string()),
        ("raw", pa.string()),
    ]
)
PARSED_DDL = (
    "kind string, user_id string, item_id string, rating double, rated_at timestamp, title string, "
    "genres array<string>, source_sha256 string, source_file string, source_line bigint, reason string, "
    "sentence string, raw string"
)
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"
WHOLE = r"^[+-]?[0-9]{1,18}$"


@dataclass(frozen=True)
class Received:
    """What a file is part of: the batch's sha256, the file's name for people, and when the batch was received (UTC)."""

    sha256: str
    file: str
    at: datetime


@dataclass(frozen=True)
class Rule:
    """A row breaks it where `is_broken` (bool of shape (n,)) is set; `sentence` puts row i's fault into words."""

    reason: str
    is_broken: np.ndarray
    sentence: Callable[[int], str]


def ratings(blocks: Iterator[Block], received: Received, rating_range: tuple[float, float]) -> Iterator[pa.RecordBatch]:
    """Checked ratings of blocks with the columns `user_id`, `item_id`, `rating`, `rated_at` (seconds since 1970)."""
    low, high = rating_range
    latest = int(received.at.timestamp())
    n_read = 0
    for block in blocks:
        n_read += block.n_read
        user, item, rating_text, time_text = (
            block.columns[name] for name in ("user_id", "item_id", "rating", "rated_at")
        )
        rating, is_number, is_finite = numbers(rating_text)
        seconds, is_time = whole_numbers(time_text)
        rules = [
            missing("user_id", user),
            missing("item_id", item),
            missing("rating", rating_text),
            Rule("rating_not_a_number", ~is_number, said("rating", rating_text, "is not a number")),
            Rule("rating_not_finite", ~is_finite, said("rating", rating_text, "is not finite")),
            Rule(
                "rating_out_of_range",
                ~((rating >= low) & (rating <= high)),
                said("rating", rating_text, f"is outside {low:g} to {high:g}"),
            ),
            missing("rated_at", time_text),
            Rule(
                "bad_time",
                ~(is_time & (seconds >= 0)),
                said("rated_at", time_text, "is not in whole seconds since 1970"),
            ),
            Rule(
                "future_time",
                seconds > latest,
                said(
                    "rated_at", time_text, f"is later than the file was received ({received.at:%Y-%m-%d %H:%M:%S} UTC)"
                ),
            ),
            too_long("user_id", user),
            too_long("item_id", item),
        ]
        reasons, sentences = first_broken(rules, len(block.lines))
        is_good = pc.is_null(reasons)
        typed = {
            "user_id": user,
            "item_id": item,
            "rating": pc.if_else(is_good, pa.array(rating), pa.scalar(None, pa.float64())),
            "rated_at": pc.if_else(
                is_good,
                pa.array(np.where(is_good.to_numpy(zero_copy_only=False), seconds, 0) * 1_000_000).cast(
                    pa.timestamp("us", tz="UTC")
                ),
                pa.scalar(None, pa.timestamp("us", tz="UTC")),
            ),
        }
        yield from _out("ratings", block, received, typed, reasons, sentences)
    yield _count(n_read, received)


def items(blocks: Iterator[Block], received: Received, genres: Callable[[Block], pa.Array]) -> Iterator[pa.RecordBatch]:
    """Checked items of blocks with the columns `item_id` and `title`, and whatever `genres` reads its lists from."""
    n_read = 0
    for block in blocks:
        n_read += block.n_read
        item, title = block.columns["item_id"], block.columns["title"]
        rules = [missing("item_id", item), missing("title", title), too_long("item_id", item)]
        reasons, sentences = first_broken(rules, len(block.lines))
        typed = {"item_id": item, "title": title, "genres": genres(block)}
        yield from _out("items", block, received, typed, reasons, sentences)
    yield _count(n_read, received)


def numbers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts as float64 of shape (n,), which of them are numbers at all, and which are finite; what is none is NaN."""
    trimmed = pc.utf8_trim_whitespace(texts)
    try:
        values = trimmed.cast(pa.float64())
        is_number = np.ones(len(texts), bool)
    except pa.ArrowInvalid:
        is_plain = pc.match_substring_regex(trimmed, NUMBER)
        is_special = pc.match_substring_regex(trimmed, NOT_FINITE)
        values = pc.if_else(is_plain, trimmed, pa.scalar("nan")).cast(pa.float64())
        is_number = pc.or_(is_plain, is_special).to_numpy(zero_copy_only=False)
    array = values.to_numpy(zero_copy_only=False)
    return array, is_number, np.isfinite(array)


def whole_numbers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Texts as int64 of shape (n,), and which of them are whole numbers; what is none is 0."""
    trimmed = pc.utf8_trim_whitespace(texts)
    is_whole = pc.match_substring_regex(trimmed, WHOLE)
    values = pc.if_else(is_whole, trimmed, pa.scalar("0")).cast(pa.int64())
    return values.to_numpy(zero_copy_only=False), is_whole.to_numpy(zero_copy_only=False)


def missing(column: str, texts: pa.Array) -> Rule:
    is_missing = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0).to_numpy(zero_copy_only=False)
    return Rule(f"missing_{column}", is_missing, lambda _: f"{column} is empty")


def too_long(column: str, texts: pa.Array) -> Rule:
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    return Rule(
        f"{column}_too_long",
        lengths > MAX_ID_LENGTH,
        lambda at: f"{column} has {lengths[at]} characters, more than {MAX_ID_LENGTH}",
    )


def said(column: str, texts: pa.Array, fault: str) -> Callable[[int], str]:
    return lambda at: f"{column} {texts[at].as_py()[:40]!r} {fault}"


def first_broken(rules: list[Rule], n: int) -> tuple[pa.Array, pa.Array]:
    """For each of n rows the first rule that it breaks: reason codes and sentences, null where it breaks none."""
    which = np.full(n, -1, np.int64)
    for at in range(len(rules) - 1, -1, -1):
        which[rules[at].is_broken] = at
    reasons: list[str | None] = [None] * n
    sentences: list[str | None] = [None] * n
    for row in np.flatnonzero(which >= 0).tolist():
        rule = rules[which[row]]
        reasons[row], sentences[row] = rule.reason, rule.sentence(row)
    return pa.array(reasons, pa.string()), pa.array(sentences, pa.string())


def _out(
    kind: str, block: Block, received: Received, typed: dict[str, pa.Array], reasons: pa.Array, sentences: pa.Array
) -> Iterator[pa.RecordBatch]:
    n = len(block.lines)
    if n:
        columns = typed | {"reason": reasons, "sentence": sentences, "raw": pa.array(block.raw, pa.string())}
        yield _batch(kind, n, received, pa.array(block.lines), columns)
    if block.bad:
        yield _bad(kind, block.bad, received)


def _bad(kind: str, bad: list[BadLine], received: Received) -> pa.RecordBatch:
    columns = {
        name: pa.array([getattr(line, name) for line in bad], pa.string()) for name in ("reason", "sentence", "raw")
    }
    return _batch(kind, len(bad), received, pa.array([line.line for line in bad], pa.int64()), columns)


def _count(n_read: int, received: Received) -> pa.RecordBatch:
    return _batch("count", 1, received, pa.array([n_read], pa.int64()), {})


def _batch(kind: str, n: int, received: Received, lines: pa.Array, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    constant = {"kind": kind, "source_sha256": received.sha256, "source_file": received.file}
    arrays = []
    for field in PARSED:
        if field.name in constant:
            arrays.append(pa.repeat(pa.scalar(constant[field.name]), n))
        elif field.name == "source_line":
            arrays.append(lines)
        elif field.name in columns:
            arrays.append(columns[field.name].cast(field.type))
        else:
            arrays.append(pa.nulls(n, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=PARSED)
