"""The unit of a column of times: seconds or finer since 1970, ISO 8601, or a pattern of strptime."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from marquee.sources.inspection.guesses import Confidence
from marquee.sources.reading import ISO, TIME_UNITS

#: Distinct values that patterns are tried on.
TRIED = 300
#: Share of the values that have to be times.
MOST = 0.95
#: A number of seconds from here on is a time (1973); smaller ones may be anything. So no two units fit one number.
EARLIEST_SECONDS = 100_000_000
UNIT_WORDS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"\d{9,20}(\.\d*)?")
_MAY_BE_TIME = re.compile(r"(?=.*\d)(?=.*[^\d.]).{6,40}|\d\d?\.\d\d?\.\d{2,4}", re.DOTALL)
_DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_CLOCKS = ("", " %H:%M:%S", " %H:%M", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S.%f", "T%H:%M:%S", " %H:%M:%S %z")
# Day-first before month-first: where both fit, that is a question, and the first is the proposal.
_DATES = (
    "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m.%d.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y",
    "%d-%m-%y", "%Y/%m/%d", "%Y.%m.%d", "%m %d, %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y",
    "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d %B, %Y", "%a, %d %b %Y", "%Y-%m-%d", "%Y %m %d", "%Y%m%d",
)  # fmt: skip
_WHOLE = (
    "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%d/%b/%Y:%H:%M:%S %z", "%H:%M:%S %d/%m/%Y", "%H:%M %d/%m/%Y",
    "%B %d, %Y at %I:%M %p", "%d %b %Y, %H:%M", "%m/%d/%Y, %I:%M:%S %p", "%d/%m/%Y, %H:%M:%S",
)  # fmt: skip


@dataclass(frozen=True)
class TimeGuess:
    """A unit as `RatingsReading.time` has it, how sure it is, and why.

    `rivals` fit as well, and read `example` as another time.
    """

    unit: str
    confidence: Confidence
    reason: str
    rivals: tuple[str, ...] = ()
    example: str = ""


def time_of(values: Iterable[str], now: datetime) -> TimeGuess | None:
    """The unit of a column's values; None where they are no times that are known here.

    Args:
        values: texts; empty ones do not count.
        now: an aware time, after which there are no ratings.
    """
    texts = [text for value in values if (text := value.strip())]
    if not texts:
        return None
    return _digits(texts, now) or _since_1970(texts, now) or _iso(texts) or _patterned(texts, now)


def read_time(text: str, unit: str) -> datetime | None:
    """A time in UTC as the unit says; None where it is none."""
    try:
        if unit in TIME_UNITS:
            return EPOCH + timedelta(seconds=float(text) / TIME_UNITS[unit])
        moment = datetime.fromisoformat(text.strip()) if unit == ISO else datetime.strptime(text.strip(), unit)
    except (ValueError, OverflowError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _since_1970(texts: Sequence[str], now: datetime) -> TimeGuess | None:
    numbers = [float(text) for text in texts if _NUMBER.fullmatch(text)]
    if len(numbers) < MOST * len(texts):
        return None
    latest = (now - EPOCH).total_seconds() + 366 * 86_400
    for unit, per_second in TIME_UNITS.items():
        n_within = sum(EARLIEST_SECONDS * per_second <= number <= latest * per_second for number in numbers)
        if n_within >= MOST * len(texts):
            kept = [number for number in numbers if EARLIEST_SECONDS * per_second <= number <= latest * per_second]
            first, last = ((EPOCH + timedelta(seconds=each / per_second)).year for each in (min(kept), max(kept)))
            years = f"in {first}" if first == last else f"from {first} to {last}"
            return TimeGuess(unit, "certain", f"as {UNIT_WORDS[unit]} since 1970 they are {years}")
    return None


def _digits(texts: Sequence[str], now: datetime) -> TimeGuess | None:
    """Dates without anything between their parts, as 20051231."""
    pattern = _DIGITS.get(len(texts[0]))
    return _tried(texts, [pattern], now) if pattern and texts[0].isdecimal() else None


def _iso(texts: Sequence[str]) -> TimeGuess | None:
    # fromisoformat also takes numbers, as 20051231 and 2005365: those are no evidence of ISO 8601
    found = [text for text in texts if text[:4].isdecimal() and text[4:5] == "-" and read_time(text, ISO)]
    if len(found) < MOST * len(texts):
        return None
    return TimeGuess(ISO, "certain", f"as ISO 8601 writes times: {found[0]}")


def _patterned(texts: Sequence[str], now: datetime) -> TimeGuess | None:
    patterns = (*(date + clock for date in _DATES for clock in _CLOCKS), *_WHOLE)
    # The first may be a mistake: so one from the middle is asked as well.
    for text in (texts[0], texts[len(texts) // 2]):
        if _MAY_BE_TIME.fullmatch(text):
            able = [pattern for pattern in patterns if read_time(text, pattern)]
            if found := _tried(texts, able, now):
                return found
    return None


def _tried(texts: Sequence[str], patterns: Sequence[str], now: datetime) -> TimeGuess | None:
    """The pattern that reads the most; where two read all and tell other times, the later is a rival."""
    distinct = list(dict.fromkeys(texts))[:TRIED]
    latest = now + timedelta(days=366)
    fits: dict[str, float] = {}
    for pattern in patterns:
        times = [moment for text in distinct if (moment := read_time(text, pattern)) and EPOCH <= moment <= latest]
        fits[pattern] = len(times) / len(distinct)
    best = max(fits.values(), default=0.0)
    if best < MOST:
        return None
    pattern, *others = [pattern for pattern, share in fits.items() if share == best]
    for text in distinct:
        readings = {read_time(text, each): each for each in (*reversed(others), pattern)}
        if len(readings) > 1:
            rivals = tuple(each for each in readings.values() if each != pattern)
            return TimeGuess(pattern, "unsure", f"{text} may be read in more than one way", rivals, text)
    first = next(moment for text in distinct if (moment := read_time(text, pattern)))
    return TimeGuess(pattern, "certain" if best == 1 else "likely", f"the first is {first:%d %B %Y %H:%M}")
