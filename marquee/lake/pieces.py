"""Pieces of a raw batch that can be read side by side: runs of lines of a file, whole files, or all of an archive.

Where a file may be cut is known from staging (`RawFile.index`). What is packed is read from its start to its end.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from marquee.errors import DataError
from marquee.formats import header_of, read
from marquee.formats.lines import LONGEST_LINE_BYTES
from marquee.lake.objects import Lake, lake_errors
from marquee.lake.raw import Manifest, Member, file_key, open_members

if TYPE_CHECKING:
    from marquee.formats.blocks import Block

#: Bytes of raw data that a task takes at least, if there are so many.
BYTES_OF_A_GROUP = 32 << 20
#: A request of this size, a whole piece as it is cut as a rule, costs the store less than several do.
READ_BYTES = 40 << 20
HEADER_BYTES = 1 << 16


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
    n_inside = Counter(member.file for member in manifest.members)
    found: list[Piece] = []
    for at, member in enumerate(manifest.members):
        if member.table != table:
            continue
        file = files[member.file]
        cuts = list(file.index) if member.member is None and not member.packing else []
        if not cuts:
            found.append(Piece(at, 0, 0, 1, file.size if member.member is None else file.size // n_inside[member.file]))
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


def blocks_of(lake: Lake, manifest: Manifest, work: Sequence[Piece]) -> Iterator[tuple[Piece, Block]]:
    """The rows of several pieces, each block with its piece; an archive is read once, in its own order.

    Raises:
        LakeError: the store refuses.
        SourceError: what is packed is damaged.
        DataError: a file is not of its layout; the sentence starts with its name.
    """
    whole = {manifest.members[piece.at]: piece for piece in work if piece.is_whole}
    for member, stream in open_members(lake, manifest, list(whole)):
        for block in _blocks(manifest, member, stream, 1, None):
            yield whole[member], block
    for piece in work:
        if not piece.is_whole:
            member = manifest.members[piece.at]
            header = _header(lake, manifest, member) if piece.start > 0 else None
            with io.BufferedReader(_Range(lake, file_key(manifest.sha256, member.file), piece), READ_BYTES) as stream:
                for block in _blocks(manifest, member, stream, piece.line, header):
                    yield piece, block


def _blocks(
    manifest: Manifest, member: Member, stream: BinaryIO, line: int, header: Sequence[str] | None
) -> Iterator[Block]:
    try:
        yield from read(manifest.reading_of(member), stream, line, header)
    except DataError as error:
        raise DataError(f"{member.name}, {str(error)[0].lower()}{str(error)[1:]}") from None


def _header(lake: Lake, manifest: Manifest, member: Member) -> list[str] | None:
    """The first line of a file that is cut, from its first bytes alone."""
    key = file_key(manifest.sha256, member.file)
    with lake_errors(f"read {key}", lake), lake.filesystem().open_input_file(f"{lake.bucket}/{key}") as file:
        start = file.read_at(min(HEADER_BYTES, file.size()), 0)
        if b"\n" not in start:  # thousands of columns
            start = file.read_at(min(LONGEST_LINE_BYTES, file.size()), 0)
    return header_of(manifest.reading_of(member), io.BytesIO(start))


class _Range(io.RawIOBase):
    """Some bytes of an object, by ranged reads."""

    def __init__(self, lake: Lake, key: str, piece: Piece) -> None:
        super().__init__()
        self._lake, self._key, self._at, self._stop = lake, key, piece.start, piece.stop
        with lake_errors(f"read {key}", lake):
            self._file = lake.filesystem().open_input_file(f"{lake.bucket}/{key}")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._stop - self._at)
        with lake_errors(f"read {self._key}", self._lake):
            chunk = self._file.read_at(size, self._at) if size else b""
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


def raw_lines(lake: Lake, manifest: Manifest, wanted: Mapping[int, Sequence[int]]) -> dict[tuple[int, int], str]:
    """Lines as they were received.

    Args:
        wanted: place of a member -> the lines (the first is 1) of rows in it.

    Returns:
        (place of the member, line) -> the line.
    """
    due = {at: set(lines) for at, lines in wanted.items()}
    work = [
        piece
        for table in ("ratings", "items", "splits")
        for piece in pieces(manifest, table)
        if piece.at in due and max(due[piece.at]) >= piece.line
    ]
    found: dict[tuple[int, int], str] = {}
    for piece, block in blocks_of(lake, manifest, work):
        positions = [at for at, line in enumerate(block.lines.tolist()) if line in due[piece.at]]
        for at, raw in zip(positions, block.raw(positions), strict=True):
            found[piece.at, int(block.lines[at])] = raw
    return found
