"""The current view of the ratings: of several ratings of an item by a user, the table holds the latest.

A batch comes in bucket by bucket (`marquee.buckets`). Where it brings a later rating of a pair, the earlier one leaves
the table (older versions keep it); where it brings an earlier one, or the very same, that row goes to quarantine. A
rating of the same time with another value is a correction: the batch that comes later wins. So does a rating without a
time.

Only buckets that lose a row are rewritten. All others just gain a part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from marquee.buckets import bucket_of
from marquee.lake import tables
from marquee.lake.objects import Lake

if TYPE_CHECKING:
    import pyarrow as pa

    from marquee.sources.reading import Repeated

TABLE = "ratings"
BUCKETS_AT_ONCE = 2
#: A bucket of more parts is rewritten as one when the next batch comes.
PARTS_OF_A_BUCKET = 16


@dataclass(frozen=True)
class Settled:
    """What became of one bucket.

    Attributes:
        adds: parts that join the table.
        is_rewritten: whether they take the place of all its earlier parts.
        lost: the batch's rows that do not come in, with the columns reason and sentence.
    """

    bucket: int
    adds: tuple[tables.Part, ...] = ()
    is_rewritten: bool = False
    lost: pa.Table | None = None


@dataclass
class Merge:
    """The last plan that was made, for the caller to know what became of the rows."""

    settled: list[Settled] = field(default_factory=list)

    @property
    def lost(self) -> list[pa.Table]:
        return [one.lost for one in self.settled if one.lost is not None and one.lost.num_rows]


def merge(
    lake: Lake,
    prepared: tables.Prepared,
    schema: pa.Schema,
    *,
    mode: tables.Mode,
    repeated: Repeated,
    metadata: Mapping[str, str],
    before_commit: Callable[[Merge, int | None], None],
) -> int:
    """Make a prepared batch part of the current view, exactly once, and return the version that holds it.

    Args:
        repeated: "latest", or "sum" where ratings of a pair add up.
        before_commit: called with each plan, and the version that it was made for, before it is committed; what it
            does must be repeatable.

    Raises:
        LakeError: the store refuses, or others commit again and again in between (transient).
    """
    merged = Merge()

    def plan(version: int | None) -> tables.Plan | None:
        found = [] if version is None else tables.batches(lake, TABLE, version)
        if version is not None and tables.is_in(found, prepared.batch, mode):
            return None
        if version is None or mode == "replace":
            merged.settled = []
            before_commit(merged, version)
            return tables.Plan(prepared.parts, (prepared.batch,), replaced=None, n_buckets=prepared.n_buckets or 1)
        n_before = tables.n_buckets(lake, TABLE, version)
        n_after = max(n_before, prepared.n_buckets or 1)
        there = tables.buckets_of(tables.open_table(lake, TABLE, version))
        division = Division(prepared, there, n_before, n_after)
        with ThreadPoolExecutor(BUCKETS_AT_ONCE) as pool:
            work = [pool.submit(settle, lake, division, bucket, schema, repeated) for bucket in range(n_after)]
            merged.settled = [one.result() for one in work]
        before_commit(merged, version)
        rewritten = tuple(one.bucket for one in merged.settled if one.is_rewritten)
        return tables.Plan(
            adds=tuple(part for one in merged.settled for part in one.adds),
            batches=(*found, prepared.batch),
            replaced=None if n_after > n_before else rewritten,
            n_buckets=n_after,
        )

    what = {"marquee.batch": prepared.batch, "marquee.mode": mode, **metadata}
    return tables.apply(lake, TABLE, schema, plan, what)


@dataclass(frozen=True)
class Division:
    """Which parts hold the rows of a bucket, of the batch and of the table, when the table has `n_after` buckets."""

    prepared: tables.Prepared
    there: Mapping[str, int]
    n_before: int
    n_after: int

    @property
    def is_finer(self) -> bool:
        return self.n_after > self.n_before

    def of_batch(self, bucket: int) -> list[tables.Part]:
        n = self.prepared.n_buckets or 1
        return [part for part in self.prepared.parts if part.bucket == bucket % n]

    def of_table(self, bucket: int) -> list[str]:
        return sorted(path for path, its in self.there.items() if its == bucket % self.n_before)


def settle(lake: Lake, division: Division, bucket: int, schema: pa.Schema, repeated: Repeated) -> Settled:
    """Merge the batch's rows of one bucket with the table's."""
    import pyarrow as pa

    batch = division.prepared.batch
    parts, paths = division.of_batch(bucket), division.of_table(bucket)
    if not parts and not division.is_finer:
        return Settled(bucket)
    incoming = _rows(lake, [part.path for part in parts], schema, bucket, division.n_after, division.prepared.n_buckets)
    if not incoming.num_rows and not division.is_finer:
        return Settled(bucket)
    keys = ["user_id", "item_id", "rating", "rated_at", "source_sha256", "source_file", "source_line"]
    kept = _rows(lake, paths, schema, bucket, division.n_after, division.n_before, keys)
    of_incoming, of_kept = matches(incoming, kept)
    lost_at, gone_at, summed = _fates(incoming, kept, of_incoming, of_kept, repeated)
    lost = _lost(incoming, kept, lost_at)
    stays = np.ones(incoming.num_rows, bool)
    stays[lost_at["incoming"]] = False
    if summed is not None:
        incoming = incoming.set_column(2, schema.field("rating"), pa.array(summed))
    winners = incoming if stays.all() else incoming.filter(pa.array(stays))
    is_rewritten = division.is_finer or len(gone_at) > 0 or len(paths) >= PARTS_OF_A_BUCKET
    if not is_rewritten:
        as_it_is = len(parts) == 1 and stays.all() and division.prepared.n_buckets == division.n_after
        adds = tuple(parts) if as_it_is else _write(lake, batch, winners, bucket)
        return Settled(bucket, adds, is_rewritten=False, lost=lost)
    remains = np.ones(kept.num_rows, bool)
    remains[gone_at] = False
    whole = pa.concat_tables([kept.filter(pa.array(remains)), winners])
    return Settled(bucket, _write(lake, batch, whole, bucket), is_rewritten=True, lost=lost)


def matches(incoming: pa.Table, kept: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the rows of both that are of the same user and item; a pair comes at most once in each.

    Returns:
        Two int64 arrays of the same shape: positions in `incoming`, and in `kept`.
    """
    import pyarrow as pa

    if not incoming.num_rows or not kept.num_rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    n = incoming.num_rows
    codes, sizes = [], []
    for name in ("user_id", "item_id"):
        both = pa.chunked_array([*incoming[name].chunks, *kept[name].chunks], pa.string())
        one = both.dictionary_encode().combine_chunks()
        one = one.chunk(0) if isinstance(one, pa.ChunkedArray) else one
        codes.append(one.indices.to_numpy(zero_copy_only=False).astype(np.int64))
        sizes.append(len(one.dictionary))
    key = codes[0] * sizes[1] + codes[1]
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(key[order][1:] == key[order][:-1])
    return order[twice], order[twice + 1] - n


