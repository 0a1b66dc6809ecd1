"""Guards: what no model may do, however good its mean is. Each is a function that says what is broken, or None."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from marquee.gate.contenders import Contender
from marquee.metrics.intervals import paired
from marquee.metrics.segments import USER_SEGMENTS
from marquee.settings import Gate

#: On MovieLens 100K and latest-small honest explicit models come to 1.04 to 1.71 (docs/decisions/010).
EXPLICIT_LEAK_RATIO = 1.0

#: A guard gets the contender, the model it would replace (the champion, else the floor), k, the border and the rule.
Guard = Callable[[Contender, Contender, int, int, Gate], str | None]


def numbers(one: Contender, reference: Contender, k: int, border: int, rule: Gate) -> str | None:
    """The metric is a number for every user for whom the reference has one: a model that scores NaN has no list."""
    metric = f"{rule.metric}_at_{k}"
    n_missing = int(np.sum(np.isnan(one.values(metric)) & ~np.isnan(reference.values(metric))))
    return f"{n_missing:,} judged users have no {metric} (scores that are no numbers)" if n_missing else None


def coverage(one: Contender, reference: Contender, k: int, border: int, rule: Gate) -> str | None:
    """Lists show at least a share of the items that they can hold: of the catalogue, or of their places if fewer."""
    share = one.figures.get(f"coverage_at_{k}", float("nan"))
    n_items = one.figures.get("train_items", 0.0)
    places = len(one.values(f"{rule.metric}_at_{k}")) * k
    asked = rule.min_coverage * (min(1.0, places / n_items) if n_items else 1.0)
    if share >= asked:
        return None
    return f"its lists hold {share:.2%} of the catalogue, where {asked:.2%} is asked for (gate.min_coverage)"


def cold_lists(one: Contender, reference: Contender, k: int, border: int, rule: Gate) -> str | None:
    """Users whom it does not know get full lists."""
    share = one.figures.get("cold_lists", 1.0)
    return None if share >= 1.0 else f"{1 - share:.2%} of the users whom it does not know get no full list of {k} items"


def size(one: Contender, reference: Contender, k: int, border: int, rule: Gate) -> str | None:
    """The model's files are not too large to be served."""
    mb = one.figures.get("model_mb", 0.0)
    return None if mb <= rule.max_model_mb else f"it has {mb:,.0f} MB, where {rule.max_model_mb:,} are allowed"


def segments(one: Contender, reference: Contender, k: int, border: int, rule: Gate) -> str | None:
    """No segment of users loses more than is allowed, by more than luck."""
    metric = f"{rule.metric}_at_{k}"
    for segment in USER_SEGMENTS:
        at = one.of_segment(segment)
        ours, theirs = one.values(metric)[at], reference.values(metric)[at]
        if not np.any(~np.isnan(theirs)):
            continue
        difference = paired(ours, theirs, seed=rule.seed, confidence=rule.confidence, resamples=rule.resamples)
        before = float(np.nanmean(theirs))
        if before > 0 and difference.high < 0 and -difference.value / before > rule.max_segment_loss:
            return (
                f"{segment} users lose {-difference.value / before:.0%} of {metric} against {reference.name} "
                f"({before:.4f} before), where {rule.max_segment_loss:.0%} is allowed (gate.max_segment_loss)"
            )
    return None


def leak(one: Contender, reference: Contender, k: int, border: int, rule: Gate) -> str | None:
    """It has not learned from the test side.

    By what it says: no rating that it learned from is of the border or later. And by what it does: a model ranks what
    it has learned from far above what it has not; one that ranks held-out items as high has seen them. Both are AUC
    over the whole catalogue: (1 - auc) / (1 - auc_known). A model that predicts ratings (explicit feedback) ranks what
    it has learned from little above the rest, so less is asked of it.
    """
    last = one.figures.get("last_trained_at", float("-inf"))
    if border and last >= border:
        return "it has learned from ratings of the test side: its last one is not before the border"
    held_out, known = (1 - one.mean(name) for name in ("auc", "auc_known"))
    asked = EXPLICIT_LEAK_RATIO if "rmse" in one.figures else rule.min_leak_ratio
    if held_out < asked * known:
        return (
            f"it ranks held-out items as high as those that it has learned from (AUC {1 - held_out:.4f} and "
            f"{1 - known:.4f}): it seems to have seen the test side"
        )
    return None


GUARDS: tuple[Guard, ...] = (numbers, leak, coverage, cold_lists, size, segments)


def broken(one: Contender, reference: Contender, k: int, border: int, rule: Gate) -> tuple[str, ...]:
    """What the contender breaks, in words."""
    said = (guard(one, reference, k, border, rule) for guard in GUARDS)
    return tuple(words for words in said if words)
