"""Delta tables of the lake: prepared, audited, committed once, read by version.

A Spark job *prepares* a batch: its Parquet parts lie under the table's folder, and one JSON object lists them, but
no version of the table holds them yet. Validation reads the prepared parts. Only then are they *committed*, as one
Delta commit that carries the batch as an application transaction, so that the same batch is never in twice. A job
that dies leaves parts that nobody reads; Delta's own vacuum takes them.

(This is Write-Audit-Publish on plain Delta: an uncommitted file is invisible to every reader of the protocol.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from marquee.errors import LakeError
from marquee.lake.objects import Lake, lake_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

Mode = Literal["append", "replace"]
BATCH_OF_PART = re.compile(r"^parts/([^/]+)/")


@dataclass(frozen=True)
class Part:
    """One Parquet file of a table; `path` is relative to the table's folder, `size` in bytes."""

    path: str
    size: int
    rows: int


@dataclass(frozen=True)
class Prepared:
    """The parts of a batch that are written and not yet committed."""

    table: str
    batch: str
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


def folder(table: str) -> str:
    return f"tables/{table}"


def part_path(batch: str, name: str) -> str:
    """Where a part of a batch lies, relative to the table's folder: the path itself tells the batch."""
    return f"parts/{batch}/{name}"


def prepared_key(table: str, batch: str) -> str:
    return f"prepared/{table}/{batch}.json"


def save_prepared(lake: Lake, prepared: Prepared) -> None:
    """List the parts of a batch, in place of an earlier listing of the same batch."""
    lake.write_json(prepared_key(prepared.table, prepared.batch), asdict(prepared))


def load_prepared(lake: Lake, table: str, batch: str) -> Prepared:
    """The parts that a job prepared for this batch.

    Raises:
        LakeError: nothing was prepared under that name.
    """
    key = prepared_key(table, batch)
    if not lake.exists(key):
        raise LakeError(f"Batch {batch} has no prepared parts of table {table} ({lake.uri(key)}): run its job again.")
    listing = lake.read_json(key)
    return Prepared(table, batch, tuple(Part(**part) for part in listing["parts"]))


