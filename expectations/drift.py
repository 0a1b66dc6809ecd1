"""How far a batch of ratings is from the batches before it, as numbers: the thresholds stand in the contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from expectations.batch_profile import RatingsProfile, merge
from expectations.contracts import DRIFTS

#: Share of an empty bar, so that a logarithm of it exists (as Evidently takes it).
EMPTY_BAR = 1e-4
#: More bars than these are put together by the earlier ratings' deciles.
MAX_BARS = 30
DECILES = 10
MICROSECONDS_OF_A_DAY = 86_400_000_000
#: The least deviation that a mean is measured in: ratings that are all alike have none.
LEAST_DEVIATION = 1e-9


@dataclass(frozen=True)
class Newcomers:
    """Shares of the batch's users and items that the tables do not have, from 0 to 1."""

    users: float
    items: float


def drift(
    profile: RatingsProfile,
    earlier: Mapping[str, RatingsProfile],
    newcomers: Newcomers,
    *,
    is_added: bool,
) -> dict[str, float]:
    """Each drift's number, by its name; those that say nothing here are left out.

    Args:
        profile: of the batch.
        earlier: the profiles of the batches that it joins, or takes the place of; without any there is no drift.
        newcomers: what is new in the batch.
        is_added: whether the batch joins the earlier ones.
    """
    before = merge(earlier.values())
    if not profile.n_rows or not before.n_rows:
        return {}
    shares = aligned(profile.histogram, before.histogram)
    numbers = {
        "volume_factor": factor(profile.n_rows, median(one.n_rows for one in earlier.values() if one.n_rows)),
        "share_of_new_users": newcomers.users,
        "share_of_new_items": newcomers.items,
        "rating_mean_shift": mean_shift(profile, before),
        "rating_psi": psi(*shares),
        "rating_js_distance": js_distance(*shares),
        "shift_without_time": abs(without_time(profile) - without_time(before)),
        **times(profile, before, is_added=is_added),
    }
    sizes = {"share_of_new_users": profile.n_users, "share_of_new_items": profile.n_items}
    smaller = min(profile.n_rows, before.n_rows)
    return {
        one.name: numbers[one.name]
        for one in DRIFTS
        if sizes.get(one.name, smaller) >= one.min_rows and not math.isnan(numbers.get(one.name, math.nan))
    }


def factor(rows: int, usual: float) -> float:
    """How many times more or fewer; at least 1."""
    return max(rows / usual, usual / rows)


def mean_shift(profile: RatingsProfile, before: RatingsProfile) -> float:
    """Distance of the means in the earlier ratings' deviations; NaN without ratings."""
    distance = abs(profile.rating_mean - before.rating_mean)
    return distance / max(before.rating_deviation, LEAST_DEVIATION)


def without_time(profile: RatingsProfile) -> float:
    return profile.n_without_time / profile.n_rows


def times(profile: RatingsProfile, before: RatingsProfile, *, is_added: bool) -> dict[str, float]:
    """The gap between the two spans of time, and the share of the batch's that the other covers."""
    if profile.first_time is None or profile.last_time is None:
        return {}
    if before.first_time is None or before.last_time is None:
        return {}
    common = min(profile.last_time, before.last_time) - max(profile.first_time, before.first_time)
    found = {"time_gap_days": max(-common, 0) / MICROSECONDS_OF_A_DAY}
    if is_added:
        span = profile.last_time - profile.first_time
        found["time_overlap"] = max(common, 0) / span if span else float(common >= 0)
    return found


def aligned(histogram: Mapping[str, int], before: Mapping[str, int]) -> tuple[list[float], list[float]]:
    """Both histograms as shares of the same bars, the second one first."""
    bars = sorted({*histogram, *before}, key=float)
    old, new = ([counts.get(bar, 0) for bar in bars] for counts in (before, histogram))
    if len(bars) > MAX_BARS:
        old, new = by_deciles(old, new)
    return shares(old), shares(new)


def by_deciles(old: list[int], new: list[int]) -> tuple[list[int], list[int]]:
    """Neighbouring bars put together, so that each new bar holds about a tenth of the old counts."""
    total, below = sum(old), 0
    olds, news = [0] * DECILES, [0] * DECILES
    for old_count, new_count in zip(old, new, strict=True):
        # A bar goes where its middle is, so that a broad one stays by itself.
        place = min(int((below + old_count / 2) * DECILES / total), DECILES - 1) if total else 0
        olds[place] += old_count
        news[place] += new_count
        below += old_count
    return olds, news


def shares(counts: list[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else math.nan for count in counts]


def psi(old: list[float], new: list[float]) -> float:
    """Population stability index: sum of (p - q) ln(p / q). 0 is alike; NaN where one has no ratings."""
    pairs = [(max(p, EMPTY_BAR), max(q, EMPTY_BAR)) for p, q in zip(old, new, strict=True) if p or q]
    return math.fsum((p - q) * math.log(p / q) for p, q in pairs) if pairs else math.nan


def js_distance(old: list[float], new: list[float]) -> float:
    """Jensen-Shannon distance to the base 2, from 0 to 1; NaN where one has no ratings."""
    from scipy.spatial.distance import jensenshannon

    return float(jensenshannon(old, new, base=2)) if old else math.nan
