"""Gini index of how often items are recommended: 0 where all items come equally often, near 1 where few take all.

    G = sum over items, by rising count, of (2 i - n - 1) count_i / (n sum of counts),   i = 1 .. n

All items of the catalogue count, those that are in no list as 0.

Source: Adomavicius and Kwon, "Improving aggregate recommendation diversity using ranking-based techniques", IEEE TKDE
24(5), 2012; Gini, "Variabilita e mutabilita", 1912.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def gini(counts: NDArray[np.integer]) -> float:
    """Gini index of the counts.

    Args:
        counts: (n_items,), how many lists hold the item, 0 or more.

    Returns:
        A number in [0, 1); NaN where nothing is recommended.
    """
    rising = np.sort(np.asarray(counts, np.float64))
    n, total = rising.size, rising.sum()
    if n == 0 or total == 0:
        return float("nan")
    return float(((2 * np.arange(1, n + 1) - n - 1) * rising).sum() / (n * total))
