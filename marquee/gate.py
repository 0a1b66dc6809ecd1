"""Which candidate becomes the champion."""

from __future__ import annotations

from typing import Any

from marquee.errors import TrainingError


def choose(results: list[dict[str, Any]], metric: str) -> dict[str, Any]:
    """The candidate with the best metric; the popularity floor where nothing is better.

    Args:
        results: for each candidate `name`, `run_id`, `is_floor` and `metrics`; all evaluated on the same split.
        metric: name of the metric, as `ndcg_at_10`.

    Returns:
        `name`, `run_id`, the metric's value, the floor's, and the reason in words.

    Raises:
        TrainingError: the floor is not among the results, or has no value of the metric.
    """
    floors = [result for result in results if result["is_floor"]]
    if not floors or not is_number(floors[0]["metrics"].get(metric)):
        raise TrainingError(
            f"The popularity floor has no {metric}, so no candidate can be judged: read the log of its task."
        )
    floor = floors[0]
    # A candidate that could not be judged (NaN) never wins; of equals the floor does, then the earlier one.
    judged = [floor] + [
        result for result in results if not result["is_floor"] and is_number(result["metrics"].get(metric))
    ]
    best = max(judged, key=lambda result: result["metrics"][metric])
    value, floor_value = float(best["metrics"][metric]), float(floor["metrics"][metric])
    reason = (
        f"No candidate beats the popularity floor ({metric} {floor_value:.4f}), so the floor itself is the champion."
        if best["is_floor"]
        else f"{best['name']} is the champion: {metric} {value:.4f}, popularity floor {floor_value:.4f}, same split."
    )
    return {
        "name": best["name"],
        "run_id": best["run_id"],
        metric: value,
        f"floor_{metric}": floor_value,
        "reason": reason,
    }


def table(results: list[dict[str, Any]], k: int) -> str:
    """The candidates beside each other, as text: one a line, best nDCG@k first."""
    names = [f"{metric}_at_{k}" for metric in ("ndcg", "recall", "precision", "map", "mrr", "hit_rate", "coverage")]
    width = max(len(result["name"]) for result in results)
    lines = [" " * width + "".join(f"{name:>18}" for name in names)]
    ranked = sorted(results, key=lambda result: -_or_nothing(result["metrics"].get(names[0])))
    for result in ranked:
        values = "".join(f"{result['metrics'].get(name, float('nan')):>18.4f}" for name in names)
        lines.append(f"{result['name']:<{width}}{values}")
    return "\n".join(lines)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and value == value  # NaN is no number


def _or_nothing(value: Any) -> float:
    return float(value) if is_number(value) else float("-inf")
