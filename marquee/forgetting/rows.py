"""Rows taken out of the lake's tables: of the newest version, of parts that are prepared, and of all that is left over.

A part that holds rows of the subject is written anew without them; the new version names the new part, and keeps the
batches that it had. Then the old part goes, and with it the versions that named it: they can't be read any more where
they held such rows. No id is ever written into Delta's log, so this is no `DELETE` of a predicate: it would stay there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marquee.errors import LakeError
from marquee.forgetting.edits import Edit
from marquee.forgetting.finding import equal
from marquee.forgetting.objects import keys, read_bytes, remove, write_bytes
from marquee.forgetting.subject import Subject
from marquee.lake import tables
from marquee.lake.objects import Lake, lake_errors

if TYPE_CHECKING:
    import pyarrow as pa

TABLES, PREPARED, LOG = "tables/", "prepared/", "_delta_log/"
REQUEST, ROWS = "marquee.forget_request", "marquee.forgotten_rows"
#: Stands in a sentence or example where the id was.
INSTEAD = "(forgotten)"


@dataclass(frozen=True)
class Cleaner:
    """Which rows of a table are the subject's, told by these columns, and what becomes of them: by default they go."""

    columns: tuple[str, ...]
    is_hit: Callable[[Mapping[str, Any]], NDArray[np.bool_]]
    change: Callable[[pa.Table, NDArray[np.bool_]], pa.Table] = lambda rows, hits: _without(rows, hits)


def cleaner_of(table: str, subject: Subject, edits: Mapping[str, list[Edit]]) -> Cleaner:
    """How a table is cleaned.

    Args:
        edits: sha256 of raw files -> where the subject's lines are in them: rows of quarantine have no id of their own.
    """
    if table == "quarantine":
        return Cleaner(("source_sha256", "source_file", "source_line"), lambda rows: _at_places(rows, edits))
    if table == "data_quality":
        return _of_texts(("observed", "sentence"), subject)
    if table == "releases":
        return _of_texts(("why",), subject)
    return Cleaner((subject.column,), lambda rows: equal(rows[subject.column], subject.id))


def take_out(lake: Lake, table: str, cleaner: Cleaner, request: str) -> int | None:
    """Take the subject's rows out of a table and all that belongs to it, and return the version without them.

    Can be repeated after it was cut off anywhere.

    Returns:
        The version that this request made; None where the table's newest version held no such row.

    Raises:
        LakeError: the store refuses, or others commit again and again in between (transient).
    """
    renewed = _Renewed(lake, table, cleaner, request)
    version = _commit(lake, table, renewed)
    for prepared in _listings(lake, table):
        gone = {part.path for part in prepared.parts if renewed.hits(part.path)}
        if gone:
            kept = (renewed.part(part) if part.path in gone else part for part in prepared.parts)
            tables.save_prepared(lake, replace(prepared, parts=tuple(part for part in kept if part is not None)))
    _clean_beside(lake, table, cleaner)
    remove(lake, [f"{tables.folder(table)}/{path}" for path in paths_of(lake, table) if renewed.is_to_go(path)])
    return version


def removed_rows(lake: Lake, table: str, request: str) -> tuple[int, int | None]:
    """How many rows a request took out of the versions of a table, and the last version that it made."""
    if not tables.exists(lake, table):
        return 0, None
    own = [entry for entry in tables.history(lake, table) if entry.get(REQUEST) == request]
    return sum(int(entry[ROWS]) for entry in own), max((int(entry["version"]) for entry in own), default=None)


def tables_of(lake: Lake) -> list[str]:
    """All tables that have files, prepared or committed."""
    found = {key.removeprefix(prefix).split("/")[0] for prefix in (TABLES, PREPARED) for key in keys(lake, prefix)}
    return sorted(found)


class _NotWholeError(LakeError):
    """A part is damaged, or its writer died."""


