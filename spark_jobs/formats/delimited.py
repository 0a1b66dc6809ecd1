"""Text with separators, read in blocks: every line is either a row of texts or a bad line with its reason.

No line is ever dropped in silence: rows + bad lines = lines that are not blank.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from marquee.errors import DataError

BLOCK_BYTES = 8 << 20
LONGEST_LINE_BYTES = 64 << 20


@dataclass(frozen=True)
class Dialect:
    """How a file separates its fields. `quote` is empty where the format has no quoting."""

    separator: str
    encoding: str = "utf-8"
    quote: str = '"'


@dataclass(frozen=True)
class BadLine:
    """A line that is no row: its number (the first is 1), a reason code, a sentence, and the line as received."""

    line: int
    reason: str
    sentence: str
    raw: str


@dataclass(frozen=True)
class Block:
    """A run of lines, parsed.

    Attributes:
        columns: name -> texts, each of length n.
        lines: line numbers, int64 of shape (n,).
        raw: the n lines as received.
        bad: the lines that are no rows.
    """

    columns: dict[str, pa.Array]
    lines: np.ndarray
    raw: list[str]
    bad: list[BadLine]

    @property
    def n_read(self) -> int:
        return len(self.lines) + len(self.bad)


def read(
    stream: BinaryIO,
    dialect: Dialect,
    names: Sequence[str] | None,
    check_header: Callable[[list[str]], list[str]] | None = None,
) -> Iterator[Block]:
    """Blocks of rows of a file.

    Args:
        names: the columns of a file without a header line; None where the first line names them.
        check_header: gets the first line's fields, raises where they are wrong, and returns the columns' names.
    """
    number = 1
    for data in whole_lines(stream):
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        if number == 1:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            if names is None:
                header = parse_line(text_of(lines[0].removesuffix(b"\r")), dialect) or []
                names = check_header(header) if check_header else header
                lines, number = lines[1:], 2
        assert names is not None  # noqa: S101 - the first block has set it
        yield parse(lines, number, dialect, names)
        number += len(lines)


def whole_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in pieces that end where a line ends.

    Raises:
        DataError: a line is longer than 64 MB, so the file is no text of rows.
    """
    rest: list[bytes] = []
    held = 0
    while piece := stream.read(BLOCK_BYTES):
        cut = piece.rfind(b"\n") + 1
        if cut == 0:
            rest.append(piece)
            held += len(piece)
            if held > LONGEST_LINE_BYTES:
                raise DataError(
                    "A line is longer than 64 MB: this is no text file of one row a line; check what the file is."
                )
            continue
        yield b"".join((*rest, piece[:cut]))
        rest, held = [piece[cut:]], len(piece) - cut
    if last := b"".join(rest):
        yield last


def parse(lines: list[bytes], first: int, dialect: Dialect, names: Sequence[str]) -> Block:
    """Parse lines, of which the first has the number `first`."""
    stripped = [line.removesuffix(b"\r") for line in lines]
    numbers = np.arange(first, first + len(stripped), dtype=np.int64)
    bad: list[BadLine] = []
    is_row = np.fromiter((len(line) > 0 for line in stripped), bool, len(stripped))  # blank lines are no rows at all
    texts = _decode(stripped, numbers, dialect.encoding, is_row, bad)
    kept = [text for text, is_kept in zip(texts, is_row, strict=True) if is_kept]
    numbers = numbers[is_row]
    columns, row_of_kept = _fast(kept, dialect, names)
    if columns is None:
        columns, row_of_kept = _line_by_line(kept, dialect, names)
    for at in np.flatnonzero(~row_of_kept):
        bad.append(_why_bad(kept[at], int(numbers[at]), dialect, names))
    raw = kept if row_of_kept.all() else [kept[at] for at in np.flatnonzero(row_of_kept)]
    return Block(columns, numbers[row_of_kept], raw, bad)


def text_of(line: bytes, encoding: str = "utf-8") -> str:
    """The line as text, whatever is in it: bytes that are no text stand as \\xNN."""
    return line.decode(encoding, errors="backslashreplace")


def parse_line(line: str, dialect: Dialect) -> list[str] | None:
    """The fields of one line; None where its quotes don't close."""
    if not dialect.quote:
        return line.split(dialect.separator)
    try:
        return next(csv.reader([line], delimiter=dialect.separator, quotechar=dialect.quote, strict=True))
    except (csv.Error, StopIteration):
        return None


def _decode(
    lines: list[bytes], numbers: np.ndarray, encoding: str, is_row: np.ndarray, bad: list[BadLine]
) -> list[str]:
    try:
        return b"\n".join(lines).decode(encoding).split("\n") if lines else []
    except UnicodeDecodeError:
        pass
    texts = []
    for at, line in enumerate(lines):
        try:
            texts.append(line.decode(encoding))
        except UnicodeDecodeError as error:
            texts.append("")
            is_row[at] = False
            sentence = f"byte {error.start + 1} of the line (0x{line[error.start]:02x}) is no {encoding} text"
            bad.append(BadLine(int(numbers[at]), "undecodable_text", sentence, text_of(line, encoding)))
    return texts


def _fast(kept: list[str], dialect: Dialect, names: Sequence[str]) -> tuple[dict[str, pa.Array] | None, np.ndarray]:
    """Arrow's parser over all lines at once; no columns where quotes run over line ends: lines can't be told then."""
    is_good = np.ones(len(kept), bool)
    if not kept:
        return {name: pa.array([], pa.string()) for name in names}, is_good

    def mark(row: pacsv.InvalidRow) -> str:
        if row.number is not None and row.number <= len(is_good):
            is_good[row.number - 1] = False
        return "skip"

    data = "\n".join(kept).encode()
    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(use_threads=False, column_names=list(names), block_size=len(data) + 1),
        parse_options=pacsv.ParseOptions(
            delimiter=dialect.separator,
            quote_char=dialect.quote or False,
            invalid_row_handler=mark,
            ignore_empty_lines=False,
        ),
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False
        ),
    )
    if table.num_rows != int(is_good.sum()):
        return None, is_good
    return {name: table[name].combine_chunks() for name in names}, is_good


def _line_by_line(kept: list[str], dialect: Dialect, names: Sequence[str]) -> tuple[dict[str, pa.Array], np.ndarray]:
    fields = [parse_line(line, dialect) for line in kept]
    is_good = np.fromiter((row is not None and len(row) == len(names) for row in fields), bool, len(fields))
    good = [row for row, is_kept in zip(fields, is_good, strict=True) if is_kept and row is not None]
    return {name: pa.array([row[at] for row in good], pa.string()) for at, name in enumerate(names)}, is_good


def _why_bad(line: str, number: int, dialect: Dialect, names: Sequence[str]) -> BadLine:
    fields = parse_line(line, dialect)
    if fields is None:
        return BadLine(
            number, "unreadable_line", "a quoted field is not closed, or has text behind its closing quote", line
        )
    return BadLine(
        number, "wrong_field_count", f"{len(fields)} fields where {len(names)} are due ({', '.join(names)})", line
    )
