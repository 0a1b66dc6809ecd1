"""Market baskets: a line is a basket, its fields are the items in it; the basket's number is the user.

    citrus fruit,semi-finished bread,margarine
    tropical fruit,yogurt

There is no rating and no time. Each entry is a row; an item is spelt as it stands, spaces included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from marquee.formats.blocks import BadLine, Block
from marquee.formats.delimited import split_record
from marquee.formats.lines import chunks, n_newlines, picked
from marquee.sources.reading import Reading


def read(reading: Reading, stream: BinaryIO, first_line: int = 1) -> Iterator[Block]:
    """Blocks with the columns user_id (the number of the line) and item_id."""
    number = first_line
    for chunk in chunks(stream, reading.encoding, first_line):
        items: list[str] = []
        at: list[int] = []
        bad = list(chunk.bad)
        for position, line in enumerate(chunk.data.decode().split("\n")):
            text = line.removesuffix("\r")
            if not text:
                continue
            entries = split_record(text, reading.separator, reading.quote)
            if entries is None:
                sentence = "a quoted item is not closed, or has text behind its closing quote"
                bad.append(BadLine(number + position, "unreadable_line", sentence, text))
                continue
            if len(entries) > 1 and entries[-1] == "":  # a separator that ends the line stands before nothing
                entries = entries[:-1]
            items += entries
            at += [position] * len(entries)
        lines = np.array(at, np.int64)
        users = pa.array([str(number + position) for position in at], pa.string())
        yield Block(
            {"user_id": users, "item_id": pa.array(items, pa.string())},
            lines + number,
            _raw_of(chunk.received, lines, chunk.encoding),
            bad,
        )
        number += n_newlines(chunk.data)


def _raw_of(received: bytes, lines: np.ndarray, encoding: str) -> Callable[[Sequence[int]], list[str]]:
    """The lines of a chunk by positions of rows."""
    return lambda positions: picked(received, lines[list(positions)].tolist(), encoding)
