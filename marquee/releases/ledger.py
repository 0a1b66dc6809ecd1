"""The ledger: what was done to the releases, a row each, in the order that it was done in. The row is what decides.

The Delta table is written whole with each action, as one small part, so that reading it is one request. The check and
the row are one Delta commit, which is refused where somebody else committed first, and then planned anew on what is
there. An action under a lower fence than the newest row's is refused: its lease was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.releases.lease import lost

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "releases"
PUBLISH, ROLLBACK, PIN, UNPIN, REMOVE, ALLOW = "publish", "rollback", "pin", "unpin", "remove", "allow"
#: Actions after which another release is current.
SWITCHES = (PUBLISH, ROLLBACK)

Row = dict[str, Any]
#: Sees the rows there are, and gives those to be added.
Decide = Callable[[Sequence[Row]], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Asked:
    """Who asked for an action, when and why; `action_id` names it: the same one is not done twice."""

    action_id: str
    who: str
    why: str
    at: datetime


def read(lake: Lake) -> list[Row]:
    """All rows, the oldest first; none where nothing was ever published.

    Raises:
        LakeError: the store refuses.
    """
    return _rows(lake, tables.current_version(lake, TABLE))


def add(lake: Lake, decide: Decide, *, fence: int, schema: pa.Schema | None = None) -> list[Row]:
    """Add the rows that `decide` makes of those that are there, and give all.

    Args:
        decide: may be called again, where another action came first; gives rows as `row` makes them, or none. What it
            raises is raised.
        fence: number of the lease that this is done under.
        schema: of the table's contract, where there may be no table yet.

    Raises:
        ReleaseError: the lease was lost: a later one has written (transient).
        LakeError: the store refuses.
    """
    import pyarrow as pa

    schema = schema or pa.schema(tables.open_table(lake, TABLE).schema().to_arrow())
    left: list[Row] = []

    def plan(version: int | None) -> tables.Plan | None:
        there = _rows(lake, version)
        if there and there[-1]["fence"] > fence:
            raise lost(fence)
        new = [
            {**one, "sequence": len(there) + number, "fence": fence}
            for number, one in enumerate(decide(there), start=1)
        ]
        left[:] = [*there, *new]
        if not new:
            return None
        whole = pa.Table.from_pylist(left, schema=schema)
        return tables.Plan((tables.write_part(lake, TABLE, f"lease-{fence:06d}", whole),), (), replaced=None)

    tables.apply(lake, TABLE, schema, plan, {"marquee.fence": str(fence)})
    return left


def row(action: str, release_id: str, asked: Asked, **columns: Any) -> Row:
    """A row by the table's contract, but for `sequence` and `fence`; columns that are left out are empty."""
    empty = {
        "model_name": "",
        "model_version": "",
        "previous_release_id": "",
        "decisions_version": -1,
        "jaccard": None,
        "rbo": None,
    }
    told = {"action_id": asked.action_id, "who": asked.who, "why": asked.why.strip(), "at": asked.at}
    return {**empty, **told, "action": action, "release_id": release_id, **columns}


def _rows(lake: Lake, version: int | None) -> list[Row]:
    if version is None:
        return []
    found = [row for batch in tables.read_table(lake, TABLE, version) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: int(row["sequence"]))
