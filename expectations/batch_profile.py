"""The profile of a batch of ratings: exact numbers about the whole of it, from one pass over its buckets.

Each bucket has all rows of its users, so numbers about users and about pairs of user and item add up. Whatever the
order of the rows, of the buckets, or of the codes of a dictionary, the profile is the same.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from expectations.contracts import REASONS
from marquee.errors import LakeError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FAULTS = frozenset(reason.code for reason in REASONS if reason.is_fault)


@dataclass(frozen=True)
class RatingsProfile:
    """Numbers of a batch, or of a bucket of it; ratings that are null, NaN or infinite are in `n_rows` alone.

    Args:
        n_rows: ratings accepted.
        n_users: users of these.
        n_items: items of these. An item is in several buckets: 0 until the job that sees them all sets it.
        n_repeated: pairs of user and item that come more than once.
        n_single_users: users with one rating.
        rating_sum, rating_sum_squares: of all ratings.
        rating_min, rating_max: the lowest and the highest; None without ratings.
        histogram: rating, rounded to two significant digits, as `%.2g` writes it -> ratings.
        first_time, last_time: microseconds since 1970, UTC; None without times.
        n_without_time: ratings without a time.
        n_read: rows of ratings that were read, set by the job.
        n_merged: rows that were added up into another one, set by the job.
        quarantined: reason -> rows of ratings in quarantine, set by the job.
    """

    n_rows: int = 0
    n_users: int = 0
    n_items: int = 0
    n_repeated: int = 0
    n_single_users: int = 0
    rating_sum: float = 0.0
    rating_sum_squares: float = 0.0
    rating_min: float | None = None
    rating_max: float | None = None
    histogram: Mapping[str, int] = field(default_factory=dict)
    first_time: int | None = None
    last_time: int | None = None
    n_without_time: int = 0
    n_read: int = 0
    n_merged: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_rated(self) -> int:
        """Ratings that are numbers."""
        return sum(self.histogram.values())

    @property
    def rating_mean(self) -> float:
        """NaN without ratings."""
        return self.rating_sum / self.n_rated if self.n_rated else math.nan

    @property
    def rating_deviation(self) -> float:
        """Standard deviation of the ratings, of the population; NaN without ratings."""
        if not self.n_rated:
            return math.nan
        return math.sqrt(max(self.rating_sum_squares / self.n_rated - self.rating_mean**2, 0.0))

    @property
    def n_quarantined(self) -> int:
        """Rows of ratings in quarantine, whatever the reason."""
        return sum(self.quarantined.values())

    @property
    def n_faults(self) -> int:
        """Those of them that break a rule."""
        return sum(count for reason, count in self.quarantined.items() if reason in FAULTS)

    @property
    def share_of_faults(self) -> float:
        """Share of the rows read that break a rule; 0 where none were read."""
        return self.n_faults / self.n_read if self.n_read else 0.0

    @property
    def n_lost(self) -> int:
        """Rows read that are neither accepted, nor added to another, nor in quarantine: must be 0."""
        return self.n_read - self.n_rows - self.n_merged - self.n_quarantined

    def to_json(self) -> dict[str, Any]:
        """The profile in JSON's types; equal profiles give equal values."""
        return asdict(self) | {
            "histogram": dict(sorted(self.histogram.items(), key=lambda bar: float(bar[0]))),
            "quarantined": dict(sorted(self.quarantined.items())),
        }

    @classmethod
    def from_json(cls, value: Any) -> RatingsProfile:
        """The profile that `to_json` wrote.

        Raises:
            LakeError: it is none.
        """
        try:
            return cls(**value)
        except TypeError as error:
            raise LakeError(f"This is no profile of ratings ({error}): run the job normalize again.") from None


def merge(profiles: Iterable[RatingsProfile]) -> RatingsProfile:
    """The profile of buckets together (or of batches: then users and items count once in each).

    `n_items` is the sum, too: where the same item is in several, set it with `dataclasses.replace`.
    """
    held = list(profiles)
    if not held:
        return RatingsProfile()

    def known(name: str) -> list[Any]:
        return [value for profile in held if (value := getattr(profile, name)) is not None]

    return RatingsProfile(
        **{name: sum(int(getattr(profile, name)) for profile in held) for name in COUNTS},
        rating_sum=sum(sorted(profile.rating_sum for profile in held)),
        rating_sum_squares=sum(sorted(profile.rating_sum_squares for profile in held)),
        rating_min=min(known("rating_min"), default=None),
        rating_max=max(known("rating_max"), default=None),
        histogram=added(profile.histogram for profile in held),
        first_time=min(known("first_time"), default=None),
        last_time=max(known("last_time"), default=None),
        quarantined=added(profile.quarantined for profile in held),
    )


