"""From a model's frame of factors, rows (id, features), to a matrix."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame


def matrix(factors: pa.Table, width: int) -> np.ndarray:
    """The features of a table (id, features) as float32 of shape (n, width)."""
    values = np.asarray(factors["features"].combine_chunks().flatten())
    return values.astype(np.float32, copy=False).reshape(factors.num_rows, width)


def factor_matrix(factors: DataFrame, n: int, rank: int) -> np.ndarray:
    """The features of ids 0 to n - 1 as float32 of shape (n, rank); zeros where an id has none."""
    table = factors.toArrow()
    by_id = np.zeros((n, rank), np.float32)
    by_id[table["id"].to_numpy()] = matrix(table, rank)
    return by_id
