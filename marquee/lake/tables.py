"""Delta tables of the lake: prepared, audited, committed once, read by version.

A Spark job *prepares* a batch: its Parquet parts lie under the table's folder, and one JSON object lists them, but
no version of the table holds them yet. Validation reads the prepared parts. Only then are they *committed*, as one
Delta commit whose metadata names every batch that the version holds (`marquee.batches`), so that the same batch is
never in twice. A commit is made on the version that it was planned on, or refused and planned anew: concurrent writers
never overlook each other. A job that dies leaves parts that nobody reads; Delta's own vacuum takes them.

(This is Write-Audit-Publish on plain Delta: an uncommitted file is invisible to every reader of the protocol.)
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from marquee.errors import LakeError
from marquee.lake.objects import Lake, lake_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow.dataset import Dataset

Mode = Literal["append", "replace"]
BATCHES, BUCKETS = "marquee.batches", "marquee.buckets"
BUCKET = "bucket"
ROWS_OF_A_GROUP = 262_144
#: Tries of a commit whose table moved in the meantime.
ATTEMPTS = 12


@dataclass(frozen=True)
class Part:
    """One Parquet file of a table; `path` is relative to the table's folder, `size` in bytes.

    `bucket` is the bucket whose rows it holds, in a table that is divided into buckets (`marquee.buckets`).
    """

    path: str
    size: int
    rows: int
    bucket: int | None = None


@dataclass(frozen=True)
class Prepared:
    """The parts of a batch that are written and not yet committed; `n_buckets` where they are divided."""

    table: str
    batch: str
    parts: tuple[Part, ...]
    n_buckets: int | None = None

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True)
class Plan:
    """What a commit makes of a table.

    Attributes:
        adds: the parts that join it.
        batches: the batches that the new version holds.
        replaced: the buckets whose earlier parts go; None: all of them go; empty: none.
        n_buckets: into how many buckets the new version is divided; None where it is not.
        gone: paths of single parts that go, where `replaced` is empty.
    """

    adds: tuple[Part, ...]
    batches: tuple[str, ...]
    replaced: tuple[int, ...] | None = ()
    n_buckets: int | None = None
    gone: tuple[str, ...] = ()


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
    return Prepared(table, batch, tuple(Part(**part) for part in listing["parts"]), listing.get("n_buckets"))


def write_part(
    lake: Lake, table: str, batch: str, rows: pa.Table, *, bucket: int | None = None, **options: Any
) -> Part:
    """Write rows as one part of a batch, under a name of its own, and tell of it.

    Args:
        rows: with the contract's columns; dictionaries are written as what they stand for.
        options: further ones of pyarrow's `write_table`.

    Raises:
        LakeError: the store refuses.
    """
    import pyarrow.parquet as pq

    # A new name each time: a task that runs twice never writes over its twin's part.
    path = part_path(batch, f"{'part' if bucket is None else f'bucket-{bucket:04d}'}-{uuid.uuid4().hex[:12]}.parquet")
    where, filesystem = f"{lake.bucket}/{folder(table)}/{path}", lake.filesystem()
    with lake_errors(f"write {path} of table {table}", lake):
        pq.write_table(rows, where, filesystem=filesystem, **{"compression": "zstd", "store_schema": False, **options})
        return Part(path, int(filesystem.get_file_info(where).size), rows.num_rows, bucket)


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


def buckets_of(delta: DeltaTable) -> dict[str, int]:
    """Path of each of the version's parts -> its bucket, in a table that is divided."""
    actions = delta.get_add_actions(flatten=True)
    names = actions.schema.names if hasattr(actions, "schema") else actions.column_names
    if f"partition.{BUCKET}" not in names:
        return {}
    paths, buckets = (actions.column(name).to_pylist() for name in ("path", f"partition.{BUCKET}"))
    return {str(path): int(bucket) for path, bucket in zip(paths, buckets, strict=True)}


def batches(lake: Lake, table: str, version: int) -> list[str]:
    """The batches whose rows are in that version of the table, in the order that they came in."""
    return list(json.loads(commit_of(lake, table, version).get(BATCHES, "[]")))


def n_buckets(lake: Lake, table: str, version: int) -> int:
    """Into how many buckets that version of the table is divided."""
    return int(commit_of(lake, table, version).get(BUCKETS, 1))


def commit_of(lake: Lake, table: str, version: int) -> dict[str, Any]:
    """The commit that tells what a version holds, as Delta keeps it.

    It is the version's own, or the newest before it that names batches: who only tidies up (a vacuum) commits too.

    Raises:
        LakeError: the table has no such version.
    """
    until = [entry for entry in history(lake, table) if int(entry["version"]) <= version]
    if not until or int(until[0]["version"]) != version:
        raise LakeError(f"Table {table} has no version {version} in its history: name one that it has.")
    return next((entry for entry in until if BATCHES in entry), until[0])


