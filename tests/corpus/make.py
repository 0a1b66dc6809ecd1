"""Makes the corpus: files that are bad or odd, each in a folder of its own. Nothing of it is kept in the repository.

    python -m tests.corpus.make FOLDER

Every function gives a maker: it writes one source into an empty folder, and gives the path to ingest. The same maker
writes the same bytes every time.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Maker = Callable[[Path], Path]

#: When the members of all archives were changed: the same bytes every time.
LONG_AGO = (1999, 12, 31, 0, 0, 0)


def file(data: bytes | str, name: str = "ratings.csv") -> Maker:
    """One file; a text is written in UTF-8, as it stands."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return folder / name

    return make


def large(pieces: Callable[[], list[bytes]], name: str = "ratings.csv") -> Maker:
    """One file whose bytes are made when they are wanted, not when the table of cases is read."""
    return lambda folder: file(b"".join(pieces()), name)(folder)


def files(inside: dict[str, bytes | str], name: str = "data") -> Maker:
    """A folder of files."""

    def make(folder: Path) -> Path:
        for path, data in inside.items():
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            file(data, path)(folder / name)
        return folder / name

    return make


def gz(data: bytes | str) -> bytes:
    return gzip.compress(_bytes(data), mtime=0)


def bz(data: bytes | str) -> bytes:
    return bz2.compress(_bytes(data))


def xz(data: bytes | str) -> bytes:
    return lzma.compress(_bytes(data))


def zst(data: bytes | str) -> bytes:
    return pa.compress(_bytes(data), codec="zstd", asbytes=True)


def zip_of(inside: dict[str, bytes | str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in inside.items():
            info = zipfile.ZipInfo(name, LONG_AGO)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, _bytes(data))
    return packed.getvalue()


def encrypted(archive: bytes) -> bytes:
    """A zip that says of its first member that it is encrypted, as one with a password does."""
    changed = bytearray(archive)
    changed[6] |= 1  # the flags of the member's own header
    changed[archive.index(b"PK\x01\x02") + 8] |= 1  # and those of the table at the end
    return bytes(changed)


def tar_of(inside: dict[str, bytes | str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in inside.items():
            info = tarfile.TarInfo(name)
            info.size = len(_bytes(data))
            archive.addfile(info, io.BytesIO(_bytes(data)))
    return packed.getvalue()


def damaged(data: bytes, at: int) -> bytes:
    """The same bytes with one of them changed."""
    changed = bytearray(data)
    changed[at] ^= 0x55
    return bytes(changed)


def parquet(columns: dict[str, pa.Array]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def png() -> bytes:
    """The first picture that everybody makes: one pixel."""
    return bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001"
        "0001e221bc330000000049454e44ae426082"
    )


def _bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


def main(argv: list[str]) -> int:
    from tests.corpus.expected import CASES

    if len(argv) != 1:
        raise SystemExit("Name one folder: python -m tests.corpus.make FOLDER.")
    for case in CASES:
        folder = Path(argv[0]) / case.name
        folder.mkdir(parents=True)
        print(case.make(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
