"""Ratings with columns as narrow as their values allow: fewer bytes go from task to task, and nothing is lost.

    user_id, item_id   dictionaries; uint16 indices where there are few entries
    rating             int8, twice the rating, where every one is a half of a small whole number
    rated_at           uint32, seconds since the earliest, where all are whole seconds of 136 years
    line               what each adds to the one before, as narrow as it fits; the first to `first_line`
    member             absent where it is the same of all

What a column's own type does not tell is in the schema's metadata.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from marquee.formats.shape import ENCODED

#: Accepted ratings, as they are settled.
RATINGS = pa.schema(
    [
        ("user_id", ENCODED),
        ("item_id", ENCODED),
        ("rating", pa.float64()),
        ("rated_at", pa.int64()),
        ("line", pa.int64()),
        ("member", pa.int32()),
    ]
)
SECOND = 1_000_000
EARLIEST, FIRST_LINE, MEMBER = b"earliest", b"first_line", b"member"
STEPS = (np.uint8, np.uint16, np.int32)


def narrow_numbers(table: pa.Table) -> pa.Table:
    """A table with narrow `rating`, `rated_at` and `member`, whichever other columns it has, and in any order of rows.

    Args:
        table: at least one row; the columns of `RATINGS`, each one chunk.
    """
    told: dict[bytes, bytes] = {}
    rating = table["rating"].to_numpy()
    with np.errstate(invalid="ignore", over="ignore"):
        halves = (rating * 2).astype(np.int8)
    if np.array_equal((halves / 2).view(np.int64), rating.view(np.int64)):  # -0.0 is another one than 0.0
        table = _replaced(table, "rating", halves)
    if not table["rated_at"].null_count:
        times = table["rated_at"].to_numpy()
        earliest = int(times.min())
        seconds = (times - earliest) // SECOND
        if int(times.max()) - earliest < SECOND << 32 and np.array_equal(seconds * SECOND + earliest, times):
            table = _replaced(table, "rated_at", seconds.astype(np.uint32))
            told[EARLIEST] = b"%d" % earliest
    member = table["member"].to_numpy()
    if member.min() == member.max():
        table = table.drop_columns("member")
        told[MEMBER] = b"%d" % member[0]
    return table.replace_schema_metadata(told)


def narrow_frame(table: pa.Table) -> pa.Table:
    """Rows in the order in which they travel, with narrow ids and lines too."""
    for name in ("user_id", "item_id"):
        ids = table[name].chunk(0)
        if len(ids.dictionary) <= 1 << 16:
            indices = ids.indices.cast(pa.uint16())
            table = _replaced(table, name, pa.DictionaryArray.from_arrays(indices, ids.dictionary))
    line = table["line"].to_numpy()
    steps = np.diff(line, prepend=line[0])
    least, greatest = int(steps.min()), int(steps.max())
    kinds = (kind for kind in STEPS if np.iinfo(kind).min <= least and greatest <= np.iinfo(kind).max)
    told = {**(table.schema.metadata or {}), FIRST_LINE: b"%d" % line[0]}
    return _replaced(table, "line", steps.astype(next(kinds, np.int64))).replace_schema_metadata(told)


def widened(frame: pa.Table) -> pa.Table:
    """A frame's rows with the columns of `RATINGS`."""
    told: Mapping[bytes, bytes] = frame.schema.metadata or {}
    rating, rated_at = frame["rating"], frame["rated_at"]
    if pa.types.is_int8(rating.type):
        rating = pa.array(rating.to_numpy() / 2)
    if EARLIEST in told:
        rated_at = pa.array(rated_at.to_numpy() * np.int64(SECOND) + int(told[EARLIEST]))
    lines = np.cumsum(frame["line"].to_numpy(), dtype=np.int64) + int(told[FIRST_LINE])
    n = frame.num_rows
    columns = {
        "user_id": _wide(frame["user_id"]),
        "item_id": _wide(frame["item_id"]),
        "rating": rating,
        "rated_at": rated_at,
        "line": pa.array(lines),
        "member": pa.array(np.full(n, int(told[MEMBER]), np.int32)) if MEMBER in told else frame["member"],
    }
    return pa.table(columns, schema=RATINGS)


def _wide(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    chunks = [pa.DictionaryArray.from_arrays(one.indices.cast(pa.int32()), one.dictionary) for one in ids.chunks]
    return pa.chunked_array(chunks, ENCODED)


def _replaced(table: pa.Table, name: str, values: pa.Array | NDArray[np.generic]) -> pa.Table:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    return table.set_column(table.column_names.index(name), name, column)
