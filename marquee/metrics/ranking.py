"""The metrics of a user's list by name, and their means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from marquee.metrics.average_precision import average_precision
from marquee.metrics.hit_rate import hit_rate
from marquee.metrics.lists import Counts, Hits, Values
from marquee.metrics.ndcg import ndcg
from marquee.metrics.precision import precision
from marquee.metrics.recall import recall
from marquee.metrics.reciprocal_rank import reciprocal_rank

RANKING: dict[str, Callable[[Hits, Counts, int], Values]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}


def summarize(is_hit: Hits, n_relevant: Counts, ks: Sequence[int]) -> dict[str, float]:
    """The mean of every ranking metric at every k, over the users with at least one relevant item.

    Args:
        is_hit: bool (n_users, at least max(ks)), best first.
        n_relevant: int64 (n_users,).
        ks: lengths of the lists.

    Returns:
        `{"ndcg_at_10": ..., ...}`, in the order of `ks`, then of `RANKING`; NaN where nobody has a relevant item.

    Raises:
        ValueError: as `lists.top`.
    """
    is_judged = n_relevant > 0
    return {
        f"{name}_at_{k}": float(metric(is_hit, n_relevant, k)[is_judged].mean()) if is_judged.any() else float("nan")
        for k in ks
        for name, metric in RANKING.items()
    }
