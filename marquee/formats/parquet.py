"""Parquet: a row's line is its number in the file, the first is 1; what was received is shown as JSON.

A row in which all wanted columns are null is blank: no row at all, as an empty line of a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marquee.errors import DataError
from marquee.formats.blocks import Block
from marquee.sources.reading import TIME_UNITS, RatingsReading, Reading

ROWS_AT_ONCE = 1 << 18


def read(reading: Reading, stream: BinaryIO) -> Iterator[Block]:
    """Blocks with the reading's columns; times as int64 microseconds where they are times.

    Raises:
        DataError: it is no Parquet file, or a column of the reading is absent.
    """
    try:
        source = stream if stream.seekable() else pa.BufferReader(stream.read())
        file = pq.ParquetFile(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"It can't be read as Parquet ({str(error).splitlines()[0]}): get the file again.") from None
    with file:
        present = file.schema_arrow.names
        absent = [theirs for theirs in reading.columns.values() if theirs not in present]
        if absent:
            raise DataError(
                f"It has no column {', '.join(repr(name) for name in absent)} (it has {', '.join(present)[:200]}): "
                "name its columns as they are in the source's TOML (marquee inspect), and ingest it again."
            )
        first = 1
        try:
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(reading.columns.values())):
                yield _block(batch, reading, first)
                first += batch.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"It is damaged ({str(error).splitlines()[0]}): get the file again.") from None


def _block(batch: pa.RecordBatch, reading: Reading, first: int) -> Block:
    is_blank = np.ones(batch.num_rows, bool)
    for theirs in reading.columns.values():
        is_blank &= batch[theirs].is_null().to_numpy(zero_copy_only=False)
    positions = np.flatnonzero(~is_blank)
    kept = batch.take(pa.array(positions)) if is_blank.any() else batch
    columns = {ours: _values(kept[theirs], ours, reading) for ours, theirs in reading.columns.items()}

    def raw(rows: Sequence[int]) -> list[str]:
        return [json.dumps(row, ensure_ascii=False, default=str) for row in kept.take(pa.array(list(rows))).to_pylist()]

    return Block(columns, positions + first, raw)


def _values(values: pa.Array, name: str, reading: Reading) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _values(values.dictionary_decode(), name, reading)
    if name == "genres" and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return pc.fill_null(values.cast(pa.list_(pa.string())), pa.scalar([], pa.list_(pa.string())))
    has_nulls = values.null_count > 0
    if name == "rating" and not has_nulls and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return values.cast(pa.float64())
    if name == "rated_at" and isinstance(reading, RatingsReading) and not has_nulls:
        if pa.types.is_timestamp(kind):
            return values.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64()).cast(pa.duration("us"))
        if pa.types.is_date(kind):
            return values.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.duration("us"))
        if pa.types.is_integer(kind) and reading.time in TIME_UNITS:
            return values.cast(pa.int64())
    return pc.fill_null(_text(values), "")


def _text(values: pa.Array) -> Any:
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        decoded = [
            None if value is None else value.decode("utf-8", errors="backslashreplace") for value in values.to_pylist()
        ]
        return pa.array(decoded, pa.string())
    if pa.types.is_nested(values.type):
        return pa.array([None if v is None else json.dumps(v, default=str) for v in values.to_pylist()], pa.string())
    return values.cast(pa.string())
