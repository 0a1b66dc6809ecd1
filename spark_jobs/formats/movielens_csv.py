"""MovieLens as CSV with a header line: latest, latest-small, 20M, 25M, 32M.

    ratings.csv   userId,movieId,rating,timestamp      0.5 to 5, seconds since 1970 (UTC)
    movies.csv    movieId,title,genres                 genres separated by '|', or '(no genres listed)'

Source: the README.txt of MovieLens latest-small, 2018-09 (GroupLens).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from marquee.errors import DataError
from marquee.sources.formats import MOVIELENS_CSV
from spark_jobs.formats import rows
from spark_jobs.formats.delimited import Block, Dialect, read
from spark_jobs.formats.rows import Received

DIALECT = Dialect(separator=",")
RATING_COLUMNS = {"userid": "user_id", "movieid": "item_id", "rating": "rating", "timestamp": "rated_at"}
ITEM_COLUMNS = {"movieid": "item_id", "title": "title", "genres": "genres"}
NO_GENRES = "(no genres listed)"


def ratings(stream: BinaryIO, received: Received) -> Iterator[pa.RecordBatch]:
    """Batches of `rows.PARSED`; DataError where the header line names other columns."""
    blocks = read(stream, DIALECT, None, lambda header: renamed(header, RATING_COLUMNS, received.file))
    return rows.ratings(blocks, received, MOVIELENS_CSV.rating_range)


def items(stream: BinaryIO, received: Received) -> Iterator[pa.RecordBatch]:
    """Batches of `rows.PARSED`; DataError where the header line names other columns."""
    blocks = read(stream, DIALECT, None, lambda header: renamed(header, ITEM_COLUMNS, received.file))
    return rows.items(blocks, received, genres)


def genres(block: Block) -> pa.Array:
    """Lists of genres, empty where the source lists none."""
    texts = block.columns["genres"]
    is_empty = pc.or_(pc.equal(texts, NO_GENRES), pc.equal(texts, ""))
    return pc.if_else(is_empty, pa.scalar([], pa.list_(pa.string())), pc.split_pattern(texts, "|"))


def renamed(header: list[str], expected: dict[str, str], file: str) -> list[str]:
    """Our names for the header's columns, in the header's order.

    Raises:
        DataError: columns are missing, unknown or named twice.
    """
    found = [name.strip().lower() for name in header]
    absent = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    twice = sorted({name for name in found if found.count(name) > 1})
    faults = [
        f"{what} {', '.join(repr(name) for name in names)}"
        for what, names in (("no column", absent), ("unknown column", unknown), ("twice the column", twice))
        if names
    ]
    if faults:
        raise DataError(
            f"{file}, line 1: {'; '.join(faults)}. A MovieLens CSV begins with {','.join(expected)} in any order "
            f"(found: {','.join(header)[:200]}): rename or remove columns, and ingest the file again."
        )
    return [expected[name] for name in found]
