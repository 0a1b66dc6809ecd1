"""Decisions in the lake: a row each, in an order that two trainings can't both be first in.

Who decides names the version of the table that was newest when the champion was read. Where another decision has
changed the champion since, this one comes too late: it is recorded as such, and changes nothing. The check and the row
are one Delta commit, which is refused where somebody else committed first, and then planned anew. So of two trainings
that finish together one sets the champion. A decision that is in the table already is found, and not made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marquee.lake import tables
from marquee.lake.objects import Lake

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "decisions"
CHANGES = "marquee.changes_champion"
ROW = "marquee.decision"


@dataclass(frozen=True)
class Change:
    """A decision that made a version champion: the table's version that it made, and its row, all of it text."""

    version: int
    row: dict[str, str]


def newest_change(lake: Lake, model: str) -> Change | None:
    """The last decision that set the champion of this model; None where none did.

    Raises:
        LakeError: the store refuses.
    """
    if not tables.exists(lake, TABLE):
        return None
    for entry in tables.history(lake, TABLE):
        row = json.loads(entry.get(ROW, "{}"))
        if entry.get(CHANGES) == "True" and row["model_name"] == model:
            return Change(int(entry["version"]), row)
    return None


def seen(lake: Lake) -> int:
    """The newest version of the table, to be named by the decision that follows; -1 where there is none."""
    version = tables.current_version(lake, TABLE)
    return -1 if version is None else version


def record(lake: Lake, row: Mapping[str, Any], schema: pa.Schema, *, seen: int) -> dict[str, Any]:
    """Add a decision.

    Args:
        row: by the table's contract; its `action` becomes "late", and its champion the one before, where it comes late.
        schema: of the table's contract.
        seen: the newest version of the table when the champion was read.

    Returns:
        The row as it stands in the table.

    Raises:
        LakeError: the store refuses.
    """
    left: list[dict[str, Any]] = []
    parts: dict[bool, tables.Part] = {}

    def plan(version: int | None) -> tables.Plan | None:
        left.clear()
        batches = [] if version is None else tables.batches(lake, TABLE, version)
        if row["decision_id"] in batches:
            left.append(_found(lake, str(row["decision_id"])))
            return None
        is_late = changes_champion(row["action"]) and version is not None and _changed_since(lake, seen)
        told = _late(row, lake) if is_late else dict(row)
        left.append(told)
        if is_late not in parts:
            parts[is_late] = tables.write_part(lake, TABLE, str(row["decision_id"]), _table(told, schema))
        return tables.Plan((parts[is_late],), (*batches, str(row["decision_id"])))

    # What the commit says of itself depends on what was planned, so it is looked up when it is made.
    tables.apply(lake, TABLE, schema, plan, _Metadata(left))
    return left[0]


def changes_champion(action: str) -> bool:
    """Whether the alias is moved by a decision of this kind."""
    return action in ("promote", "refresh", "floor", "overrule")


class _Metadata(Mapping[str, str]):
    """The commit's metadata, of the decision that was planned last."""

    def __init__(self, left: list[dict[str, Any]]) -> None:
        self._left = left

    def _now(self) -> dict[str, str]:
        row = self._left[0]
        plain = {name: str(value) for name, value in row.items()}
        return {CHANGES: str(changes_champion(row["action"])), ROW: json.dumps(plain)}

    def __getitem__(self, name: str) -> str:
        return self._now()[name]

    def __iter__(self) -> Any:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())


def _changed_since(lake: Lake, seen: int) -> bool:
    return any(int(entry["version"]) > seen and entry.get(CHANGES) == "True" for entry in tables.history(lake, TABLE))


def _late(row: Mapping[str, Any], lake: Lake) -> dict[str, Any]:
    newest = next(entry for entry in tables.history(lake, TABLE) if entry.get(CHANGES) == "True")
    champion = json.loads(newest[ROW])["champion_version"]
    return {
        **row,
        "action": "late",
        "champion_version": champion,
        "champion_before": champion,
        "reason": f"Too late: version {champion} became champion while this training ran, and these candidates were "
        f"not compared with it. {row['reason']}",
    }


def _found(lake: Lake, decision_id: str) -> dict[str, Any]:
    for entry in tables.history(lake, TABLE):
        row = json.loads(entry.get(ROW, "{}"))
        if row.get("decision_id") == decision_id:
            return dict(row)
    raise LookupError(f"Decision {decision_id} is in the table and not in its history: report this.")


def _table(row: Mapping[str, Any], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist([dict(row)], schema=schema)
