"""The parts of a table on their way into Great Expectations: of a bounded size, as frames that keep the types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import pandas as pd
import pyarrow as pa

# Great Expectations takes about 0.1 s a part whatever its size; beyond this size nothing gets faster, only bigger.
ROWS_AT_ONCE = 250_000


def regroup(parts: Iterable[pa.Table], rows: int = ROWS_AT_ONCE) -> Iterator[pa.Table]:
    """The same rows in the same order, `rows` at once (fewer at the end, or where the schema changes)."""
    for schema, alike in groupby(parts, key=lambda part: part.schema):
        held = schema.empty_table()
        is_first = True
        for part in alike:
            held = pa.concat_tables([held, part])
            while held.num_rows >= rows:
                yield held.slice(0, rows)
                held, is_first = held.slice(rows), False
        if held.num_rows or is_first:  # a part without rows still has columns to look at
            yield held


def to_pandas(part: pa.Table) -> pd.DataFrame:
    """The part as a frame without a column of objects: a column's dtype tells its type, nulls or not."""
    return part.to_pandas(types_mapper=_pandas_type)


def _pandas_type(arrow_type: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    if pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type):
        return pd.StringDtype("pyarrow")
    if pa.types.is_int64(arrow_type):
        return pd.Int64Dtype()
    if pa.types.is_float64(arrow_type) or pa.types.is_timestamp(arrow_type):
        return None  # numpy's double; pandas' own timestamp, which keeps unit and zone
    return pd.ArrowDtype(arrow_type)
