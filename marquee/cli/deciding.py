"""What the gate decided of a training, on the terminal: a line a candidate, why, and how a person overrules it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show_decision(console: Console, decision: Mapping[str, Any]) -> None:
    """Show a decision as `Decision.told` gives it."""
    table = Table(box=None, pad_edge=False)
    verdicts = decision["verdicts"]
    has_champion = any(one["beyond_champion"] for one in verdicts)
    for heading in ("candidate", decision["metric"], "beyond the floor", *(["beyond the champion"] * has_champion), ""):
        table.add_column(heading, no_wrap=True)
    for one in verdicts:
        beyond = [_interval(one["beyond_floor"]), *([_interval(one["beyond_champion"])] * has_champion)]
        table.add_row(one["name"], _number(one["value"]), *beyond, _role(one, decision))
    console.print()
    console.print(table)
    console.print(decision["reason"], markup=False)
    for one in verdicts:
        for words in one["broken"]:
            console.print(f"{one['name']} is refused: {words}.", markup=False)
        if one["value"] is None:
            console.print(f"{one['name']} is {one['reason']}.", markup=False)
    if decision["challenger"] and decision["action"] in ("floor", "keep"):
        console.print('A person may overrule it: marquee promote --why "..."', markup=False)
    console.print()


def _role(verdict: Mapping[str, Any], decision: Mapping[str, Any]) -> str:
    if verdict["name"] == decision["name"]:
        return "champion"
    if verdict["broken"]:
        return "refused"
    if verdict["value"] is None:
        return "not judged"
    return "challenger" if verdict["name"] == decision["challenger"] else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _interval(found: Mapping[str, Any] | None) -> str:
    """As +0.0250 [-0.0101, +0.0674]; empty where there is nothing to compare with."""
    if not found or found["value"] is None:
        return ""
    ends = "too few users" if found["low"] is None else f"{found['low']:+.4f}, {found['high']:+.4f}"
    return rf"{found['value']:+.4f} \[{ends}]"
