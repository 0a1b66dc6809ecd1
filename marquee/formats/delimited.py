"""Text with separators: CSV, TSV and their like, read in chunks at the speed of Arrow's parser.

A chunk whose quotes are where RFC 4180 has them is parsed at once. One with stray quotes is taken line by line: a
quoted field may run over line ends for at most `LOOK_AHEAD` bytes, and never a field that is an id, rating or time;
a quote that does not close within that is an unreadable line by itself, and the next line is a line again. So a stray
quote breaks its own line only, wherever the file is cut.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from marquee.formats.blocks import BadLine, Block
from marquee.formats.lines import chunks, n_newlines, picked
from marquee.formats.shape import Shape, shape_of
from marquee.sources.reading import Reading

#: Bytes within which a quoted field has to close.
LOOK_AHEAD = 1 << 20
#: Stands for a separator of several characters; text that holds it is taken line by line.
UNIT = "\x1f"
#: Columns in which no line can end.
ONE_LINE = frozenset({"user_id", "item_id", "rating", "rated_at"})

UNREADABLE = "a quote is not closed, or has text behind it, or a carriage return stands inside the line"

csv.field_size_limit(1 << 30)


@dataclass
class Rows:
    """Rows of a chunk: values by column, and the positions of their first and last lines (the chunk's first is 0)."""

    columns: dict[str, pa.Array]
    at: NDArray[np.int64]
    last: NDArray[np.int64]
    bad: list[tuple[int, int, str, str]] = field(default_factory=list)  # first and last line, reason, sentence


def read(
    reading: Reading, stream: BinaryIO, first_line: int = 1, header: Sequence[str] | None = None
) -> Iterator[Block]:
    """Blocks of a file, or of a piece of one.

    Args:
        first_line: number of the stream's first line.
        header: the file's first line, taken apart, where the stream starts behind it.

    Raises:
        DataError: the header lacks a column of the reading, or a line is longer than 64 MB.
    """
    shape = None
    if not reading.header:
        shape = shape_of(reading, None, n_fields=len(header) if header is not None else 0)
    elif header is not None:
        shape = shape_of(reading, header)
    number, rest = first_line, b""
    rest_received = rest
    for chunk in chunks(stream, reading.encoding, first_line):
        data = rest + chunk.data
        received = data if chunk.received is chunk.data and rest is rest_received else rest_received + chunk.received
        bad = list(chunk.bad)
        if shape is None:
            names, length = first_record(data, reading)
            shape = shape_of(reading, names)
            skipped = data[:length].count(b"\n")
            is_same, data = received is data, data[length:]
            received = data if is_same else _behind(received, skipped)
            number += skipped
        elif shape.n_fields == 0:
            shape = shape_of(reading, None, n_fields=len(first_record(data, reading)[0]))
        rows, used = parse(data, shape, is_last=chunk.is_last)
        n_lines = n_newlines(data[:used])
        yield _block(rows, bad, number, received, chunk.encoding)
        rest = data[used:]
        rest_received = rest if received is data else _behind(received, n_lines) if rest else b""
        number += n_lines


def first_record(data: bytes, reading: Reading) -> tuple[list[str], int]:
    """The fields of the first record, and its length in bytes with its line end."""
    quote = reading.quote.encode()
    end = data.find(b"\n") + 1 or len(data)
    while quote and end < min(len(data), LOOK_AHEAD) and data[:end].count(quote) % 2:
        end = data.find(b"\n", end) + 1 or len(data)
    text = data[:end].decode().rstrip("\r\n")
    fields = split_record(text, reading.separator, reading.quote)
    return fields if fields is not None else text.split(reading.separator), end


def parse(data: bytes, shape: Shape, *, is_last: bool) -> tuple[Rows, int]:
    """The rows of whole lines, and how many bytes of them were used: a record that runs on waits for more."""
    if not data:
        return _no_rows(shape), 0
    separator = shape.separator
    has_quotes = bool(shape.quote) and shape.quote.encode() in data
    # Within quotes a separator is no separator: such a chunk is taken line by line.
    if len(separator) > 1 and not has_quotes and UNIT.encode() not in data:
        data = data.replace(separator.encode(), UNIT.encode())
        rows, used = parse(data, replace(shape, separator=UNIT), is_last=is_last)
        spread = len(separator.encode()) - 1
        return rows, used + spread * data[:used].count(UNIT.encode())
    # Arrow's parser takes a carriage return for a line end wherever it stands.
    is_plain = b"\r" not in data or data.count(b"\r") == data.count(b"\r\n")
    if is_plain and len(separator.encode()) == 1 and not shape.last_takes_rest:
        ends = record_ends(data, shape) if has_quotes else None
        if ends is not None or not has_quotes:
            fast = _at_once(data, shape, ends, is_last=is_last)
            if fast is not None:
                return fast
    return _line_by_line(data, shape, is_last=is_last)


def record_ends(data: bytes, shape: Shape) -> NDArray[np.int64] | None:
    """Positions of the newlines that end records; None where a quote is not where RFC 4180 has it."""
    letters = np.frombuffer(data, np.uint8)
    quote, separator = ord(shape.quote), ord(shape.separator)
    quotes = np.flatnonzero(letters == quote)
    before = letters[np.maximum(quotes - 1, 0)]
    after = letters[np.minimum(quotes + 1, len(letters) - 1)]
    opens = np.arange(len(quotes)) % 2 == 0
    edges = np.array([separator, ord("\n"), quote], np.uint8)
    may_open = np.isin(before, edges) | (quotes == 0)
    may_close = np.isin(after, [*edges, ord("\r")]) | (quotes == len(letters) - 1)
    if not (may_open[opens].all() and may_close[~opens].all()):
        return None
    newlines = np.flatnonzero(letters == ord("\n"))
    is_outside = np.searchsorted(quotes, newlines) % 2 == 0
    return np.asarray(newlines[is_outside], np.int64)


def _at_once(data: bytes, shape: Shape, ends: NDArray[np.int64] | None, *, is_last: bool) -> tuple[Rows, int] | None:
    """Arrow's parser over all lines; None where its rows are not the lines'."""
    used = len(data)
    if ends is not None:
        tail = int(ends[-1]) + 1 if len(ends) else 0
        if tail < used and (not is_last or data[tail:].count(shape.quote.encode()) % 2):
            if is_last or used - tail > LOOK_AHEAD:
                return None  # a quote that does not close
            used = tail
            if used == 0:
                return _no_rows(shape), 0
    invalid: list[tuple[int, int]] = []

    def mark(row: pacsv.InvalidRow) -> str:
        invalid.append((row.number or 0, row.actual_columns))
        return "skip"

    table = _arrow(pa.py_buffer(data).slice(0, used), shape, mark, invalid, has_newlines=ends is not None)
    if table is None or any(number == 0 for number, _ in invalid):
        return None
    if invalid and ends is not None and int(np.searchsorted(ends, used)) < data.count(b"\n", 0, used):
        return None  # a record that has joined lines may be the fault of a stray quote
    n_lines = n_newlines(data[:used]) + (0 < used == len(data) and not data.endswith(b"\n"))
    if ends is None and table.num_rows + len(invalid) == n_lines:
        starts = lasts = np.arange(n_lines, dtype=np.int64)  # no line is blank
    else:
        starts, lasts = _places(data, used, None if ends is None else ends[ends < used])
    if table.num_rows + len(invalid) != len(starts):
        return None
    columns = {name: table[name].combine_chunks() for name in shape.names}
    for name in ONE_LINE.intersection(columns):
        column = columns[name]
        values = column.dictionary if pa.types.is_dictionary(column.type) else column
        if ends is not None and pa.types.is_string(values.type) and pc.any(pc.match_substring(values, "\n")).as_py():
            return None
    rows = Rows(columns, starts, lasts)
    if invalid:
        wrong = np.array([number - 1 for number, _ in invalid])
        rows.bad = [
            (int(starts[at]), int(starts[at]), "wrong_field_count", shape.miscounted(n))
            for at, (_, n) in zip(wrong, invalid, strict=True)
        ]
        rows.at, rows.last = np.delete(starts, wrong), np.delete(lasts, wrong)
    return rows, used


def _arrow(
    buffer: pa.Buffer, shape: Shape, mark: object, invalid: list[tuple[int, int]], *, has_newlines: bool
) -> pa.Table | None:
    """The wanted columns: as numbers where all of a column are, else as texts."""
    all_names = [str(at) for at in range(shape.n_fields)]
    places = {str(at): name for name, at in shape.positions.items()}
    for types in (shape.types, dict.fromkeys(shape.names, pa.string())):
        invalid.clear()
        try:
            table = pacsv.read_csv(
                pa.BufferReader(buffer),
                read_options=pacsv.ReadOptions(use_threads=False, column_names=all_names, block_size=buffer.size + 1),
                parse_options=pacsv.ParseOptions(
                    delimiter=shape.separator,
                    quote_char=shape.quote or False,
                    newlines_in_values=has_newlines,
                    invalid_row_handler=mark,
                    ignore_empty_lines=True,
                ),
                convert_options=pacsv.ConvertOptions(
                    include_columns=list(places),
                    column_types={str(at): types[name] for name, at in shape.positions.items()},
                    strings_can_be_null=False,
                    null_values=[],
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):  # blank lines alone
                return pa.table({name: pa.array([], pa.string()) for name in shape.names})
            continue
        return table.rename_columns([places[name] for name in table.column_names])
    return None


def _no_rows(shape: Shape) -> Rows:
    none = np.zeros(0, np.int64)
    return Rows({name: pa.array([], pa.string()) for name in shape.names}, none, none)


def _places(data: bytes, used: int, ends: NDArray[np.int64] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions of the lines that each record starts and ends in, blank lines left out."""
    letters = np.frombuffer(data, np.uint8, used)
    newlines = np.flatnonzero(letters == ord("\n"))
    stops = newlines if ends is None else ends
    begins = np.concatenate(([0], stops + 1))
    stops = np.concatenate((stops, [used]))
    lengths = stops - begins
    only = letters[np.clip(begins, 0, used - 1)]
    is_blank = (lengths == 0) | ((lengths == 1) & (only == ord("\r")))
    first, last = (np.searchsorted(newlines, places[~is_blank]) for places in (begins, stops))
    return np.asarray(first, np.int64), np.asarray(last, np.int64)


def _line_by_line(data: bytes, shape: Shape, *, is_last: bool) -> tuple[Rows, int]:
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    fields: list[list[str]] = []
    starts: list[int] = []
    lasts: list[int] = []
    bad: list[tuple[int, int, str, str]] = []
    quote = shape.quote.encode()
    at, used = 0, 0
    while at < len(lines):
        last = at
        line = lines[at].removesuffix(b"\r")
        if line:
            record: list[str] | None = None
            if quote and line.count(quote) % 2:
                record = shape.split(line.decode())  # a quote in the middle of a field is a letter
                found = at if record is not None else _closing_line(lines, at, quote)
                if found is None and not is_last and len(data) - used <= LOOK_AHEAD:
                    break
                if record is None and found is not None:
                    text = b"\n".join(lines[at : found + 1]).removesuffix(b"\r").decode()
                    joined = split_record(text, shape.separator, shape.quote)
                    if joined is not None and len(joined) == shape.n_fields and not shape.has_line_end(joined):
                        record, last = joined, found
            else:
                record = shape.split(line.decode())
            if record is None:
                bad.append((at, at, "unreadable_line", UNREADABLE))
            elif len(record) != shape.n_fields:
                bad.append((at, at, "wrong_field_count", shape.miscounted(len(record))))
            else:
                fields.append(record)
                starts.append(at)
                lasts.append(last)
        used += sum(len(each) + 1 for each in lines[at : last + 1])
        at = last + 1
    columns = {
        name: pa.array([record[place] for record in fields], pa.string()) for name, place in shape.positions.items()
    }
    return Rows(columns, np.array(starts, np.int64), np.array(lasts, np.int64), bad), min(used, len(data))


def _closing_line(lines: list[bytes], at: int, quote: bytes) -> int | None:
    """The line in which the quotes that line `at` opens are closed, within `LOOK_AHEAD` bytes."""
    seen, n_quotes = 0, 0
    for position in range(at, len(lines)):
        seen += len(lines[position]) + 1
        if seen > LOOK_AHEAD:
            return None
        n_quotes += lines[position].count(quote)
        if n_quotes % 2 == 0:
            return position
    return None


def split_record(text: str, separator: str, quote: str) -> list[str] | None:
    """The fields of one record; None where its quotes don't close."""
    if not quote:
        return text.split(separator)
    if len(separator) > 1:
        if quote not in text:
            return text.split(separator)
        # Python's reader knows separators of one letter: one that the text does not hold stands for it, in quotes too.
        letter = next(chr(code) for code in range(ord(UNIT), sys.maxunicode) if chr(code) not in text)
        fields = split_record(text.replace(separator, letter), letter, quote)
        return fields and [field.replace(letter, separator) for field in fields]
    if quote not in text:
        return None if "\r" in text else text.split(separator)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=quote, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 else None


def _block(rows: Rows, undecodable: list[BadLine], first: int, received: bytes, encoding: str) -> Block:
    bad = list(undecodable)
    if rows.bad:
        lines = picked(received, [at for at, *_ in rows.bad], encoding)
        bad += [
            BadLine(first + at, reason, sentence, raw)
            for (at, _, reason, sentence), raw in zip(rows.bad, lines, strict=True)
        ]

    def raw(positions: Sequence[int]) -> list[str]:
        at = list(positions)
        return picked(received, rows.at[at].tolist(), encoding, rows.last[at].tolist())

    return Block(rows.columns, rows.at + first, raw, bad)


def _behind(data: bytes, n_lines: int) -> bytes:
    """The data behind its first n lines."""
    at = 0
    for _ in range(n_lines):
        at = data.find(b"\n", at) + 1
    return data[at:]
