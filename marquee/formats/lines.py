"""Bytes of a text file to chunks of whole lines in UTF-8, with the lines that are no text set aside.

A line that can't be decoded, or holds a NUL byte, stands as an empty line in its chunk, so that all others keep their
numbers; it is reported as a bad line.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from marquee.errors import DataError
from marquee.formats.blocks import BadLine

CHUNK_BYTES = 8 << 20
LONGEST_LINE_BYTES = 64 << 20
BOM = b"\xef\xbb\xbf"
WIDE = ("utf-16", "utf-32", "utf-7")
#: Name of what decodes bytes that are no text as NUL; a U+FFFD that the file holds is text.
AS_NUL = "marquee.nul"


def _as_nul(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return "\0", error.end
    raise error


codecs.register_error(AS_NUL, _as_nul)


@dataclass(frozen=True)
class Chunk:
    """Whole lines: `data` in UTF-8, `received` the same lines in `encoding`, and those that are no text."""

    data: bytes
    received: bytes
    encoding: str
    bad: list[BadLine]
    is_last: bool


def chunks(stream: BinaryIO, encoding: str, first_line: int) -> Iterator[Chunk]:
    """The stream in chunks that end where a line ends.

    Args:
        encoding: as Python names it.
        first_line: number of the stream's first line; a byte order mark is taken off line 1 only.

    Raises:
        DataError: a line is longer than 64 MB, or the encoding is unknown.
    """
    name = encoding_name(encoding)
    number = first_line
    is_start = first_line == 1
    pieces = whole_lines(_transcoded(stream, name) if name.startswith(WIDE) else _raw(stream, is_start=is_start))
    text_encoding = "utf-8" if name.startswith(WIDE) else name
    waiting: bytes | None = None
    for piece in pieces:
        if waiting is not None:
            yield _chunk(waiting, text_encoding, number, is_last=False)
            number += n_newlines(waiting)
        elif first_line == 1:
            piece = piece.removeprefix(BOM)
        waiting = piece
    if waiting is not None:
        yield _chunk(waiting, text_encoding, number, is_last=True)


def encoding_name(encoding: str) -> str:
    """Python's own name of an encoding.

    Raises:
        DataError: Python has no such encoding.
    """
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise DataError(
            f"{encoding!r} is no encoding that Python knows: write utf-8, latin-1, cp1252 or utf-16, as it is."
        ) from None


def whole_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes in pieces that end where a line ends; the last may lack its newline.

    Raises:
        DataError: a line is longer than 64 MB, so the file is no text of rows.
    """
    rest: list[bytes] = []
    held = 0
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if held + (piece.find(b"\n") if cut else len(piece)) > LONGEST_LINE_BYTES:
            raise DataError(
                "A line is longer than 64 MB: this is no text file of one row a line; check what the file is."
            )
        if cut == 0:
            rest.append(piece)
            held += len(piece)
            continue
        yield b"".join((*rest, piece[:cut]))
        rest, held = [piece[cut:]], len(piece) - cut
    if last := b"".join(rest):
        yield last


def n_newlines(data: bytes) -> int:
    """How many newlines there are: where lines are short, numpy tells ten times as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def text_of(line: bytes, encoding: str = "utf-8") -> str:
    """The line as text, whatever is in it: bytes that are no text stand as \\xNN."""
    return line.removesuffix(b"\r").decode(encoding, errors="backslashreplace")


def picked(data: bytes, positions: Sequence[int], encoding: str, last: Sequence[int] | None = None) -> list[str]:
    """The lines of a chunk at these positions (the first is 0) as text; with `last`, runs of lines up to those."""
    lines = data.split(b"\n")
    runs = zip(positions, positions if last is None else last, strict=True)
    return [text_of(b"\n".join(lines[first : end + 1]), encoding) for first, end in runs]


def _raw(stream: BinaryIO, *, is_start: bool) -> Iterator[bytes]:
    """The stream's bytes. A file of old, whose lines end in carriage returns alone, gets newlines; it is never cut."""
    is_old: bool | None = None if is_start else False
    while piece := stream.read(CHUNK_BYTES):
        if is_old is None:
            is_old = b"\n" not in piece and b"\r" in piece
        yield piece.replace(b"\r", b"\n") if is_old else piece


def _transcoded(stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The text in UTF-8; what is no text becomes NUL, which marks its line as undecodable."""
    decoder = codecs.getincrementaldecoder(encoding)(errors=AS_NUL)
    is_first = True
    while piece := stream.read(CHUNK_BYTES):
        text = decoder.decode(piece)
        if is_first:
            text, is_first = text.removeprefix("\ufeff"), False
        yield text.encode("utf-8", errors="replace")
    yield decoder.decode(b"", final=True).encode()


def _chunk(received: bytes, encoding: str, first: int, *, is_last: bool) -> Chunk:
    if b"\0" not in received:
        if received.isascii():
            return Chunk(received, received, encoding, [], is_last)
        try:
            text = received.decode(encoding)
            return Chunk(received if encoding == "utf-8" else text.encode(), received, encoding, [], is_last)
        except UnicodeDecodeError:
            pass
    bad: list[BadLine] = []
    good: list[bytes] = []
    for at, line in enumerate(received.split(b"\n")):
        try:
            text = line.decode(encoding)
            nul = line.find(b"\0")
            fault = f"byte {nul + 1} of the line is NUL, or no text in the file's encoding" if nul >= 0 else ""
        except UnicodeDecodeError as error:
            text = ""
            fault = f"byte {error.start + 1} of the line (0x{line[error.start]:02x}) is no {encoding} text"
        good.append(b"" if fault else text.encode())
        if fault:
            bad.append(BadLine(first + at, "undecodable_text", fault, text_of(line, encoding)))
    return Chunk(b"\n".join(good), received, encoding, bad, is_last)
