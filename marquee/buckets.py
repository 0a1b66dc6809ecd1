"""Buckets: rows of one user lie together, in one of 2^n buckets, by a hash of the user's id that never changes.

A table of many ratings is deduplicated, merged and rewritten bucket by bucket, in bounded memory. The hash is FNV-1a
(64 bit) of the id's UTF-8 bytes, folded to 32 bits (Fowler, Noll, Vo; http://www.isthe.com/chongo/tech/comp/fnv). The
number of buckets is a power of two, so a bucket of a coarser division is the union of buckets of a finer one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

OFFSET_BASIS = np.uint64(0xCBF29CE484222325)
PRIME = np.uint64(0x100000001B3)

#: Bytes of a batch, unpacked, for one bucket: about two million ratings.
BYTES_OF_A_BUCKET = 48 << 20
MAX_BUCKETS = 1024


def buckets_for(size: int) -> int:
    """How many buckets a batch of `size` bytes is divided into: a power of two."""
    n_buckets = 1
    while n_buckets < MAX_BUCKETS and n_buckets * BYTES_OF_A_BUCKET < size:
        n_buckets *= 2
    return n_buckets


def bucket_of(ids: pa.Array, n_buckets: int) -> NDArray[np.int64]:
    """The bucket of each id.

    Args:
        ids: strings without nulls, of shape (n,).
        n_buckets: a power of two.

    Returns:
        int64 of shape (n,), 0 .. n_buckets - 1.
    """
    return (hashes(ids) & np.uint64(n_buckets - 1)).astype(np.int64)


def hashes(ids: pa.Array) -> NDArray[np.uint64]:
    """FNV-1a of each string's UTF-8 bytes, its high half folded into the low one; uint64 of shape (n,), below 2^32."""
    import pyarrow as pa

    n = len(ids)
    if n == 0:
        return np.zeros(0, np.uint64)
    large = ids.cast(pa.large_string())
    _, offsets_buffer, data_buffer = large.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64, n + 1, large.offset * 8)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    found = np.full(n, OFFSET_BASIS, np.uint64)
    longest = int(lengths.max())
    # Byte by byte of all strings at once; those that have ended stand aside, sorted by length so that it is a slice.
    order = np.argsort(-lengths, kind="stable")
    starts, lengths, ordered = starts[order], lengths[order], np.full(n, OFFSET_BASIS, np.uint64)
    counts = n - np.searchsorted(np.sort(lengths), np.arange(longest), side="right")
    with np.errstate(over="ignore"):
        for at in range(longest):
            some = slice(0, int(counts[at]))
            ordered[some] = (ordered[some] ^ data[starts[some] + at]) * PRIME
    found[order] = ordered
    return (found ^ (found >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
