"""What a reading task does: the rows of its pieces, checked one by one, and sent on by buckets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa

from marquee.lake.objects import Lake
from marquee.lake.pieces import Piece, blocks_of
from marquee.lake.raw import Manifest
from spark_jobs import rules
from spark_jobs.buckets import ROWS_AT_ONCE, divided, message, note, packed, refused_table

REFUSED_AT_ONCE = 50_000


def read_pieces(
    manifest: Manifest,
    work: list[Piece],
    task: int,
    n_buckets: int,
    received_at: datetime,
    known_items: pa.Array | None,
) -> Iterator[pa.RecordBatch]:
    """Messages with the accepted rows by bucket, the refused ones, and how many were read.

    Args:
        task: number of the task; its refused rows go to one bucket after the other by it.
        known_items: where the source promises a full catalogue, its items.
    """
    lake, reading = Lake.from_environment(), manifest.reading.ratings
    accepted: list[pa.Table] = []
    refused: list[pa.Table] = []
    n_held = n_refused = n_read = 0
    for piece, block in blocks_of(lake, manifest, work):
        ruled = rules.ratings(block, reading, received_at, known_items)
        n_read += block.n_read
        member = pa.array(np.full(ruled.accepted.num_rows, piece.at, np.int32))
        accepted.append(ruled.accepted.append_column("member", member))
        n_held += ruled.accepted.num_rows
        if ruled.refused:
            refused.append(refused_table("ratings", piece.at, ruled.refused))
            n_refused += len(ruled.refused)
        if n_held >= ROWS_AT_ONCE:
            yield from _sent(accepted, n_buckets)
            accepted, n_held = [], 0
        if n_refused >= REFUSED_AT_ONCE:
            yield message(task % n_buckets, "refused", packed(pa.concat_tables(refused)))
            refused, n_refused = [], 0
    yield from _sent(accepted, n_buckets)
    if refused:
        yield message(task % n_buckets, "refused", packed(pa.concat_tables(refused)))
    yield message(task % n_buckets, "read", note(n_read))


def _sent(accepted: list[pa.Table], n_buckets: int) -> Iterator[pa.RecordBatch]:
    if accepted:
        for bucket, rows in divided(accepted, n_buckets):
            yield message(bucket, "ratings", packed(rows))
