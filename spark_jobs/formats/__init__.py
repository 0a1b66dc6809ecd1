"""The formats that Marquee reads: one a file, each a function from a stream of bytes to checked rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import pyarrow as pa

from spark_jobs.formats import movielens_100k, movielens_csv
from spark_jobs.formats.rows import Received

#: (format, table) -> reader; the names are those that `marquee.sources` recognises.
READERS: dict[tuple[str, str], Callable[[BinaryIO, Received], Iterator[pa.RecordBatch]]] = {
    ("movielens-csv", "ratings"): movielens_csv.ratings,
    ("movielens-csv", "items"): movielens_csv.items,
    ("movielens-100k", "ratings"): movielens_100k.ratings,
    ("movielens-100k", "items"): movielens_100k.items,
}
