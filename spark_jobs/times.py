"""Times as sources write them, to microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from marquee.sources.reading import ISO, TIME_UNITS

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
WHOLE = r"^[+-]?[0-9]{1,18}$"
MICROSECONDS = 1_000_000
#: Outside of these a number of microseconds is no year that a calendar has (0 .. 9999).
FIRST, LAST = 0, 253_402_300_799 * MICROSECONDS

Times = tuple[NDArray[np.int64], NDArray[np.bool_]]


def microseconds(values: pa.Array, unit: str) -> Times:
    """Times, int64 of shape (n,), and which of them could be read (bool of shape (n,)); what could not is 0.

    Args:
        values: texts (also as a dictionary), whole numbers, or durations in microseconds since 1970, which are times.
        unit: "s", "ms", "us" or "ns" since 1970; "iso", of which one without a zone is UTC; or a pattern of strptime.
    """
    if pa.types.is_dictionary(values.type):
        found, is_time = microseconds(values.dictionary, unit)
        codes = values.indices.to_numpy(zero_copy_only=False)
        return found[codes], is_time[codes]
    if pa.types.is_duration(values.type):
        found = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return _in_calendar(found, np.ones(len(values), bool))
    if pa.types.is_integer(values.type):
        return _scaled(values.to_numpy(zero_copy_only=False), np.ones(len(values), bool), unit)
    texts = pc.utf8_trim_whitespace(values)
    if unit in TIME_UNITS:
        return _numbers(texts, unit)
    return _iso(texts) if unit == ISO else _patterned(texts, unit)


def _numbers(texts: pa.Array, unit: str) -> Times:
    is_whole = pc.match_substring_regex(texts, WHOLE)
    whole = pc.if_else(is_whole, texts, pa.scalar("0")).cast(pa.int64()).to_numpy(zero_copy_only=False)
    found, is_time = _scaled(whole, is_whole.to_numpy(zero_copy_only=False), unit)
    is_decimal = pc.and_(pc.invert(is_whole), pc.match_substring_regex(texts, NUMBER)).to_numpy(zero_copy_only=False)
    if is_decimal.any():
        values = (
            pc.if_else(pa.array(is_decimal), texts, pa.scalar("0")).cast(pa.float64()).to_numpy(zero_copy_only=False)
        )
        scaled = np.where(is_decimal, values * (MICROSECONDS / TIME_UNITS[unit]), 0.0)
        found = np.where(is_decimal, np.rint(np.clip(scaled, -LAST, LAST)).astype(np.int64), found)
        found, is_time = _in_calendar(found, is_time | is_decimal)
    return found, is_time


def _scaled(whole: NDArray[np.int64], is_time: NDArray[np.bool_], unit: str) -> Times:
    per_second = TIME_UNITS[unit]
    if per_second > MICROSECONDS:
        return _in_calendar(whole // (per_second // MICROSECONDS), is_time)
    factor = MICROSECONDS // per_second
    # What lies behind the calendar's end, as milliseconds taken for seconds do, is put there: it is in the future.
    return _in_calendar(np.clip(whole, -1, LAST // factor) * factor, is_time)


def _iso(texts: pa.Array) -> Times:
    """Arrow's parser over all of them; where it refuses any, one by one what it would refuse."""
    for kind in (pa.timestamp("us"), pa.timestamp("us", tz="UTC")):
        try:
            found = texts.cast(kind).cast(pa.int64()).to_numpy(zero_copy_only=False)
            return _in_calendar(found, np.ones(len(texts), bool))
        except pa.ArrowInvalid:
            continue
    return _each(texts, lambda text: datetime.fromisoformat(text))


def _patterned(texts: pa.Array, pattern: str) -> Times:
    if "%f" not in pattern and "%z" not in pattern:
        parsed = pc.strptime(texts, format=pattern, unit="us", error_is_null=True)
        # It takes 30 February for 1 March: only what it would write the same way is believed.
        if parsed.null_count == 0 and pc.all(pc.equal(pc.strftime(parsed, format=pattern), texts)).as_py():
            found = parsed.cast(pa.int64()).to_numpy(zero_copy_only=False)
            return _in_calendar(found, np.ones(len(texts), bool))
    return _each(texts, lambda text: datetime.strptime(text, pattern))


def _each(texts: pa.Array, read: object) -> Times:
    found, is_time = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    for at, text in enumerate(texts.to_pylist()):
        try:
            moment = read(text)  # type: ignore[operator]
        except ValueError:
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        since = aware - datetime(1970, 1, 1, tzinfo=UTC)
        found[at] = (since.days * 86_400 + since.seconds) * MICROSECONDS + since.microseconds
        is_time[at] = True
    return _in_calendar(found, is_time)


def _in_calendar(found: NDArray[np.int64], is_time: NDArray[np.bool_]) -> Times:
    is_good = is_time & (found >= FIRST) & (found <= LAST)
    return np.where(is_good, found, 0), is_good
