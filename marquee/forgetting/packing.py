"""Bytes packed as `marquee.sources.packing` unpacks them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any


def packed(target: IO[bytes], packing: str) -> AbstractContextManager[Any]:
    """A stream that packs what is written to it; the target stays open behind it.

    Args:
        packing: "gzip", "bzip2", "xz", "zstd", or "" for the target itself.
    """
    if packing == "gzip":
        # Without name and time: the same bytes are packed to the same bytes.
        return gzip.GzipFile(filename="", fileobj=target, mode="wb", mtime=0)
    if packing == "bzip2":
        return bz2.BZ2File(target, "wb")
    if packing == "xz":
        return lzma.LZMAFile(target, "wb")
    if packing == "zstd":
        import pyarrow as pa

        compressed: AbstractContextManager[Any] = pa.CompressedOutputStream(
            pa.PythonFile(_Unclosed(target), "w"), "zstd"
        )
        return compressed
    return nullcontext(target)


class _Unclosed(io.RawIOBase):
    """A target that stays open when its writer is done."""

    def __init__(self, target: IO[bytes]) -> None:
        super().__init__()
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._target.write(data)
