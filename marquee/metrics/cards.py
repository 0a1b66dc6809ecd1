"""Metric cards: with each figure what it is a figure of, so that it can be read, and compared with its like alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from marquee.metrics.intervals import CONFIDENCE, Interval

RELEVANCE = "every test rating of a known user for a known item, whatever its value"
CANDIDATES = "all items of the train side but those that the user has rated there; none are sampled"

#: What each metric is, at k, of one user; the card's figure is the mean over the users who have a value.
FORMULAS = {
    "ndcg": "sum over hits at i <= k of 1/log2(i+1), by the same of the best list",
    "recall": "hits / relevant items",
    "precision": "hits / k",
    "map": "sum over hits at i <= k of precision@i, by min(k, relevant items)",
    "mrr": "1 / place of the first hit; 0 without one",
    "hit_rate": "1 with a hit, else 0",
    "serendipity": "hits that the popularity floor's list lacks / k",
    "novelty": "mean over the list of -log2(share of users who rated the item), bits",
    "popularity": "mean over the list of the item's ratings on the train side",
    "long_tail": "share of the list outside of the fewest items that hold 80 % of the ratings",
    "diversity": "mean over pairs of the list of 1 - cosine of the items' genres",
    "recall_head": "hits / relevant items, of the most rated items that hold half of the ratings",
    "recall_middle": "hits / relevant items, of the items that hold the next 30 % of the ratings",
    "recall_tail": "hits / relevant items, of the items that hold the last 20 % of the ratings",
    "auc": "how often a relevant item scores above another one; ties count half",
}


def cards(found: Mapping[str, Interval], about: Mapping[str, Any], *, k: int, seed: int) -> list[dict[str, Any]]:
    """A card a metric.

    Args:
        found: metric, as `ndcg_at_10`, to its mean and interval.
        about: what is the same for all: data versions, the split and its sizes.
        seed: of the bootstrap.
    """
    return [
        {
            "metric": name,
            "value": _number(one.value),
            "low": _number(one.low),
            "high": _number(one.high),
            "confidence": CONFIDENCE,
            "interval": "bootstrap over users, percentiles",
            "n_users": one.n_users,
            "k": k if name.endswith(f"_at_{k}") else None,
            "formula": FORMULAS.get(name.removesuffix(f"_at_{k}"), ""),
            "relevance": RELEVANCE,
            "candidates": CANDIDATES,
            "seed": seed,
            **about,
        }
        for name, one in found.items()
    ]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
