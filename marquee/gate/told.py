"""Contenders beside each other, as text; what was decided of them, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from marquee.gate.contenders import Contender

SHOWN = ("ndcg", "recall", "precision", "map", "mrr", "hit_rate", "coverage")


def table(contenders: Sequence[Contender], k: int) -> str:
    """One a line, best nDCG@k first; a dash where there is no value, and why."""
    names = [f"{metric}_at_{k}" for metric in SHOWN]
    width = max((len(one.name) for one in contenders), default=0)
    lines = [" " * width + "".join(f"{name:>18}" for name in names)]
    for one in sorted(contenders, key=lambda one: _falling(_value(one, names[0]))):
        values = "".join(f"{_shown(_value(one, name)):>18}" for name in names)
        lines.append(f"{one.name:<{width}}{values}" + (f"  {one.failure}" if one.failure else ""))
    return "\n".join(lines)


def compared(decision: Mapping[str, Any]) -> str:
    """The candidates of a decision (`Decision.told`) with their differences and intervals, as a table in Markdown."""
    lines = [
        f"| candidate | {decision['metric']} | beyond the floor | beyond the champion | may be champion |",
        "|---|---:|---|---|---|",
    ]
    for one in decision["verdicts"]:
        value = "" if one["value"] is None else f"{one['value']:.4f}"
        differences = (_difference(one["beyond_floor"]), _difference(one["beyond_champion"]))
        may = "yes" if one["passes"] else "no"
        lines.append(f"| {one['name']} | {value} | {' | '.join(differences)} | {may} |")
    return "\n".join(lines)


def _difference(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None or found["low"] is None:
        return ""
    return f"{found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"


def _value(one: Contender, name: str) -> float:
    return float(one.figures.get(name, math.nan))


def _falling(value: float) -> float:
    return math.inf if math.isnan(value) else -value


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