def _fates(
    incoming: pa.Table, kept: pa.Table, of_incoming: NDArray[np.int64], of_kept: NDArray[np.int64], repeated: Repeated
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64], NDArray[np.float64] | None]:
    """Which incoming rows are lost (and to which kept ones), which kept rows go, and the ratings where they add up."""
    none = np.zeros(0, np.int64)
    if not len(of_incoming):
        return {"incoming": none, "kept": none}, none, None
    rating, before = (table["rating"].to_numpy() for table in (incoming, kept))
    if repeated == "sum":
        summed = rating.copy()
        summed[of_incoming] += before[of_kept]
        return {"incoming": none, "kept": none}, of_kept, summed
    times, times_before = (times_of(table)[at] for table, at in ((incoming, of_incoming), (kept, of_kept)))
    has_times = (times >= 0) & (times_before >= 0)
    is_same = (rating[of_incoming] == before[of_kept]) & (times == times_before)
    is_lost = is_same | (has_times & (times < times_before))
    return {"incoming": of_incoming[is_lost], "kept": of_kept[is_lost]}, of_kept[~is_lost], None


def times_of(table: pa.Table) -> NDArray[np.int64]:
    """rated_at in microseconds since 1970; -1 where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(table["rated_at"].cast(pa.int64()), -1).to_numpy(), np.int64)


def _lost(incoming: pa.Table, kept: pa.Table, at: dict[str, NDArray[np.int64]]) -> pa.Table:
    import pyarrow as pa

    rows, winners = incoming.take(pa.array(at["incoming"])), kept.take(pa.array(at["kept"]))
    is_earlier = times_of(rows) < times_of(winners)
    reasons = np.where(is_earlier, "superseded", "duplicate").tolist()
    batches = [sha256[:12] for sha256 in winners["source_sha256"].to_pylist()]
    places = zip(reasons, batches, winners["source_file"].to_pylist(), winners["source_line"].to_pylist(), strict=True)
    sentences = [
        f"the same user and item {'have a later rating' if reason == 'superseded' else 'have this very rating'} "
        f"in line {line} of {file} (batch {batch})"
        for reason, batch, file, line in places
    ]
    columns = {name: rows[name] for name in ("source_sha256", "source_file", "source_line")}
    return pa.table({**columns, "reason": pa.array(reasons, pa.string()), "sentence": pa.array(sentences, pa.string())})


def _rows(
    lake: Lake,
    paths: Sequence[str],
    schema: pa.Schema,
    bucket: int,
    n_wanted: int,
    n_there: int | None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """The rows of these parts that belong to a bucket of `n_wanted`."""
    import pyarrow as pa

    names = list(columns or schema.names)
    wanted = pa.schema([schema.field(name) for name in names])
    found = [tables.read_part(lake, TABLE, path, names).select(names).cast(wanted) for path in paths]
    table = pa.concat_tables(found).combine_chunks() if found else wanted.empty_table()
    if (n_there or 1) >= n_wanted or not table.num_rows:
        return table
    users = table["user_id"].combine_chunks()
    users = users.chunk(0) if isinstance(users, pa.ChunkedArray) else users
    return table.filter(pa.array(bucket_of(users, n_wanted) == bucket))


def _write(lake: Lake, batch: str, rows: pa.Table, bucket: int) -> tuple[tables.Part, ...]:
    if not rows.num_rows:
        return ()
    ordered = rows.sort_by([("user_id", "ascending"), ("item_id", "ascending")])
    return (tables.write_part(lake, TABLE, batch, ordered, bucket=bucket),)


def superseded_batch(batch: str, version: int | None) -> str:
    """Name of the rows of a batch that an earlier version of the table had better ones of."""
    return f"{batch}+superseded-{'none' if version is None else version}"
