"""From a frame of ratings to a few large values that move between tasks as they are.

A shuffle of rows costs the JVM more than the whole arithmetic of a fit. So each partition packs its rows into frames of
Arrow's own format, strings as dictionaries, and a frame is one value of one row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marquee.errors import TrainingError

#: What a frame holds.
RATINGS, VALIDATION, ITEM_FACTORS = "ratings", "validation", "item_factors"
FRAMES = "slot int, kind string, frame binary"
ROWS_OF_A_FRAME = 2_000_000


@dataclass(frozen=True)
class Unpacked:
    """What a task received; ids are int64, string or dictionaries of strings.

    Attributes:
        user, item: ids of each rating: whole numbers, or dictionaries of strings.
        rating: float32 of shape (n,).
    """

    user: pa.ChunkedArray
    item: pa.ChunkedArray
    rating: np.ndarray


def pack(batches: Iterator[pa.RecordBatch], kind: str, slot: int, names: tuple[str, str]) -> Iterator[pa.RecordBatch]:
    """Frames of the rows (user, item, rating) of one partition.

    Args:
        kind: what the frame will be said to hold.
        slot: the number of this partition, by which frames are dealt to tasks.
        names: the columns of users and items, as the caller knows them.

    Raises:
        TrainingError: an id is missing, or a rating is missing or no finite number.
    """
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        refuse_gaps(batch, names)
        held.append(batch)
        rows += batch.num_rows
        if rows >= ROWS_OF_A_FRAME:
            yield _frame(held, kind, slot)
            held, rows = [], 0
    if rows:
        yield _frame(held, kind, slot)


def refuse_gaps(batch: pa.RecordBatch, names: tuple[str, str]) -> None:
    """Every rating needs a user, an item, and a finite number."""
    for column, name in zip(("user", "item"), names, strict=True):
        if batch[column].null_count:
            other = "item" if column == "user" else "user"
            at = int(np.flatnonzero(batch[column].is_null().to_numpy(zero_copy_only=False))[0])
            raise TrainingError(
                f"Column {name!r} has a null where {names[other == 'item']!r} is {batch[other][at].as_py()!r}: "
                "ids can't be null; drop such rows before the fit."
            )
    is_bad = pc.invert(pc.fill_null(pc.is_finite(batch["rating"]), False))
    if pc.any(is_bad).as_py():
        at = int(np.flatnonzero(is_bad.to_numpy(zero_copy_only=False))[0])
        user, item, rating = (batch[column][at].as_py() for column in ("user", "item", "rating"))
        raise TrainingError(
            f"The rating of user {user!r} for item {item!r} is {rating}: ratings have to be finite numbers; drop or "
            "mend such rows before the fit."
        )


def unpack(frames: list[pa.Buffer], id_types: tuple[pa.DataType, pa.DataType]) -> Unpacked:
    """The ratings of several frames."""
    tables = [pa.ipc.open_stream(frame).read_all() for frame in frames]

    def ids(name: str, dtype: pa.DataType) -> pa.ChunkedArray:
        chunks = [chunk for table in tables for chunk in table[name].chunks]
        return pa.chunked_array(chunks) if chunks else pa.chunked_array([], dtype)

    ratings = [chunk.to_numpy() for table in tables for chunk in table["rating"].chunks]
    return Unpacked(
        user=ids("user", id_types[0]),
        item=ids("item", id_types[1]),
        rating=np.concatenate(ratings) if ratings else np.empty(0, np.float32),
    )


def pack_factors(batches: Iterator[pa.RecordBatch], slot: int) -> Iterator[pa.RecordBatch]:
    """A frame of one partition's item factors (id, features)."""
    held = list(batches)
    if held:
        yield _as_row(pa.Table.from_batches(held), ITEM_FACTORS, slot)


def _frame(batches: list[pa.RecordBatch], kind: str, slot: int) -> pa.RecordBatch:
    """Strings as one dictionary a frame."""
    table = pa.Table.from_batches(batches).combine_chunks()
    for at, name in enumerate(("user", "item")):
        if pa.types.is_string(table[name].type):
            table = table.set_column(at, name, table[name].combine_chunks().dictionary_encode())
    return _as_row(table, kind, slot)


def _as_row(table: pa.Table, kind: str, slot: int) -> pa.RecordBatch:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    whole = sink.getvalue()
    ends = pa.py_buffer(np.array([0, whole.size], np.int32))
    frame = pa.Array.from_buffers(pa.binary(), 1, [None, ends, whole])
    return pa.RecordBatch.from_pydict({"slot": pa.array([slot], pa.int32()), "kind": [kind], "frame": frame})
