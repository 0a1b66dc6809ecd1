"""How good recommendations are: one metric a file, each with its formula, source and edge cases.

`RANKING` names the metrics of a user's list; `lists.mark` makes their input from item indexes. `per_user` computes all
metrics of lists, `interval` and `paired` say how far a mean can be believed. `coverage`, `gini`, `rmse` and `mae` look
at all users together.
"""

from __future__ import annotations

from marquee.metrics.auc import auc
from marquee.metrics.coverage import coverage
from marquee.metrics.diversity import diversity
from marquee.metrics.gini import gini
from marquee.metrics.intervals import Interval, interval, intervals, paired
from marquee.metrics.lists import mark
from marquee.metrics.long_tail import is_tail, long_tail
from marquee.metrics.mae import mae
from marquee.metrics.novelty import novelty
from marquee.metrics.per_user import Catalogue, per_user
from marquee.metrics.popularity import popularity
from marquee.metrics.ranking import RANKING, summarize
from marquee.metrics.rmse import rmse
from marquee.metrics.segments import ITEM_SEGMENTS, USER_SEGMENTS, item_segments, user_segments
from marquee.metrics.serendipity import serendipity

__all__ = [
    "ITEM_SEGMENTS",
    "RANKING",
    "USER_SEGMENTS",
    "Catalogue",
    "Interval",
    "auc",
    "coverage",
    "diversity",
    "gini",
    "interval",
    "intervals",
    "is_tail",
    "item_segments",
    "long_tail",
    "mae",
    "mark",
    "novelty",
    "paired",
    "per_user",
    "popularity",
    "rmse",
    "serendipity",
    "summarize",
    "user_segments",
]
