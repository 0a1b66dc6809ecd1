"""Ratings on their way from the tasks that read them to the tasks that settle them: Arrow frames in Spark's shuffle.

A reading task divides its accepted rows into buckets by user and sends each as one binary value; Spark moves a few
large values where it would move millions of rows, and Python sees Arrow's columns on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from marquee.buckets import bucket_of
from marquee.formats.blocks import BadLine

#: Rows of a task are sent when so many have come together, so that its memory is bounded.
ROWS_AT_ONCE = 2_000_000
#: Refused rows, as a task sends them.
REFUSED = pa.schema(
    [
        ("kind", pa.string()),
        ("member", pa.int32()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("sentence", pa.string()),
        ("raw", pa.string()),
    ]
)
#: Accepted ratings, as a task sends them.
RATINGS = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rating", pa.float64()),
        ("rated_at", pa.int64()),
        ("line", pa.int64()),
        ("member", pa.int32()),
    ]
)
SENT_DDL = "bucket int, kind string, frame binary"
SENT = pa.schema([("bucket", pa.int32()), ("kind", pa.string()), ("frame", pa.binary())])


def packed(table: pa.Table) -> bytes:
    """A table as one binary value."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def unpacked(frame: bytes | pa.Buffer) -> pa.Table:
    with pa.ipc.open_stream(frame) as reader:
        return reader.read_all()


def message(bucket: int, kind: str, frame: bytes) -> pa.RecordBatch:
    columns = [pa.array([bucket], pa.int32()), pa.array([kind]), pa.array([frame], pa.binary())]
    return pa.RecordBatch.from_arrays(columns, schema=SENT)


def divided(accepted: Sequence[pa.Table], n_buckets: int) -> Iterator[tuple[int, pa.Table]]:
    """Accepted ratings (user_id and item_id as dictionaries, `member` among the columns), by bucket."""
    table = pa.concat_tables(accepted).unify_dictionaries().combine_chunks()
    if not table.num_rows:
        return
    user = table["user_id"].chunk(0) if isinstance(table["user_id"], pa.ChunkedArray) else table["user_id"]
    if n_buckets == 1:
        yield 0, plain(table)
        return
    codes = user.indices.to_numpy(zero_copy_only=False)
    buckets = bucket_of(user.dictionary, n_buckets).astype(np.uint16)[codes]
    order = np.argsort(buckets, kind="stable")  # a radix sort, for 16 bits
    ordered = plain(table.take(pa.array(order)))
    stops = np.searchsorted(buckets[order], np.arange(n_buckets), side="right").tolist()
    for bucket, (start, stop) in enumerate(zip([0, *stops[:-1]], stops, strict=True)):
        if stop > start:
            yield bucket, ordered.slice(start, stop - start)


def plain(table: pa.Table) -> pa.Table:
    """The table with texts in place of dictionaries, in the columns of `RATINGS`."""
    return table.select(RATINGS.names).cast(RATINGS)


def refused_table(kind: str, member: int, refused: Sequence[BadLine]) -> pa.Table:
    rows = [asdict(line) for line in refused]
    table = pa.Table.from_pylist(rows, pa.schema([field for field in REFUSED if field.name not in ("kind", "member")]))
    columns: dict[str, Any] = {
        "kind": pa.repeat(pa.scalar(kind), len(rows)),
        "member": pa.array([member] * len(rows), pa.int32()),
    }
    return pa.table({**columns, **{name: table[name] for name in table.column_names}}).select(REFUSED.names)


def note(value: Any) -> bytes:
    """Figures as a frame."""
    return json.dumps(value).encode()