class _Renewed:
    """The parts of a table without the subject's rows, each looked into and written at most once."""

    def __init__(self, lake: Lake, table: str, cleaner: Cleaner, request: str) -> None:
        self._lake, self._table, self._cleaner, self.request = lake, table, cleaner, request
        self._hits: dict[str, int] = {}
        self._parts: dict[str, tables.Part | None] = {}

    def hits(self, path: str) -> int:
        """Rows of the subject in a part."""
        if path not in self._hits:
            self._hits[path] = self._count(path)
        return self._hits[path]

    def is_to_go(self, path: str) -> bool:
        """Whether a part that nothing names any more has to go: it holds rows of the subject, or can't be read."""
        try:
            return self.hits(path) > 0
        except _NotWholeError:
            return True

    def part(self, part: tables.Part) -> tables.Part | None:
        """The part without them; None where nothing is left of it."""
        if part.path not in self._parts:
            self._parts[part.path] = self._write(part)
        return self._parts[part.path]

    def _count(self, path: str) -> int:
        import pyarrow as pa

        try:
            with self._opened(path) as file:
                if not set(self._cleaner.columns) <= set(file.schema_arrow.names):
                    return 0
                return sum(
                    int(np.count_nonzero(self._cleaner.is_hit(_columns(rows))))
                    for rows in file.iter_batches(tables.ROWS_OF_A_GROUP, columns=list(self._cleaner.columns))
                )
        except pa.ArrowInvalid as error:
            raise _NotWholeError(
                f"{path} of table {self._table} is no whole Parquet file ({str(error).splitlines()[0]}): ingest its "
                "batch again."
            ) from None

    def _write(self, part: tables.Part) -> tables.Part | None:
        """Under a name that tells the request: a second try writes the same again."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = PurePosixPath(part.path)
        renamed = str(path.with_name(f"{path.stem}-without-{self.request[:8]}.parquet"))
        n_rows = 0
        with self._opened(part.path) as file:
            schema = _plain(file.schema_arrow)
            filesystem = self._lake.filesystem()
            where = f"{self._lake.bucket}/{tables.folder(self._table)}/{renamed}"
            with (
                lake_errors(f"write {renamed} of table {self._table}", self._lake),
                pq.ParquetWriter(
                    where, schema, filesystem=filesystem, compression="zstd", store_schema=False
                ) as writer,
            ):
                for rows in file.iter_batches(tables.ROWS_OF_A_GROUP):
                    table = pa.Table.from_batches([rows]).cast(schema)
                    changed = self._cleaner.change(table, self._cleaner.is_hit(_columns(table)))
                    if changed.num_rows:
                        writer.write_table(changed)
                        n_rows += changed.num_rows
            size = int(filesystem.get_file_info(where).size)
        if n_rows:
            return tables.Part(renamed, size, n_rows, part.bucket)
        remove(self._lake, [f"{tables.folder(self._table)}/{renamed}"])
        return None

    def _opened(self, path: str) -> Any:
        import pyarrow.parquet as pq

        with lake_errors(f"read {path} of table {self._table}", self._lake):
            where = f"{self._lake.bucket}/{tables.folder(self._table)}/{path}"
            return pq.ParquetFile(where, filesystem=self._lake.filesystem())


def _commit(lake: Lake, table: str, renewed: _Renewed) -> int | None:
    """A version of the table without the subject's rows; None where the newest has none."""
    import pyarrow as pa

    if not tables.exists(lake, table):
        return None
    metadata: dict[str, str] = {}
    is_clean = False

    def plan(version: int | None) -> tables.Plan | None:
        nonlocal is_clean
        delta = tables.open_table(lake, table, version)
        buckets = tables.buckets_of(delta)
        actions = delta.get_add_actions(flatten=True)
        rows = (actions.column(name).to_pylist() for name in ("path", "size_bytes", "num_records"))
        parts = [tables.Part(path, size, n or 0, buckets.get(path)) for path, size, n in zip(*rows, strict=True)]
        hit = [part for part in parts if renewed.hits(part.path)]
        is_clean = not hit
        if is_clean:
            return None
        commit = tables.commit_of(lake, table, int(delta.version()))
        metadata.update({REQUEST: renewed.request, ROWS: str(sum(renewed.hits(part.path) for part in hit))})
        return tables.Plan(
            adds=tuple(new for new in map(renewed.part, hit) if new is not None),
            batches=tuple(json.loads(commit.get(tables.BATCHES, "[]"))),
            n_buckets=int(commit[tables.BUCKETS]) if tables.BUCKETS in commit else None,
            gone=tuple(part.path for part in hit),
        )

    schema = pa.schema(tables.open_table(lake, table).schema().to_arrow())
    if tables.BUCKET in schema.names:
        schema = schema.remove(schema.get_field_index(tables.BUCKET))
    version = tables.apply(lake, table, schema, plan, metadata)
    return None if is_clean else version


