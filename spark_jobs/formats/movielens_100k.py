"""MovieLens 100K.

    u.data   user, item, rating, timestamp                         tabs, no header; 1 to 5, seconds since 1970 (UTC)
    u.item   item, title, release date, video date, URL, 19 flags  '|', latin-1, no header; one flag a genre

Source: the README of MovieLens 100K (GroupLens).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marquee.sources.formats import MOVIELENS_100K
from spark_jobs.formats import rows
from spark_jobs.formats.delimited import Block, Dialect, read
from spark_jobs.formats.rows import Received

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
RATING_COLUMNS = ("user_id", "item_id", "rating", "rated_at")
ITEM_COLUMNS = ("item_id", "title", "release_date", "video_release_date", "imdb_url", *GENRES)


def ratings(stream: BinaryIO, received: Received) -> Iterator[pa.RecordBatch]:
    """Batches of `rows.PARSED`."""
    blocks = read(stream, Dialect("\t", quote=""), RATING_COLUMNS)
    return rows.ratings(blocks, received, MOVIELENS_100K.rating_range)


def items(stream: BinaryIO, received: Received) -> Iterator[pa.RecordBatch]:
    """Batches of `rows.PARSED`."""
    return rows.items(read(stream, Dialect("|", encoding="latin-1", quote=""), ITEM_COLUMNS), received, genres)


def genres(block: Block) -> pa.Array:
    """Lists of genres: the names of the flags that are 1, but for 'unknown'."""
    flags = np.column_stack([pc.equal(block.columns[name], "1").to_numpy(zero_copy_only=False) for name in GENRES[1:]])
    names = np.array(GENRES[1:])
    return pa.array([names[row].tolist() for row in flags], pa.list_(pa.string()))
