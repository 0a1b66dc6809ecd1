"""A decision of the gate as the terminal shows it."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from marquee.cli.deciding import show_decision


def verdict(name: str, value: float | None, low: float | None, **more: Any) -> dict[str, Any]:
    beyond = None if value is None else {"value": 0.02, "low": low, "high": 0.05, "n_users": 28}
    return {
        "name": name, "run_id": name, "value": value, "beyond_floor": beyond, "beyond_champion": None, "broken": [],
        "passes": False, "reason": "words", **more,
    }  # fmt: skip


def shown(action: str = "floor", name: str = "popular", **more: Any) -> str:
    out = io.StringIO()
    decision = {
        "action": action, "name": name, "challenger": "als-16", "metric": "ndcg_at_10", "reason": "So it is.", **more,
    }  # fmt: skip
    decision["verdicts"] = [
        verdict("als-16", 0.13, -0.01),
        verdict("als-32", 0.12, None),
        verdict("leaking", 0.9, 0.5, broken=["it seems to have seen the test side"]),
        verdict("als-64", None, None, reason="not judged: its task ended without a result"),
        verdict("popular", 0.11, 0.0, beyond_floor=None),
    ]
    show_decision(Console(file=out, width=160, highlight=False), decision)
    return out.getvalue()


def test_each_candidate_has_a_line_and_its_place() -> None:
    lines = {line.split()[0]: line for line in shown().splitlines() if line}
    assert "0.1300" in lines["als-16"] and "+0.0200 [-0.0100, +0.0500]" in lines["als-16"]
    assert lines["als-16"].rstrip().endswith("challenger") and lines["popular"].rstrip().endswith("champion")
    assert "too few users" in lines["als-32"]
    assert "leaking is refused: it seems to have seen the test side." in shown()
    assert "als-64 is not judged: its task ended without a result." in shown()
    assert "So it is." in shown() and 'marquee promote --why "..."' in shown()
    assert "beyond the champion" not in shown()


def test_where_the_gate_let_one_through_nobody_is_asked_to_overrule_it() -> None:
    assert "promote" not in shown("promote", "als-16", challenger="als-32")