def _listings(lake: Lake, table: str) -> Iterator[tables.Prepared]:
    """What is prepared of a table, committed or not."""
    prefix = f"{PREPARED}{table}/"
    for key in keys(lake, prefix):
        name = key.removeprefix(prefix)
        if name.endswith(".json") and not name.endswith(".profile.json"):
            yield tables.load_prepared(lake, table, name.removesuffix(".json"))


def _clean_beside(lake: Lake, table: str, cleaner: Cleaner) -> None:
    """The rows that lie beside the listings of what is prepared."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    for key in keys(lake, f"{PREPARED}{table}/"):
        if not key.endswith(".parquet"):
            continue
        rows = pq.read_table(pa.BufferReader(read_bytes(lake, key)))
        if not set(cleaner.columns) <= set(rows.column_names):
            continue
        hits = cleaner.is_hit(_columns(rows))
        if not hits.any():
            continue
        out = io.BytesIO()
        pq.write_table(cleaner.change(rows, hits), out)
        write_bytes(lake, key, out.getvalue())


def _columns(rows: Any) -> dict[str, Any]:
    """The columns of a table or batch by name, each as one array."""
    import pyarrow as pa

    found = {}
    for name in rows.schema.names:
        column = rows.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
            column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        found[name] = column
    return found


def _plain(schema: pa.Schema) -> pa.Schema:
    """The schema without what its writer noted in it; views of texts, which few functions take, as texts."""
    import pyarrow as pa

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_list(kind):
            return pa.list_(plain(kind.value_type))
        return pa.string() if pa.types.is_string_view(kind) else kind

    return pa.schema([field.with_type(plain(field.type)) for field in schema.remove_metadata()])


def _without(rows: pa.Table, hits: NDArray[np.bool_]) -> pa.Table:
    import pyarrow as pa

    return rows.filter(pa.array(~hits)) if hits.any() else rows


def _at_places(rows: Mapping[str, Any], edits: Mapping[str, list[Edit]]) -> NDArray[np.bool_]:
    """Rows of quarantine whose line is the subject's."""
    lines = np.asarray(rows["source_line"].to_numpy(zero_copy_only=False), np.int64)
    hits = np.zeros(len(lines), bool)
    for sha256, of_files in edits.items():
        is_of_batch = equal(rows["source_sha256"], sha256)
        if not is_of_batch.any():
            continue
        for edit in of_files:
            is_of_file = is_of_batch & equal(rows["source_file"], edit.name)
            hits[is_of_file] |= edit.holds(lines[is_of_file])
    return hits


def _of_texts(columns: tuple[str, ...], subject: Subject) -> Cleaner:
    """Rows of texts that hold the id as a token lose the token, and stay."""

    def is_hit(rows: Mapping[str, Any]) -> NDArray[np.bool_]:
        hits = np.zeros(len(rows[columns[0]]), bool)
        for name in columns:
            hits |= [text is not None and subject.is_shown_in(text) for text in rows[name].to_pylist()]
        return hits

    def change(rows: pa.Table, hits: NDArray[np.bool_]) -> pa.Table:
        import pyarrow as pa

        for name in columns:
            texts = [
                subject.without(text, INSTEAD) if is_one and text else text
                for text, is_one in zip(rows.column(name).to_pylist(), hits, strict=True)
            ]
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, rows.schema.field(at), pa.array(texts, rows.schema.field(at).type))
        return rows

    return Cleaner(columns, is_hit, change)


def paths_of(lake: Lake, table: str) -> list[str]:
    """Paths of all Parquet files in a table's folder, named by a version or not."""
    prefix = f"{tables.folder(table)}/"
    paths = [key.removeprefix(prefix) for key in keys(lake, prefix)]
    return [path for path in paths if path.endswith(".parquet") and not path.startswith(LOG)]
