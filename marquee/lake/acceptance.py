"""Accepting a batch: its validated rows become part of every table, exactly once, however often and wherever it stops.

The order makes it repeatable: quarantine, splits and items first, then the ratings, and last the rows of the batch that
the table had better ones of, which only the merge of the ratings can tell. They are kept under the name of the version
that the merge was planned on, so that a later call finds and commits them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from marquee.lake import current_view, tables
from marquee.lake.objects import Lake
from marquee.lake.pieces import raw_lines
from marquee.lake.raw import Manifest

if TYPE_CHECKING:
    import pyarrow as pa

BESIDE = ("quarantine", "splits", "items")
RUN = "marquee.ingest_run_id"


@dataclass(frozen=True)
class Accepted:
    """The versions that hold the batch, and how many of its ratings the table had better ones of."""

    versions: dict[str, int]
    n_superseded: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def accept(
    lake: Lake, manifest: Manifest, schemas: Mapping[str, pa.Schema], *, mode: tables.Mode, run_id: str
) -> Accepted:
    """Make the prepared and validated rows of a batch part of the tables.

    Args:
        schemas: of ratings, items, splits and quarantine.
        run_id: kept in the commits, for people who read the tables' history.

    Raises:
        LakeError: nothing is prepared, the store refuses, or others commit again and again in between (transient).
    """
    batch = manifest.batch
    versions: dict[str, int] = {}
    metadata = {RUN: run_id}
    for table in BESIDE:
        prepared = tables.load_prepared(lake, table, batch)
        if table == "items" and mode == "append":
            # What is only rated never takes the place of what a catalogue lists.
            versions[table] = tables.upsert(
                lake, prepared, schemas[table], key="item_id", metadata=metadata, update_where="incoming.is_listed"
            )
        else:
            versions[table] = tables.commit(lake, prepared, schemas[table], mode=mode, metadata=metadata)

    def keep_lost(merge: current_view.Merge, version: int | None) -> None:
        keep_superseded(lake, manifest, merge.lost, schemas["quarantine"], version)

    versions["ratings"] = current_view.merge(
        lake,
        tables.load_prepared(lake, "ratings", batch),
        schemas["ratings"],
        mode=mode,
        repeated=manifest.reading.ratings.repeated,
        metadata=metadata,
        before_commit=keep_lost,
    )
    superseded = superseded_rows(lake, batch)
    if superseded is not None:
        versions["quarantine"] = tables.commit(
            lake, superseded, schemas["quarantine"], mode="append", metadata=metadata
        )
    return Accepted(versions, superseded.rows if superseded is not None else 0)


def is_accepted(lake: Lake, batch: str, mode: tables.Mode) -> bool:
    """Whether the tables already are what accepting the batch would make of them."""
    version = tables.current_version(lake, "ratings")
    if version is None or not tables.is_in(tables.batches(lake, "ratings", version), batch, mode):
        return False
    superseded = superseded_rows(lake, batch)
    if superseded is None:
        return True
    quarantine = tables.current_version(lake, "quarantine")
    return quarantine is not None and superseded.batch in tables.batches(lake, "quarantine", quarantine)


def keep_superseded(
    lake: Lake, manifest: Manifest, lost: list[pa.Table], schema: pa.Schema, version: int | None
) -> None:
    """Write the rows that a merge with this version leaves out as rows of quarantine, and list them."""
    import pyarrow as pa

    if not lost:
        return
    rows = pa.concat_tables(lost)
    places = {member.name: at for at, member in enumerate(manifest.members)}
    members = [places[name] for name in rows["source_file"].to_pylist()]
    lines = rows["source_line"].to_pylist()
    wanted: dict[int, list[int]] = {}
    for member, line in zip(members, lines, strict=True):
        wanted.setdefault(member, []).append(line)
    found = raw_lines(lake, manifest, wanted)
    raw = pa.array([found[place] for place in zip(members, lines, strict=True)], pa.string())
    whole = rows.append_column("raw", raw).append_column("kind", pa.array(["ratings"] * rows.num_rows))
    name = current_view.superseded_batch(manifest.batch, version)
    part = tables.write_part(lake, "quarantine", manifest.batch, whole.select(schema.names).cast(schema))
    tables.save_prepared(lake, tables.Prepared("quarantine", name, (part,)))


def superseded_rows(lake: Lake, batch: str) -> tables.Prepared | None:
    """The rows that the batch's merge left out; None where it left out none, or there was no merge yet."""
    for entry in tables.history(lake, "ratings"):
        if entry.get("marquee.batch") == batch:
            version = int(entry["version"]) - 1
            name = current_view.superseded_batch(batch, version if version >= 0 else None)
            if lake.exists(tables.prepared_key("quarantine", name)):
                return tables.load_prepared(lake, "quarantine", name)
            return None
    return None
