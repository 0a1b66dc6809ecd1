"""Pieces of a raw batch that can be read side by side: runs of lines of a file, whole files, or all of an archive.

Where a file may be cut is known from staging (`RawFile.index`). What is packed is read from its start to its end.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from marquee.formats import header_of, read
from marquee.lake.objects import Lake, lake_errors
from marquee.lake.raw import Manifest, Member, file_key, open_member

if TYPE_CHECKING:
    from marquee.formats.blocks import Block
    from marquee.sources.reading import Reading

#: Bytes of raw data that a task takes at least, if there are so many.
BYTES_OF_A_GROUP = 32 << 20
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class Piece:
    """A run of whole lines of a member.

    Attributes:
        at: the member's place in `Manifest.members`.
        start, stop: bytes of the file, half open; both 0 where the whole member is meant.
        line: number of the first line.
        size: bytes of it in the lake, packed where it is packed.
    """

    at: int
    start: int
    stop: int
    line: int
    size: int

    @property
    def is_whole(self) -> bool:
        return self.stop == 0


def pieces(manifest: Manifest, table: str) -> list[Piece]:
    """All pieces of a table, in the order of the members and lines."""
    files = {file.name: file for file in manifest.files}
    found: list[Piece] = []
    for at, member in enumerate(manifest.members):
        if member.table != table:
            continue
        file = files[member.file]
        cuts = list(file.index) if member.member is None and not member.packing else []
        if not cuts:
            found.append(
                Piece(at, 0, 0, 1, file.size if member.member is None else file.size // _packed(manifest, member))
            )
            continue
        starts = [(0, 1), *cuts]
        stops = [offset for offset, _ in cuts] + [file.size]
        found += [Piece(at, start, stop, line, stop - start) for (start, line), stop in zip(starts, stops, strict=True)]
    return found


def groups(found: Sequence[Piece], manifest: Manifest) -> list[list[Piece]]:
    """Pieces grouped for tasks: small ones together, and those of one archive, which is read once, in one task."""
    made: list[list[Piece]] = []
    size = 0
    for piece in found:
        member = manifest.members[piece.at]
        last = manifest.members[made[-1][-1].at] if made else None
        is_same_archive = last is not None and member.member is not None and member.file == last.file
        if made and (is_same_archive or size + piece.size <= BYTES_OF_A_GROUP):
            made[-1].append(piece)
            size += piece.size
        else:
            made.append([piece])
            size = piece.size
    return made


def blocks(lake: Lake, manifest: Manifest, piece: Piece) -> Iterator[Block]:
    """The rows of a piece.

    Raises:
        LakeError: the store refuses.
        SourceError: what is packed is damaged.
        DataError: the file is not of its layout; the sentence starts with its name.
    """
    from marquee.errors import DataError

    member = manifest.members[piece.at]
    reading = reading_of(manifest, member)
    try:
        header = None
        if not piece.is_whole and piece.start > 0:
            with closing(open_member(lake, manifest, member)) as stream:
                header = header_of(reading, stream)
        with closing(open_piece(lake, manifest, piece)) as stream:
            yield from read(reading, stream, piece.line, header)
    except DataError as error:
        raise DataError(f"{member.name}, {str(error)[0].lower()}{str(error)[1:]}") from None


def blocks_of(lake: Lake, manifest: Manifest, work: Sequence[Piece]) -> Iterator[tuple[Piece, Block]]:
    """The rows of several pieces, in their order, each block with its piece."""
    for piece in work:
        for block in blocks(lake, manifest, piece):
            yield piece, block


def open_piece(lake: Lake, manifest: Manifest, piece: Piece) -> BinaryIO:
    """The bytes of a piece, unpacked."""
    member = manifest.members[piece.at]
    if piece.is_whole:
        return open_member(lake, manifest, member)
    return io.BufferedReader(
        _Range(lake, f"{lake.bucket}/{file_key(manifest.sha256, member.file)}", piece), CHUNK_BYTES
    )


class _Range(io.RawIOBase):
    """Some bytes of an object, by ranged reads."""

    def __init__(self, lake: Lake, path: str, piece: Piece) -> None:
        super().__init__()
        self._lake, self._path, self._at, self._stop = lake, path, piece.start, piece.stop
        with lake_errors(f"read {path}", lake):
            self._file = lake.filesystem().open_input_file(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._stop - self._at)
        with lake_errors(f"read {self._path}", self._lake):
            chunk = self._file.read_at(size, self._at) if size else b""
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


def reading_of(manifest: Manifest, member: Member) -> Reading:
    """How a member is read."""
    source = manifest.reading
    if member.table == "ratings":
        return source.ratings
    if member.table == "items" and source.items is not None:
        return source.items
    return next(split for split in source.splits if split.split == member.split)


def raw_lines(lake: Lake, manifest: Manifest, wanted: Mapping[int, Sequence[int]]) -> dict[tuple[int, int], str]:
    """Lines as they were received.

    Args:
        wanted: place of a member -> the lines (the first is 1) of rows in it.

    Returns:
        (place of the member, line) -> the line.
    """
    found: dict[tuple[int, int], str] = {}
    for piece in (piece for table in ("ratings", "items", "splits") for piece in pieces(manifest, table)):
        due = set(wanted.get(piece.at, ()))
        if not due or max(due) < piece.line:
            continue
        for block in blocks(lake, manifest, piece):
            positions = [at for at, line in enumerate(block.lines.tolist()) if line in due]
            for at, raw in zip(positions, block.raw(positions), strict=True):
                found[piece.at, int(block.lines[at])] = raw
    return found


def _packed(manifest: Manifest, member: Member) -> int:
    """How many members the archive of this one packs."""
    return sum(other.file == member.file for other in manifest.members)
