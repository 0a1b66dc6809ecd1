"""All metrics of users' lists at once: a column a metric, a row a user, from which means, intervals and slices come."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.diversity import diversity
from marquee.metrics.lists import Counts, Hits, Values, mark
from marquee.metrics.long_tail import is_tail, long_tail
from marquee.metrics.novelty import novelty
from marquee.metrics.popularity import popularity
from marquee.metrics.ranking import RANKING
from marquee.metrics.segments import ITEM_SEGMENTS, item_segments
from marquee.metrics.serendipity import serendipity


@dataclass(frozen=True)
class Catalogue:
    """What the train side knows of the items.

    Attributes:
        n_ratings: int64 (n_items,); 0 for an item that it does not know.
        n_users: users of the train side.
        vectors: float32 (n_items, d), genres or categories as 0 and 1; None where the source has none.
    """

    n_ratings: Counts
    n_users: int
    vectors: NDArray[np.float32] | None = None

    @cached_property
    def tail(self) -> NDArray[np.bool_]:
        """bool (n_items,): outside of the head (`long_tail`)."""
        return is_tail(self.n_ratings)

    @cached_property
    def segment(self) -> NDArray[np.int8]:
        """(n_items,): places in `ITEM_SEGMENTS`."""
        return item_segments(self.n_ratings)


def per_user(
    recommended: NDArray[np.integer],
    relevant: tuple[Counts, NDArray[np.integer]],
    expected: NDArray[np.integer],
    catalogue: Catalogue,
    ks: list[int],
) -> dict[str, Values]:
    """Every metric of every list, at each k.

    Args:
        recommended: item indexes (n_users, at least max(ks)), best first, -1 for an empty place.
        relevant: indptr (n_users + 1,) and item indexes, the relevant items of the same users.
        expected: the popularity floor's lists, likewise.

    Returns:
        `{"ndcg_at_10": float64 (n_users,), ...}`; NaN where a user has no value. `recall_head_at_10` is the recall of
        the user's relevant items in that segment.

    Raises:
        ValueError: as `lists.mark` and `lists.top`.
    """
    is_hit, n_relevant = mark(recommended, *relevant)
    columns: dict[str, Values] = {}
    for k in ks:
        values = {name: metric(is_hit, n_relevant, k) for name, metric in RANKING.items()}
        values["serendipity"] = serendipity(is_hit, n_relevant, recommended, expected, k)
        values["novelty"] = novelty(recommended, catalogue.n_ratings, catalogue.n_users, k)
        values["popularity"] = popularity(recommended, catalogue.n_ratings, k)
        values["long_tail"] = long_tail(recommended, catalogue.tail, k)
        if catalogue.vectors is not None:
            values["diversity"] = diversity(recommended, catalogue.vectors, k)
        values |= _recall_by_segment(is_hit, recommended, relevant, catalogue.segment, k)
        columns |= {f"{name}_at_{k}": column for name, column in values.items()}
    return columns


def _recall_by_segment(
    is_hit: Hits,
    recommended: NDArray[np.integer],
    relevant: tuple[Counts, NDArray[np.integer]],
    segment: NDArray[np.int8],
    k: int,
) -> dict[str, Values]:
    indptr, indices = relevant
    n = len(ITEM_SEGMENTS)
    row = np.repeat(np.arange(len(recommended)), np.diff(indptr))
    there = np.bincount(row * n + segment[indices], minlength=len(recommended) * n).reshape(-1, n)
    rows, places = np.nonzero(is_hit[:, :k])
    cells = rows * n + segment[recommended[rows, places]]
    found = np.bincount(cells, minlength=len(recommended) * n).reshape(-1, n)
    shares = np.divide(found, there, out=np.full(there.shape, np.nan), where=there > 0)
    return {f"recall_{name}": shares[:, place] for place, name in enumerate(ITEM_SEGMENTS)}
