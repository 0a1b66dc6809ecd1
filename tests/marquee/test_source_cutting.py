"""Cuts of text files against slow twins: always at the start of a record, and no later than has to be."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marquee.formats import delimited
from marquee.sources import FORMATS
from marquee.sources.cutting import QUOTE_WINDOW, Cutter, can_be_cut
from marquee.sources.reading import RatingsReading, Reading

COLUMNS = {"user_id": "u", "item_id": "i"}
QUOTED = RatingsReading(columns=COLUMNS)
PLAIN = RatingsReading(columns=COLUMNS, quote="")
WINDOW = 64

Index = tuple[tuple[int, int], ...]

pieces = st.sampled_from([b"a", b"7", b",", b'"', b'""', b'"b"', b'"c,d"', b" ", b"\xc3\xa9", b"\r"])
lines = st.lists(pieces, max_size=8).map(b"".join)
files = st.lists(lines, max_size=80).map(b"\n".join)


def cut(data: bytes, reading: Reading, distance: int, window: int = WINDOW, chunk: int = 50) -> Index:
    cutter = Cutter(reading, distance, window)
    for start in range(0, len(data), chunk):
        cutter.feed(data[start : start + chunk])
    return cutter.index


def line_starts(data: bytes) -> list[int]:
    return [0, *(at + 1 for at, byte in enumerate(data) if byte == 10 and at + 1 < len(data))]


def record_starts(data: bytes, window: int, joins: Iterator[bool]) -> set[int]:
    """Starts of records for a reader that joins a line of an odd number of quotes with those behind it, up to the one
    that closes it, or takes it by itself: which of the two, `joins` says."""
    starts, found, at = [*line_starts(data), len(data)], set(), 0
    while at < len(starts) - 1:
        found.add(starts[at])
        end = at + 1
        if data[starts[at] : starts[end]].count(b'"') % 2 and next(joins):
            closing = [
                stop
                for stop in range(at + 1, len(starts))
                if starts[stop] - starts[at] <= window and data[starts[at] : starts[stop]].count(b'"') % 2 == 0
            ]
            end = closing[0] if closing else end
        at = end
    return found


def is_regular(line: bytes) -> bool:
    """Whether the quotes of a line come in pairs that enclose fields."""
    return re.fullmatch(rb'(?:(?:[^",\n]*|"(?:[^"]|"")*"(?=[,\r\n]))(?:,|\r?\n|\r))*', line) is not None


def expected(data: bytes, distance: int, window: int) -> list[int]:
    """Each first start of a line that is far enough from the last cut, and from any line whose quotes are irregular."""
    starts = [*line_starts(data), len(data)]
    irregular_ends = [end for start, end in pairwise(starts) if not is_regular(data[start:end])]
    found, due = [], distance
    for start in starts[1:-1]:
        if start >= due and not any(start - window < end <= start for end in irregular_ends):
            found.append(start)
            due = start + distance
    return found


@settings(max_examples=300, deadline=None)
@given(files, st.integers(1, 200), st.integers(1, 120), st.lists(st.booleans(), min_size=80, max_size=80))
def test_a_cut_is_the_start_of_a_record_however_stray_quotes_are_read(
    data: bytes, distance: int, chunk: int, joins: Sequence[bool]
) -> None:
    index = cut(data, QUOTED, distance, chunk=chunk)
    starts = record_starts(data, WINDOW, iter(joins))
    assert {offset for offset, _ in index} <= starts
    assert [line for _, line in index] == [data[:offset].count(b"\n") + 1 for offset, _ in index]
    offsets = [0, *(offset for offset, _ in index)]
    assert all(later - earlier >= distance for earlier, later in pairwise(offsets))


@settings(max_examples=200, deadline=None)
@given(files, st.integers(1, 200), st.integers(1, 120))
def test_without_quotes_every_line_will_do(data: bytes, distance: int, chunk: int) -> None:
    index = cut(data, PLAIN, distance, chunk=chunk)
    found, due = [], distance
    for start in line_starts(data)[1:]:
        if start >= due:
            found.append(start)
            due = start + distance
    assert [offset for offset, _ in index] == found
    assert [line for _, line in index] == [data[:offset].count(b"\n") + 1 for offset in found]


tidy = st.lists(st.sampled_from([b"a", b'"b"', b'"c,d"', b'"e""f"', b"", b'""']), min_size=1, max_size=4).map(b",".join)
mostly_tidy = st.one_of(tidy, tidy, tidy, tidy, tidy, lines)


@settings(max_examples=200, deadline=None)
@given(st.lists(mostly_tidy, max_size=120).map(b"\n".join), st.integers(1, 150), st.integers(60, 200))
def test_quotes_delay_a_cut_no_longer_than_the_window(data: bytes, distance: int, chunk: int) -> None:
    data = data.replace(b"\r", b"") + b"\n"  # a carriage return inside a line is for the slow way: no cut is due there
    assert [offset for offset, _ in cut(data, QUOTED, distance, chunk=chunk)] == expected(data, distance, WINDOW)


section = st.builds(
    lambda number, rows, end: end.join([b"%d:" % number, *rows, b""]),
    st.integers(0, 10**7),
    st.lists(st.sampled_from([b"1,2,2005-09-06", b"", b"7:", b"x:", b"12", b" 3:"]), max_size=12),
    st.sampled_from([b"\n", b"\r\n"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(section, max_size=20).map(b"".join), st.integers(1, 200), st.integers(1, 120))
def test_netflix_files_are_cut_before_sections(data: bytes, distance: int, chunk: int) -> None:
    heads = [match.start() for match in re.finditer(rb"(?m)^[0-9]+:\r?\n", data)]
    found, due = [], distance
    for start in heads:
        if start >= due and start > 0:
            found.append(start)
            due = start + distance
    index = cut(data, FORMATS["netflix-prize"].ratings, distance, chunk=chunk)
    assert [offset for offset, _ in index] == found
    assert [line for _, line in index] == [data[:offset].count(b"\n") + 1 for offset in found]


stray = st.sampled_from([b'x,"', b'",y', b'5" x,"7'])


def without_returns(line: bytes) -> bytes:
    """In a text of carriage returns alone these end lines, so a piece would not be told from such a text."""
    return line.replace(b"\r", b"")


def rows_of(data: bytes, first_line: int, header: list[str] | None) -> list[tuple[object, ...]]:
    """All rows with their lines, and the bad lines with their reasons, as the reader of delimited files gives them."""
    found: list[tuple[object, ...]] = []
    for block in delimited.read(QUOTED, io.BytesIO(data), first_line, header):
        columns = [block.columns[name].cast("string").to_pylist() for name in COLUMNS]
        found += zip(block.lines.tolist(), *columns, strict=True)
        found += [(bad.line, bad.reason) for bad in block.bad]
    return sorted(found, key=str)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(tidy, tidy, tidy, stray, lines.map(without_returns)), max_size=60),
    st.integers(1, 150),
)
def test_pieces_hold_the_rows_of_the_whole(monkeypatch: pytest.MonkeyPatch, rows: list[bytes], distance: int) -> None:
    """However a file is cut, its readers find what one reader of all of it finds."""
    monkeypatch.setattr(delimited, "LOOK_AHEAD", WINDOW)
    data = b"\n".join([b"u,i", *rows])
    index = cut(data, QUOTED, distance)
    starts = [(0, 1), *index]
    stops = [*(offset for offset, _ in index), len(data)]
    in_pieces = [
        row
        for (start, line), stop in zip(starts, stops, strict=True)
        for row in rows_of(data[start:stop], line, ["u", "i"] if start else None)
    ]
    assert sorted(in_pieces, key=str) == rows_of(data, 1, None)


def test_the_window_is_as_far_as_a_reader_looks() -> None:
    assert QUOTE_WINDOW == delimited.LOOK_AHEAD


def test_a_line_longer_than_the_window_is_passed_over() -> None:
    data = b'a,"' + b"x" * 1000 + b'"\n' + b"a,b\n" * 100
    for reading in (QUOTED, PLAIN):
        (first, line), *_ = cut(data, reading, 100)
        assert data[first - 1 :].startswith(b"\na,b")
        assert line == data[:first].count(b"\n") + 1
        assert first <= 1005 + WINDOW + 4


def test_only_text_with_newlines_of_one_byte_is_cut() -> None:
    can = {"utf-8", "utf-8-sig", "latin-1", "cp1252", "shift_jis", "gb18030", "ascii"}
    can_not = {"utf-16", "utf-16-le", "utf-32", "utf-7", "cp037", "iso2022_jp", "no-such-encoding"}
    for encoding in can | can_not:
        reading = RatingsReading(columns=COLUMNS, encoding=encoding)
        assert can_be_cut(reading) == (encoding in can), encoding
    assert not can_be_cut(RatingsReading(columns=COLUMNS, layout="parquet"))
    assert not can_be_cut(RatingsReading(columns=COLUMNS, quote="\u00ab"))
    assert all(can_be_cut(known.ratings) for known in FORMATS.values())


@pytest.mark.parametrize("layout", ["baskets", "jsonl"])
def test_quotes_that_hold_no_line_ends_do_not_matter(layout: str) -> None:
    reading = RatingsReading.model_validate({"columns": COLUMNS, "layout": layout})
    assert [offset for offset, _ in cut(b'{"a\n' * 10, reading, 8)] == [8, 16, 24, 32]
