"""A source's first rows as they would be read, by the reader that reads all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from marquee.sources.inspection.guesses import Example
from marquee.sources.inspection.table import is_number
from marquee.sources.inspection.times import EPOCH, read_time
from marquee.sources.reading import RatingsReading

if TYPE_CHECKING:
    from marquee.formats.blocks import Block

SHOWN = 5


@dataclass(frozen=True)
class Rows:
    """How many rows were read, the first of those that are good, and how many are not by what stands in them alone."""

    examples: tuple[Example, ...]
    n_read: int
    n_refused: int
    n_out_of_range: int


def rows_of(reading: RatingsReading, stream: BinaryIO, *, is_cut: bool) -> Rows:
    """The rows of a file's beginning.

    Args:
        is_cut: whether the file goes on behind it; then its last line does not count, which may be cut too.

    Raises:
        DataError: the file has no such column, or is not laid out so at all.
    """
    from marquee.formats import read

    found: list[Example] = []
    n_read, n_good, n_out_of_range = 0, 0, 0
    # A line without an end comes in a block of its own.
    for block in islice(read(reading, stream), 1 if is_cut else None):
        n_read += block.n_read
        for user, item, rating, time in _values(block):
            number, moment = _number(rating), _moment(time, reading.time)
            is_inside = number is not None and _is_inside(number, reading)
            n_out_of_range += number is not None and not is_inside
            if number is None or not is_inside or not user.strip() or not item.strip():
                continue
            if time is not None and moment is None:
                continue
            n_good += 1
            if len(found) < SHOWN:
                found.append(Example(user, item, number, moment))
    return Rows(tuple(found), n_read, n_read - n_good, n_out_of_range)


def _is_inside(number: float, reading: RatingsReading) -> bool:
    low = -math.inf if reading.minimum is None else reading.minimum
    high = math.inf if reading.maximum is None else reading.maximum
    return low <= number <= high


def _values(block: Block) -> Any:
    """(user, item, rating, time) of each row; the rating is 1 and the time None where the source has none."""
    n = len(block.lines)
    columns = block.columns
    ratings = columns["rating"].to_pylist() if "rating" in columns else [1.0] * n
    times = columns["rated_at"].to_pylist() if "rated_at" in columns else [None] * n
    return zip(columns["user_id"].to_pylist(), columns["item_id"].to_pylist(), ratings, times, strict=True)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if is_number(value) else None
    return float(value)


def _moment(value: Any, unit: str) -> datetime | None:
    """A time of a column of texts or whole numbers, or of durations since 1970, which are times already."""
    if value is None:
        return None
    return EPOCH + value if isinstance(value, timedelta) else read_time(str(value), unit)
