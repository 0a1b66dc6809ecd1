"""Train and test, one protocol a file, each seeded and a function of the ratings alone, not of their order.

`by_time` is the gate's: what came before an instant is train, what came from it on is test, for everybody.
"""

from __future__ import annotations

from marquee.splits.base import Sizes, Split, sizes
from marquee.splits.by_time import border, by_time
from marquee.splits.k_fold import k_fold
from marquee.splits.leave_last import leave_last
from marquee.splits.published import published
from marquee.splits.random_within import random_within
from marquee.splits.strong import strong

__all__ = [
    "Sizes",
    "Split",
    "border",
    "by_time",
    "k_fold",
    "leave_last",
    "published",
    "random_within",
    "sizes",
    "strong",
]
