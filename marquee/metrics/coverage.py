"""Catalogue coverage: the share of all items that are in at least one list.

    coverage = distinct items in all lists / n_items

Source: Ge, Delgado-Battenfeld, Jannach, "Beyond accuracy: evaluating recommender systems by coverage and
serendipity", RecSys 2010, section 2.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marquee.metrics.lists import NOBODY


def coverage(recommended: NDArray[np.integer], n_items: int) -> float:
    """Catalogue coverage of all lists together.

    Args:
        recommended: item indices (n_users, k) in 0 .. n_items - 1, -1 for an empty place.
        n_items: items of the catalogue.

    Returns:
        A share in [0, 1]; NaN for an empty catalogue.

    Raises:
        ValueError: an index is outside of the catalogue.
    """
    if recommended.size and not (recommended.min() >= NOBODY and recommended.max() < n_items):
        raise ValueError(
            f"Item indices run from {recommended.min()} to {recommended.max()}, outside of a catalogue of {n_items}."
        )
    if n_items == 0:
        return float("nan")
    is_listed = np.zeros(n_items, dtype=np.bool_)
    is_listed[recommended[recommended > NOBODY]] = True
    return float(is_listed.sum() / n_items)
