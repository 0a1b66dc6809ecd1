"""The Netflix Prize's layout: a line `MovieID:`, and under it a line for each of its ratings, or of a split's pairs.

    1:                         probe.txt, qualifying.txt:    1:
    1488844,3,2005-09-06                                     30878
    822109,5,2005-05-13                                      2647871

Source: the README of the Netflix Prize data set. A file is cut only where a section starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from marquee.formats.blocks import BadLine, Block
from marquee.formats.lines import Chunk, chunks, n_newlines, picked
from marquee.formats.shape import ENCODED
from marquee.sources.reading import RatingsReading, Reading

RATING_FIELDS = ("user_id", "rating", "rated_at")
PAIR_FIELDS = ("user_id",)


def read(reading: Reading, stream: BinaryIO, first_line: int = 1) -> Iterator[Block]:
    """Blocks with the columns item_id, user_id and, for ratings, rating and rated_at."""
    names = RATING_FIELDS if isinstance(reading, RatingsReading) else PAIR_FIELDS
    section: str | None = None
    number = first_line
    for chunk in chunks(stream, reading.encoding, first_line):
        block, section = parse(chunk, number, names, section)
        yield block
        number += n_newlines(chunk.data)


def parse(chunk: Chunk, first: int, names: Sequence[str], section: str | None) -> tuple[Block, str | None]:
    """The rows of a chunk that starts within `section`, and the section that it ends in."""
    data = chunk.data
    headers, starts = sections(data)
    row_lines, table, wrong = rows_of(data, names, headers)
    before = np.searchsorted(starts, row_lines, side="right")
    is_inside = (before > 0) | (section is not None)
    bad = list(chunk.bad)
    strays = [(int(line), "unreadable_line", "it stands before any line 'MovieID:'") for line in row_lines[~is_inside]]
    faults = sorted(wrong + strays)
    raws = picked(chunk.received, [at for at, *_ in faults], chunk.encoding) if faults else []
    bad += [
        BadLine(first + at, reason, sentence, raw) for (at, reason, sentence), raw in zip(faults, raws, strict=True)
    ]
    known = pa.array([section or "", *headers], pa.string())
    items = pa.DictionaryArray.from_arrays(pa.array(before[is_inside].astype(np.int32)), known)
    kept = row_lines[is_inside]
    columns = {name: table[name].combine_chunks() for name in names}
    if not is_inside.all():
        columns = {name: column.filter(pa.array(is_inside)) for name, column in columns.items()}

    def raw(positions: Sequence[int]) -> list[str]:
        return picked(chunk.received, kept[list(positions)].tolist(), chunk.encoding)

    block = Block({"item_id": items, **columns}, kept + first, raw, bad)
    return block, headers[-1] if headers else section


def sections(data: bytes) -> tuple[list[str], np.ndarray]:
    """The sections that start in a chunk, and the positions of their lines (the first is 0)."""
    letters = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(letters == ord("\n"))
    if len(letters) and letters[-1] != ord("\n"):
        newlines = np.concatenate((newlines, [len(letters)]))
    ends = newlines - ((newlines > 0) & (letters[np.maximum(newlines - 1, 0)] == ord("\r")))
    is_header = (ends > 0) & (letters[np.maximum(ends - 1, 0)] == ord(":"))
    begins = np.concatenate(([0], newlines[:-1] + 1)) if len(newlines) else newlines
    found = [
        (data[begin : end - 1].decode().strip(), at)
        for at, begin, end in zip(
            np.flatnonzero(is_header).tolist(), begins[is_header].tolist(), ends[is_header].tolist(), strict=True
        )
        if b"," not in data[begin:end]
    ]
    return [name for name, _ in found], np.array([at for _, at in found], np.int64)


def rows_of(
    data: bytes, names: Sequence[str], headers: Sequence[str]
) -> tuple[np.ndarray, pa.Table, list[tuple[int, str, str]]]:
    """The lines that are rows, their values (the rating as a number where all are), and the lines that are neither."""
    if len(names) == 1:
        return _single(data, names[0])
    invalid: list[tuple[int, str, int]] = []

    def mark(row: pacsv.InvalidRow) -> str:
        invalid.append((row.number - 1, row.text, row.actual_columns))
        return "skip"

    lines = _line_numbers(data)
    for rating in (pa.float64(), pa.string()):
        invalid.clear()
        try:
            table = pacsv.read_csv(
                pa.BufferReader(data),
                read_options=pacsv.ReadOptions(use_threads=False, column_names=list(names), block_size=len(data) + 1),
                parse_options=pacsv.ParseOptions(quote_char=False, invalid_row_handler=mark),
                convert_options=pacsv.ConvertOptions(
                    column_types={name: rating if name == "rating" else ENCODED for name in names},
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
            break
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                table = pa.table({name: pa.array([], pa.string()) for name in names})
                break
    is_row = np.ones(len(lines), bool)
    is_row[[at for at, *_ in invalid]] = False
    wrong = [
        (int(lines[at]), "wrong_field_count", f"{n} fields where {len(names)} are due ({', '.join(names)})")
        for at, text, n in invalid
        if not (text.rstrip("\r").endswith(":") and "," not in text)
    ]
    return lines[is_row], table, wrong


def _single(data: bytes, name: str) -> tuple[np.ndarray, pa.Table, list[tuple[int, str, str]]]:
    """Lines of one field: Arrow's parser would take a section's line for a row."""
    texts = data.decode().replace("\r\n", "\n").split("\n")
    kept = [(at, text) for at, text in enumerate(texts) if text and not (text.endswith(":") and "," not in text)]
    wrong = [(at, "wrong_field_count", "2 fields or more where 1 is due (user_id)") for at, text in kept if "," in text]
    good = [(at, text) for at, text in kept if "," not in text]
    return (
        np.array([at for at, _ in good], np.int64),
        pa.table({name: pa.array([t for _, t in good], pa.string())}),
        wrong,
    )


def _line_numbers(data: bytes) -> np.ndarray:
    """Positions of the lines that are not blank."""
    letters = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(letters == ord("\n"))
    stops = newlines if len(letters) == 0 or letters[-1] == ord("\n") else np.concatenate((newlines, [len(letters)]))
    begins = np.concatenate(([0], stops[:-1] + 1)) if len(stops) else stops
    lengths = stops - begins
    is_blank = (lengths == 0) | ((lengths == 1) & (letters[np.minimum(begins, max(len(letters) - 1, 0))] == ord("\r")))
    return np.flatnonzero(~is_blank)
