"""From a model's frame of factors, rows (id, features), to a matrix."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame


def matrix(factors: pa.Table, width: int) -> np.ndarray:
    """The features of a table (id, features) as float32 of shape (n, width)."""
    values = np.asarray(factors["features"].combine_chunks().flatten())
    return values.astype(np.float32, copy=False).reshape(factors.num_rows, width)


def factor_matrix(factors: DataFrame, n: int | None, rank: int) -> np.ndarray:
    """The features of ids 0 to n - 1 (None: to the last) as float32 of shape (n, rank); zeros for ids without."""
    table = factors.toArrow()
    ids = table["id"].to_numpy()
    by_id = np.zeros((int(ids.max()) + 1 if n is None else n, rank), np.float32)
    by_id[ids] = matrix(table, rank)
    return by_id
