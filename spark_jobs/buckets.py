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
from numpy.typing import NDArray

from marquee.buckets import bucket_of
from marquee.formats.blocks import BadLine
from spark_jobs.narrow import narrow_frame, narrow_numbers

#: Of a dictionary with more entries than this share of a frame's rows only the used ones travel.
MAX_SHARE_OF_ITEMS = 0.25
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
    """Accepted ratings (the columns of `narrow.RATINGS`), by bucket, as they travel (`narrow`).

    The users of a frame are those of its bucket, so its dictionary of users has no others.
    """
    table = pa.concat_tables(accepted).unify_dictionaries().combine_chunks()
    if not table.num_rows:
        return
    user, item = (one_array(table[name]) for name in ("user_id", "item_id"))
    bucket_of_user = bucket_of(user.dictionary, n_buckets)
    users = np.argsort(bucket_of_user, kind="stable")
    ends_of_users = np.searchsorted(bucket_of_user[users], np.arange(n_buckets), side="right").tolist()
    place = np.empty(len(users), np.int32)
    place[users] = np.arange(len(users))
    user_codes, item_codes = (np.asarray(ids.indices.to_numpy(zero_copy_only=False)) for ids in (user, item))
    buckets = bucket_of_user.astype(np.uint16)[user_codes]
    order = np.argsort(buckets, kind="stable")  # a radix sort, for 16 bits
    ends = np.searchsorted(buckets[order], np.arange(n_buckets), side="right").tolist()
    others = narrow_numbers(table.drop_columns(["user_id", "item_id"]))
    rest = others if n_buckets == 1 else others.take(pa.array(order))
    codes_of_users, codes_of_items = place[user_codes[order]], item_codes[order]
    start = first_user = 0
    for bucket, (end, end_of_users) in enumerate(zip(ends, ends_of_users, strict=True)):
        if end > start:
            names = user.dictionary.take(pa.array(users[first_user:end_of_users]))
            ids = {
                "user_id": pa.DictionaryArray.from_arrays(pa.array(codes_of_users[start:end] - first_user), names),
                "item_id": _used(codes_of_items[start:end], item.dictionary),
            }
            part = rest.slice(start, end - start)
            columns = {**ids, **{name: part[name] for name in part.column_names}}
            yield bucket, narrow_frame(pa.table(columns).replace_schema_metadata(part.schema.metadata))
        start, first_user = end, end_of_users


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column without its chunks."""
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _used(codes: NDArray[np.int32], dictionary: pa.Array) -> pa.DictionaryArray:
    """Codes into a dictionary, which is cut down to those that are used where it is large for them."""
    if len(dictionary) > len(codes) * MAX_SHARE_OF_ITEMS:
        is_used = np.zeros(len(dictionary), bool)
        is_used[codes] = True
        place = np.cumsum(is_used, dtype=np.int32) - np.int32(1)
        return pa.DictionaryArray.from_arrays(pa.array(place[codes]), dictionary.filter(pa.array(is_used)))
    return pa.DictionaryArray.from_arrays(pa.array(codes), dictionary)


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
