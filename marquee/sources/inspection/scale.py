"""The scale of a column of ratings: from the lowest to the highest, or counts, which have none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from marquee.sources.inspection.guesses import Confidence
from marquee.sources.inspection.table import is_number

#: Usual scales, the narrowest first.
SCALES = (
    (0, 1), (-1, 1), (1, 3), (1, 4), (0.5, 5), (1, 5), (0, 5), (1, 6), (1, 7), (1, 10), (0, 10), (1, 20), (0, 20),
    (-10, 10), (1, 100), (0, 100),
)  # fmt: skip
#: Share of the values that may lie outside of a scale: they are mistakes, and will be refused as such.
STRAY = 0.005
#: A lowest value of this share, apart from a scale that begins above it, may stand for "no rating".
APART = 0.02


@dataclass(frozen=True)
class Scale:
    """The lowest and highest rating, None where there is no bound; `is_count` where rows of a pair add up.

    `apart` is a value below the scale that may be a rating, or mean that there is none.
    """

    minimum: float | None
    maximum: float | None
    is_count: bool
    confidence: Confidence
    reason: str
    apart: float | None = None


def scale_of(values: Iterable[str], *, is_count: bool) -> Scale:
    """The scale of ratings.

    Args:
        values: texts; those that are no numbers do not count.
        is_count: whether the column's name tells of counts.
    """
    counts: Counter[float] = Counter()
    for text, n_rows in Counter(values).items():
        if is_number(text):
            counts[float(text)] += n_rows
    n, low, high = counts.total(), min(counts), max(counts)
    seen = f"values from {low:g} to {high:g}, {len(counts):,} different ones"
    if is_count:
        return Scale(None, None, True, "certain", f"{seen}: amounts, which have no scale and add up")
    fitting = [scale for scale in SCALES if _stray(counts, *scale) <= STRAY * n and _is_stepped(counts, scale)]
    if not fitting:
        is_whole = all(value.is_integer() and value >= 0 for value in counts)
        if is_whole and high > 100:
            return Scale(None, None, True, "likely", f"{seen}: amounts, which have no scale and add up")
        return Scale(None, None, False, "likely", f"{seen}: no usual scale, so all numbers are taken")
    minimum, maximum = fitting[0]
    n_stray = _stray(counts, minimum, maximum)
    stray = f", but for {n_stray:,} of {n:,} rows outside" if n_stray else ""
    apart = _apart(counts, minimum)
    if apart is not None:
        rest = scale_of((str(value) for value in counts.elements() if value != apart), is_count=False)
        reason = f"{seen}; {apart:g} stands apart, in {counts[apart] / n:.0%} of the rows"
        return Scale(rest.minimum, rest.maximum, False, "unsure", reason, apart)
    is_whole_scale = {low, high} == {minimum, maximum}
    confidence: Confidence = "certain" if is_whole_scale and not n_stray else "likely"
    return Scale(minimum, maximum, False, confidence, f"{seen}: the usual {minimum:g} to {maximum:g}{stray}")


def _stray(counts: Counter[float], minimum: float, maximum: float) -> int:
    return sum(n for value, n in counts.items() if not minimum <= value <= maximum)


def _is_stepped(counts: Counter[float], scale: tuple[float, float]) -> bool:
    """Whether the scale's step shows in the values: 0.5 to 5 is for halves, 0 to 1 for shares or yes and no."""
    has_halves = any(value % 1 == 0.5 for value in counts)
    return has_halves if scale == (0.5, 5) else True


def _apart(counts: Counter[float], minimum: float) -> float | None:
    """A lowest value of zero or less, common, with the scale of all others beginning at one or above."""
    n, others = counts.total(), Counter({value: n for value, n in counts.items() if value > min(counts)})
    low = min(counts)
    if low > 0 or minimum > 0 or not others or min(others) < 1 or max(others) < 3 or counts[low] < APART * n:
        return None
    # -1 beside 1 to 10 is no step of a scale; 0 is one, unless it is as common as no rating is.
    usual = max(others.values())
    return low if low < 0 or counts[low] > 1.5 * usual else None
