"""The candidates of a training beside each other, drawn: by interval, by segment, accuracy against coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from marquee import plots
from marquee.gate.contenders import Contender
from marquee.metrics.intervals import interval
from marquee.metrics.segments import USER_SEGMENTS
from marquee.settings import Gate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pictures(contenders: Sequence[Contender], k: int, rule: Gate) -> dict[str, Figure]:
    """Figures by file name; candidates that failed are left out.

    Args:
        contenders: of a training, each with its users.
        k: length of the lists.
    """
    metric = f"{rule.metric}_at_{k}"
    judged = sorted((one for one in contenders if not one.failure), key=lambda one: one.mean(metric))
    if not judged:
        return {}
    label = f"{plots.NAMES.get(rule.metric, rule.metric)}@{k}"

    def ends(values: np.ndarray) -> tuple[float, float, float]:
        found = interval(values, seed=rule.seed, confidence=rule.confidence, resamples=rule.resamples)
        return found.value, found.low, found.high

    whole = {one.name: ends(one.values(metric)) for one in judged}
    by_segment = {
        one.name: [ends(one.values(metric)[one.of_segment(segment)]) for segment in USER_SEGMENTS] for one in judged
    }
    points = {one.name: (one.figures.get(f"coverage_at_{k}", float("nan")), one.mean(metric)) for one in judged}
    return {
        "candidates.png": plots.with_intervals(whole, label),
        "segments.png": plots.by_group(by_segment, USER_SEGMENTS, label),
        "accuracy_and_coverage.png": plots.against(points, f"coverage@{k}, share of the catalogue in lists", label),
    }
