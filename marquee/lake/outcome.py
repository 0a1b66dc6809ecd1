"""What a Spark job has to say, left in the lake for the task that submitted it.

A job may run far from the task (on a cluster, under another process), so its figures do not travel through its log:
it writes one small JSON object, and the task reads it. A failed job leaves its sentence the same way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from marquee.lake.objects import Lake

#: The line of a job's log by which its task finds the sentence when the lake can't carry it.
ERROR_MARK = "marquee: error: "


@dataclass(frozen=True)
class Outcome:
    """Either figures (`error` empty) or a sentence; `is_transient` as in `marquee.errors`."""

    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    is_transient: bool = False


def key(run: str, task: str) -> str:
    return f"runs/{run}/{task}.json"


def save(lake: Lake, where: str, outcome: Outcome) -> None:
    lake.write_json(where, asdict(outcome))


def load(lake: Lake, where: str) -> Outcome | None:
    return Outcome(**lake.read_json(where)) if lake.exists(where) else None
