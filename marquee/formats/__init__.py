"""The layouts that Marquee reads, one a file: from a stream of bytes to blocks of rows.

for block in read(source.ratings, stream):
    block.columns["user_id"], block.lines, block.bad
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from marquee.formats.blocks import Block
    from marquee.sources.reading import Reading


def read(
    reading: Reading, stream: BinaryIO, first_line: int = 1, header: Sequence[str] | None = None
) -> Iterator[Block]:
    """The rows of a file that is read so, or of a piece of it, in order and in blocks; a few chunks are in memory.

    Args:
        stream: unpacked bytes.
        first_line: number of the stream's first line, where it starts inside a file.
        header: the file's first line, taken apart (`header_of`), where the stream starts behind it.

    Raises:
        DataError: the file lacks a column of the reading, or is not of its layout at all.
    """
    from marquee.formats import baskets, delimited, json_lines, netflix, parquet

    match reading.layout:
        case "delimited":
            return delimited.read(reading, stream, first_line, header)
        case "netflix":
            return netflix.read(reading, stream, first_line)
        case "baskets":
            return baskets.read(reading, stream, first_line)
        case "jsonl":
            return json_lines.read(reading, stream, first_line)
        case "parquet":
            return parquet.read(reading, stream)


def header_of(reading: Reading, stream: BinaryIO) -> list[str] | None:
    """The first line of a file, taken apart, where it tells names or number of the columns."""
    if reading.layout != "delimited" or (not reading.header and reading.n_fields):
        return None
    from marquee.formats.delimited import first_record
    from marquee.formats.lines import chunks

    for chunk in chunks(stream, reading.encoding, 1):
        return first_record(chunk.data, reading)[0]
    return []