def read_parts(lake: Lake, prepared: Prepared, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The prepared parts one after the other, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    filesystem = lake.filesystem()
    for part in prepared.parts:
        with lake_errors(f"read {part.path} of table {prepared.table}"):
            path = f"{lake.bucket}/{folder(prepared.table)}/{part.path}"
            with pq.ParquetFile(path, filesystem=filesystem) as file:
                for batch in file.iter_batches(batch_size=262_144, columns=columns):
                    yield pa.Table.from_batches([batch])


def open_table(lake: Lake, table: str, version: int | None = None) -> DeltaTable:
    """The table at a version (the newest, where the caller is the one who pins it).

    Raises:
        LakeError: there is no such table or version, or the store refuses.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    at = "" if version is None else f" at version {version}"
    with lake_errors(f"open table {table}{at}"):
        try:
            return DeltaTable(lake.uri(folder(table)), version=version, storage_options=lake.storage_options())
        except TableNotFoundError:
            raise LakeError(
                f"Table {table}{at} does not exist at {lake.uri(folder(table))}: "
                "ingest ratings first (marquee ingest SOURCE)."
            ) from None
        except DeltaError as error:
            if version is None:
                raise
            raise LakeError(f"Table {table} has no version {version} ({error}): name one that it has.") from None


def exists(lake: Lake, table: str) -> bool:
    from deltalake import DeltaTable

    with lake_errors(f"look for table {table}"):
        return bool(DeltaTable.is_deltatable(lake.uri(folder(table)), storage_options=lake.storage_options()))


def current_version(lake: Lake, table: str) -> int | None:
    """The newest version, to be pinned by the caller; None where there is no table."""
    return int(open_table(lake, table).version()) if exists(lake, table) else None


def parts_of(delta: DeltaTable) -> list[str]:
    """Paths of the version's Parquet files relative to the table's folder, in a stable order."""
    return sorted(str(path) for path in delta.get_add_actions(flatten=True).column("path").to_pylist())


def batches_of(delta: DeltaTable) -> set[str]:
    """The batches whose parts are in this version."""
    return {match.group(1) for match in map(BATCH_OF_PART.match, parts_of(delta)) if match}


def batches(lake: Lake, table: str, version: int) -> set[str]:
    """The batches whose parts are in that version of the table."""
    return batches_of(open_table(lake, table, version))


def is_in(found: set[str], batch: str, mode: Mode) -> bool:
    """Whether a table that holds the batches `found` already is what committing `batch` would make of it."""
    return found == {batch} if mode == "replace" else batch in found


def read_table(lake: Lake, table: str, version: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a pinned version, in batches; memory is bounded by a few row groups."""
    dataset = open_table(lake, table, version).to_pyarrow_dataset(filesystem=_below(lake, table))
    with lake_errors(f"read table {table} at version {version}"):
        yield from dataset.to_batches(columns=columns)


def commit(lake: Lake, prepared: Prepared, schema: pa.Schema, *, mode: Mode, metadata: dict[str, str]) -> int:
    """Make a prepared batch part of its table, exactly once, and return the version that holds it.

    With `mode` "append" the parts join the table's; with "replace" they become the whole table (earlier versions
    stay readable). Where the table already is what this commit would make of it, nothing is written.

    Args:
        metadata: kept in the commit, for people who read the table's history.

    Raises:
        LakeError: the store refuses, or somebody else committed the same batch at the same time (transient).
    """
    from deltalake import CommitProperties, Schema, Transaction
    from deltalake.exceptions import CommitFailedError
    from deltalake.transaction import AddAction, create_table_with_add_actions

    is_new = not exists(lake, prepared.table)
    delta = None if is_new else open_table(lake, prepared.table)
    if delta is not None and _is_there(delta, prepared, mode):
        return int(delta.version())
    seen = delta.transaction_version(prepared.batch) if delta is not None else None
    properties = CommitProperties(
        custom_metadata={"marquee.batch": prepared.batch, "marquee.mode": mode, **metadata},
        app_transactions=[Transaction(prepared.batch, 1 if seen is None else seen + 1)],
    )
    # The time is the batch's place in the commit, not a wall clock: the same batch gives the same actions.
    adds = [
        AddAction(
            path=part.path,
            size=part.size,
            partition_values={},
            modification_time=0,
            data_change=True,
            stats=json.dumps({"numRecords": part.rows}),
        )
        for part in prepared.parts
    ]
    with lake_errors(f"commit batch {prepared.batch} to table {prepared.table}"):
        try:
            if delta is None:
                create_table_with_add_actions(
                    lake.uri(folder(prepared.table)),
                    Schema.from_arrow(schema),
                    adds,
                    mode="error",
                    partition_by=[],
                    storage_options=lake.storage_options(),
                    commit_properties=properties,
                )
            else:
                delta.create_write_transaction(
                    adds,
                    mode="overwrite" if mode == "replace" else "append",
                    schema=Schema.from_arrow(schema),
                    partition_by=[],
                    commit_properties=properties,
                )
        except CommitFailedError as error:
            raise LakeError(
                f"Batch {prepared.batch} was committed to table {prepared.table} by somebody else at the same time "
                f"({error}): the next try finds it there.",
                is_transient=True,
            ) from None
    # The newest version may already be somebody else's commit: ours is the one in which the batch is found.
    return _version_of(lake, prepared)


def upsert(lake: Lake, prepared: Prepared, schema: pa.Schema, *, key: str, metadata: dict[str, str]) -> int:
    """Merge a prepared batch into its table: rows of the same key are replaced, others are added.

    A batch that was merged since the table was last replaced is in it, and is not merged again: rows that came after
    it stay.

    Raises:
        LakeError: the store refuses.
    """
    import pyarrow as pa
    from deltalake import CommitProperties

    if not exists(lake, prepared.table):
        return commit(lake, prepared, schema, mode="append", metadata=metadata)
    delta = open_table(lake, prepared.table)
    if _is_merged(history(lake, prepared.table), prepared.batch):
        return int(delta.version())
    incoming = pa.concat_tables(read_parts(lake, prepared)) if prepared.parts else schema.empty_table()
    with lake_errors(f"merge batch {prepared.batch} into table {prepared.table}"):
        (
            delta.merge(
                incoming.cast(schema),
                predicate=f"kept.{key} = incoming.{key}",
                source_alias="incoming",
                target_alias="kept",
                commit_properties=CommitProperties(custom_metadata={"marquee.batch": prepared.batch, **metadata}),
            )
            .when_matched_update_all()
            .when_not_matched_insert_all()
            .execute()
        )
    return int(delta.version())


def history(lake: Lake, table: str) -> list[dict[str, Any]]:
    """The commits of the table, newest first, as Delta keeps them."""
    with lake_errors(f"read the history of table {table}"):
        return list(open_table(lake, table).history())


def _is_there(delta: DeltaTable, prepared: Prepared, mode: Mode) -> bool:
    """Whether the table already is what the commit would make of it. A batch without parts leaves no trace in it."""
    if not prepared.parts:
        return mode == "append" or not parts_of(delta)
    return is_in(batches_of(delta), prepared.batch, mode)


def _is_merged(commits: list[dict[str, Any]], batch: str) -> bool:
    """Whether the batch came in (commits newest first) and no other replaced the whole table after it."""
    for entry in commits:
        if entry.get("marquee.batch") == batch:
            return True
        if entry.get("marquee.mode") == "replace":
            return False
    return False


def _version_of(lake: Lake, prepared: Prepared) -> int:
    for entry in history(lake, prepared.table):
        if entry.get("marquee.batch") == prepared.batch:
            return int(entry["version"])
    raise LakeError(f"Batch {prepared.batch} is not in the history of table {prepared.table}: run the task again.")


def _below(lake: Lake, table: str) -> Any:
    from pyarrow.fs import SubTreeFileSystem

    return SubTreeFileSystem(f"{lake.bucket}/{folder(table)}", lake.filesystem())