def is_in(found: Sequence[str], batch: str, mode: Mode) -> bool:
    """Whether a table that holds the batches `found` already is what committing `batch` would make of it."""
    return list(found) == [batch] if mode == "replace" else batch in found


def read_table(lake: Lake, table: str, version: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a pinned version, in batches; memory is bounded by a few row groups."""
    found = dataset(lake, table, version)
    named = list(columns) if columns is not None else [name for name in found.schema.names if name != BUCKET]
    with lake_errors(f"read table {table} at version {version}"):
        yield from found.to_batches(columns=named)


def dataset(lake: Lake, table: str, version: int) -> Dataset:
    """A pinned version as Arrow sees it; what asks it for some columns or rows reads no more than the parts of those.

    Raises:
        LakeError: there is no such table or version, or the store refuses.
    """
    return open_table(lake, table, version).to_pyarrow_dataset(filesystem=_below(lake, table))


def read_part(lake: Lake, table: str, path: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of one part."""
    import pyarrow.parquet as pq

    with lake_errors(f"read {path} of table {table}", lake):
        where = f"{lake.bucket}/{folder(table)}/{path}"
        with pq.ParquetFile(where, filesystem=lake.filesystem()) as file:
            return file.read(columns=list(columns) if columns is not None else None)


def commit(lake: Lake, prepared: Prepared, schema: pa.Schema, *, mode: Mode, metadata: dict[str, str]) -> int:
    """Make a prepared batch part of its table, exactly once, and return the version that holds it.

    With `mode` "append" the parts join the table's; with "replace" they become the whole table (earlier versions
    stay readable). Where the table already is what this commit would make of it, nothing is written.

    Args:
        metadata: kept in the commit, for people who read the table's history.

    Raises:
        LakeError: the store refuses, or others commit again and again in between (transient).
    """

    def plan(version: int | None) -> Plan | None:
        found = [] if version is None else batches(lake, prepared.table, version)
        if version is not None and is_in(found, prepared.batch, mode):
            return None
        kept = found if mode == "append" else []
        return Plan(
            prepared.parts,
            (*kept, prepared.batch),
            replaced=() if mode == "append" else None,
            n_buckets=prepared.n_buckets,
        )

    return apply(
        lake, prepared.table, schema, plan, {"marquee.batch": prepared.batch, "marquee.mode": mode, **metadata}
    )


def apply(
    lake: Lake,
    table: str,
    schema: pa.Schema,
    plan: Callable[[int | None], Plan | None],
    metadata: Mapping[str, str],
) -> int:
    """Commit what `plan` makes of the newest version (None: there is no table), and return the version it made.

    A commit whose version somebody else has made in the meantime is refused by the store, and planned anew. A plan
    that is None changes nothing: the newest version is returned.

    Raises:
        LakeError: the store refuses, or others commit again and again in between (transient).
    """

    def once() -> int:
        delta = open_table(lake, table) if exists(lake, table) else None
        version = None if delta is None else int(delta.version())
        planned = plan(version)
        if planned is None:
            return int(version or 0)
        _commit_once(lake, table, schema, delta, planned, metadata)
        return 0 if version is None else version + 1

    return _until_unmoved(table, once)


def _until_unmoved(table: str, once: Callable[[], int]) -> int:
    """Call `once` until no other writer comes in between.

    Raises:
        LakeError: they come again and again (transient).
    """
    from deltalake.exceptions import CommitFailedError
    from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random

    tries = Retrying(
        stop=stop_after_attempt(ATTEMPTS), wait=wait_random(0, 0.5), retry=retry_if_exception_type(CommitFailedError)
    )
    try:
        return tries(once)
    except RetryError:
        raise LakeError(
            f"Table {table} was changed by others {ATTEMPTS} times while this wanted to: run the task again.",
            is_transient=True,
        ) from None


def _commit_once(
    lake: Lake, table: str, schema: pa.Schema, delta: DeltaTable | None, plan: Plan, metadata: Mapping[str, str]
) -> None:
    """Commit on top of `delta`; deltalake's CommitFailedError where its next version is there already."""
    import pyarrow as pa
    from deltalake import CommitProperties, Schema
    from deltalake.transaction import create_table_with_add_actions

    is_divided = plan.n_buckets is not None
    full = Schema.from_arrow(pa.schema([*schema, (BUCKET, pa.int64())]) if is_divided else schema)
    kept = {**metadata, BATCHES: json.dumps(list(plan.batches))}
    if plan.n_buckets is not None:
        kept[BUCKETS] = str(plan.n_buckets)
    # No second try by the library: it would commit beside what this plan has not seen.
    properties = CommitProperties(custom_metadata=kept, max_commit_retries=0)
    actions = add_actions(plan.adds, is_divided=is_divided)
    partition_by = [BUCKET] if is_divided else []
    if delta is None:
        with _refusals(lake, table):
            create_table_with_add_actions(
                lake.uri(folder(table)),
                full,
                actions,
                mode="error",
                partition_by=partition_by,
                storage_options=lake.storage_options(),
                commit_properties=properties,
            )
        return
    actions += remove_actions(delta, plan.gone)
    filters = [(BUCKET, "in", [str(bucket) for bucket in plan.replaced])] if plan.replaced else None
    with _refusals(lake, table):
        delta.create_write_transaction(
            actions,
            mode="append" if plan.replaced == () else "overwrite",
            schema=full,
            partition_by=partition_by,
            partition_filters=filters,
            commit_properties=properties,
        )


@contextmanager
def _refusals(lake: Lake, table: str) -> Iterator[None]:
    """A commit's refusals as sentences, but for one whose version is there already: that is tried again."""
    from deltalake.exceptions import CommitFailedError, DeltaError

    moved: list[DeltaError] = []
    with lake_errors(f"commit to table {table}", lake):
        try:
            yield
        except CommitFailedError as error:
            moved.append(error)
        except DeltaError as error:
            # Of two who make a new table the slower one is told so in words alone.
            if "already exists" not in str(error):
                raise
            moved.append(CommitFailedError(str(error)))
    if moved:
        raise moved[0]


def add_actions(parts: Iterable[Part], *, is_divided: bool) -> list[Any]:
    """Parts as Delta's log takes them. No time of the clock is in them: the same batch gives the same actions."""
    from deltalake.transaction import AddAction

    return [
        AddAction(
            path=part.path,
            size=part.size,
            partition_values={BUCKET: str(part.bucket)} if is_divided else {},
            modification_time=0,
            data_change=True,
            stats=json.dumps({"numRecords": part.rows}),
        )
        for part in parts
    ]


def remove_actions(delta: DeltaTable, paths: Iterable[str]) -> list[Any]:
    """Parts of that version as Delta's log lets them go."""
    from deltalake.transaction import RemoveAction

    gone, buckets = set(paths), buckets_of(delta)
    actions = delta.get_add_actions(flatten=True)
    sizes = zip(*(actions.column(name).to_pylist() for name in ("path", "size_bytes")), strict=True)
    return [
        RemoveAction(
            path=path,
            data_change=True,
            deletion_timestamp=0,
            size=size,
            partition_values={BUCKET: str(buckets[path])} if path in buckets else {},
        )
        for path, size in sizes
        if path in gone
    ]


def upsert(
    lake: Lake,
    prepared: Prepared,
    schema: pa.Schema,
    *,
    key: str,
    metadata: dict[str, str],
    update_where: str | None = None,
) -> int:
    """Merge a prepared batch into its table: rows of the same key are replaced, others are added.

    A batch that is in the table is not merged again: rows that came after it stay.

    Args:
        update_where: which rows replace another (SQL over `incoming` and `kept`); by default all do.

    Raises:
        LakeError: the store refuses.
    """
    import pyarrow as pa
    from deltalake import CommitProperties

    def once() -> int:
        if not exists(lake, prepared.table):
            return commit(lake, prepared, schema, mode="append", metadata=metadata)
        delta = open_table(lake, prepared.table)
        found = batches(lake, prepared.table, int(delta.version()))
        if prepared.batch in found:
            return int(delta.version())
        rows = pa.concat_tables(read_parts(lake, prepared)) if prepared.parts else schema.empty_table()
        kept = {"marquee.batch": prepared.batch, **metadata, BATCHES: json.dumps([*found, prepared.batch])}
        with _refusals(lake, prepared.table):
            (
                delta.merge(
                    rows.cast(schema),
                    predicate=f"kept.{key} = incoming.{key}",
                    source_alias="incoming",
                    target_alias="kept",
                    commit_properties=CommitProperties(custom_metadata=kept, max_commit_retries=0),
                )
                .when_matched_update_all(predicate=update_where)
                .when_not_matched_insert_all()
                .execute()
            )
        return int(delta.version())

    return _until_unmoved(prepared.table, once)


def history(lake: Lake, table: str) -> list[dict[str, Any]]:
    """The commits of the table, newest first, as Delta keeps them."""
    with lake_errors(f"read the history of table {table}"):
        return list(open_table(lake, table).history())


def _below(lake: Lake, table: str) -> Any:
    from pyarrow.fs import SubTreeFileSystem

    return SubTreeFileSystem(f"{lake.bucket}/{folder(table)}", lake.filesystem())