COUNTS = (
    "n_rows", "n_users", "n_items", "n_repeated", "n_single_users", "n_without_time", "n_read", "n_merged",
)  # fmt: skip


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by name, added up."""
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def profile_part(part: pa.Table) -> RatingsProfile:
    """The profile of a bucket: rows of `ratings`, all that its users have; ids may be dictionaries.

    It is fastest where the rows are sorted by user, then item (by value or by code).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    times = part.column("rated_at").cast(pa.int64())
    ends = pc.min_max(times)
    users, n_items = codes(part.column("user_id")), codes(part.column("item_id"))
    per_user = np.bincount(users) if part.num_rows else np.zeros(0, np.int64)
    values, counts = distinct(part.column("rating"))
    return RatingsProfile(
        n_rows=part.num_rows,
        n_users=int(np.count_nonzero(per_user)),
        n_repeated=repeated(users, n_items),
        n_single_users=int(np.count_nonzero(per_user == 1)),
        rating_sum=total(values, counts),
        rating_sum_squares=total(values, values, counts),
        rating_min=float(values[0]) if len(values) else None,
        rating_max=float(values[-1]) if len(values) else None,
        histogram=histogram(values, counts),
        first_time=ends["min"].as_py(),
        last_time=ends["max"].as_py(),
        n_without_time=times.null_count,
    )


def codes(ids: pa.ChunkedArray) -> NDArray[np.int32]:
    """The ids as numbers from 0 on, equal where the ids are; null is a number of its own."""
    import pyarrow as pa

    is_coded = pa.types.is_dictionary(ids.type)
    encoded = (ids.unify_dictionaries() if is_coded else ids.dictionary_encode()).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # pyarrow's answer where there are no chunks at all
        encoded = pa.concat_arrays(encoded.chunks)
    indices = encoded.indices.cast(pa.int32())
    numbers: NDArray[np.int32] = indices.fill_null(len(encoded.dictionary)).to_numpy()
    return numbers


def repeated(users: NDArray[np.int32], items: NDArray[np.int32]) -> int:
    """How many pairs come more than once."""
    import numpy as np

    if not len(users):
        return 0
    pairs = users * (np.int64(items.max()) + 1) + items
    is_same = pairs[1:] == pairs[:-1]
    if not np.all(pairs[1:] >= pairs[:-1]):
        pairs = np.sort(pairs)
        is_same = pairs[1:] == pairs[:-1]
    # A pair that comes three times has two neighbours alike: count where such a run begins.
    return int(np.count_nonzero(is_same[1:] & ~is_same[:-1]) + np.count_nonzero(is_same[:1]))


def distinct(ratings: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The finite ratings, each value once and rising, and how often each is there."""
    import numpy as np
    import pyarrow.compute as pc

    found = pc.value_counts(ratings)
    values = found.field("values").fill_null(math.nan).to_numpy(zero_copy_only=False) + 0.0  # -0.0 becomes 0.0
    is_finite = np.isfinite(values)
    once, place = np.unique(values[is_finite], return_inverse=True)
    counts = np.zeros(len(once), np.int64)
    np.add.at(counts, place, found.field("counts").to_numpy()[is_finite])
    return once, counts


def total(*factors: NDArray[Any]) -> float:
    """The sum of the products, in the order of the values; infinite where it is beyond a double."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.prod(np.array(factors, np.float64), axis=0).sum())


def histogram(values: NDArray[np.float64], counts: NDArray[np.int64]) -> dict[str, int]:
    """Counts by value rounded to two significant digits."""
    import numpy as np

    size = np.abs(values)
    step = 10.0 ** (np.floor(np.log10(np.where(size > 0, size, 1.0))) - 1)
    is_tiny = step == 0  # below the smallest double
    rounded = np.where(is_tiny, 0.0, np.round(values / np.where(is_tiny, 1.0, step)) * step)
    bars, place = np.unique(rounded + 0.0, return_inverse=True)
    heights = np.bincount(place, weights=counts, minlength=len(bars))
    found: Counter[str] = Counter()
    for bar, height in zip(bars.tolist(), heights.tolist(), strict=True):
        found[f"{bar:.2g}"] += int(height)
    return dict(found)
