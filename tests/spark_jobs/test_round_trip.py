"""Rows written in a random dialect come back exactly as they were, the bad ones with their reason; none is lost."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from marquee.formats import header_of, read
from marquee.lake import outcome, tables
from marquee.lake.objects import Lake
from marquee.lake.raw import stage
from marquee.sources import locate, recognise
from marquee.sources.cutting import Cutter, can_be_cut
from marquee.sources.packing import packing_of, unpacked
from marquee.sources.reading import RatingsReading, Source
from spark_jobs import normalize, rules

RECEIVED_AT = datetime(2020, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = {"user_id": "who", "item_id": "What", "rating": "stars", "rated_at": "when"}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: cast(bytes, pa.compress(data, codec="zstd", asbytes=True)),
}


@dataclass(frozen=True)
class Row:
    """A row as texts, and the reason for which it is no good one (empty: it is one, with this rating and time)."""

    user: str
    item: str
    rating: str
    time: str
    reason: str = ""
    value: float = 0.0
    at: datetime = EPOCH


@dataclass(frozen=True)
class Written:
    """A file, how it is read, and its rows with the lines that they start in."""

    data: bytes
    reading: RatingsReading
    rows: list[tuple[int, Row]]


@dataclass(frozen=True)
class Dialect:
    """How a file of separated values is written."""

    separator: str
    quote: str
    is_all_quoted: bool
    encoding: str
    has_mark: bool
    has_header: bool
    newline: str
    has_last_newline: bool
    order: tuple[str, ...]


def ids(encoding: str, dialect: str, forbidden: str) -> st.SearchStrategy[str]:
    """Any text without line ends that is not white space alone; the dialect's own marks are frequent."""
    letters = st.characters(codec=encoding, exclude_characters="\r\n\0", exclude_categories=("Cs",))
    plain = st.sampled_from(
        ["1", "007", "x y", " 7", "null", "a@b.de", "9223372036854775808", "\xe9", "''", "#", "\x1f"]
    )
    text = st.lists(letters | plain | st.sampled_from(dialect or "x"), min_size=1, max_size=6).map("".join)
    return text.filter(lambda made: bool(made.strip()) and not set(made) & set(forbidden))


TIME_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}


def times(unit: str) -> st.SearchStrategy[tuple[str, datetime]]:
    if unit == "iso":
        moments = st.datetimes(datetime(1970, 1, 1), datetime(2019, 12, 31), timezones=st.just(UTC))
        return moments.map(lambda moment: (moment.isoformat(), moment))
    per_second = TIME_UNITS[unit]
    latest = int(RECEIVED_AT.timestamp()) * per_second
    return st.integers(0, latest).map(lambda n: (str(n), EPOCH + timedelta(microseconds=n * 1_000_000 // per_second)))


def row(identifiers: st.SearchStrategy[str], unit: str) -> st.SearchStrategy[Row]:
    numbers = st.floats(-10, 10).map(lambda value: (repr(value), value)) | st.sampled_from([("4", 4.0), ("+.5", 0.5)])
    good = st.builds(
        lambda user, item, rating, time: Row(user, item, rating[0], time[0], "", rating[1], time[1]),
        identifiers, identifiers, numbers, times(unit),
    )  # fmt: skip
    faults: list[Callable[[Row], Row]] = [
        lambda row: Row("", row.item, row.rating, row.time, "missing_user_id"),
        lambda row: Row(row.user, "  ", row.rating, row.time, "missing_item_id"),
        lambda row: Row(row.user, row.item, "", row.time, "missing_rating"),
        lambda row: Row(row.user, row.item, "good", row.time, "rating_not_a_number"),
        lambda row: Row(row.user, row.item, "nan", row.time, "rating_not_finite"),
        lambda row: Row(row.user, row.item, "10.5", row.time, "rating_out_of_range"),
        lambda row: Row(row.user, row.item, row.rating, "", "missing_rated_at"),
        lambda row: Row(row.user, row.item, row.rating, "soon", "bad_time"),
        lambda row: Row("u" * 257, row.item, row.rating, row.time, "user_id_too_long"),
    ]
    bad = st.builds(lambda row, fault: fault(row), good, st.sampled_from(faults))
    return st.integers(0, 9).flatmap(lambda dice: bad if dice == 0 else good)


@st.composite
def separated(draw: st.DrawFn) -> Written:
    """A file of separated values in a random dialect; some rows have a field too few, some lines are blank."""
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "latin-1", "cp1252", "utf-16"]))
    dialect = Dialect(
        separator=draw(st.sampled_from([",", ",", ";", "\t", "|", "^", "::"])),
        quote=draw(st.sampled_from(['"', '"', "'", ""])),
        is_all_quoted=draw(st.booleans()),
        encoding=encoding,
        has_mark=encoding == "utf-8" and draw(st.booleans()),
        has_header=draw(st.booleans()),
        newline=draw(st.sampled_from(["\n", "\r\n"])),
        has_last_newline=draw(st.booleans()),
        order=tuple(draw(st.permutations([*NAMES, *(f"more {n}" for n in range(draw(st.integers(0, 3))))]))),
    )
    unit = draw(st.sampled_from(["s", "s", "ms", "us", "iso"]))
    forbidden = "" if dialect.quote else dialect.separator  # without quotes nothing can hold it
    rows = draw(
        st.lists(row(ids(encoding, dialect.separator + dialect.quote, forbidden), unit), min_size=1, max_size=30)
    )
    more = st.text(st.characters(codec=encoding, exclude_characters="\0"), max_size=6)
    if not dialect.quote:
        more = more.filter(lambda text: not set(text) & set("\r\n" + forbidden))
    return write(dialect, unit, rows, draw(st.randoms(use_true_random=False)), lambda: draw(more))


def write(dialect: Dialect, unit: str, rows: list[Row], random: Any, more: Callable[[], str]) -> Written:
    lines: list[str] = []
    if dialect.has_header:
        lines.append(line_of(dialect, [NAMES.get(name, name) for name in dialect.order]))
    number, kept = len(lines) + 1, []
    for each in rows:
        if random.random() < 0.05:
            lines.append("")
            number += 1
        values = {"user_id": each.user, "item_id": each.item, "rating": each.rating, "rated_at": each.time}
        fields = [values[name] if name in values else more() for name in dialect.order]
        if random.random() < 0.05:
            # No line ends in it: a record over several lines that has a wrong count is lines of their own.
            fields = [field.replace("\n", "").replace("\r", "") for field in fields[:-1]]
            each = Row("", "", "", "", "wrong_field_count")
        text = line_of(dialect, fields)
        lines.append(text)
        kept.append((number, each))
        number += 1 + text.count("\n")
    is_first_whole = kept[0] == (1, kept[0][1]) and kept[0][1].reason != "wrong_field_count"
    text = dialect.newline.join(lines) + (dialect.newline if dialect.has_last_newline else "")
    reading = RatingsReading(
        separator=dialect.separator,
        quote=dialect.quote,
        header=dialect.has_header,
        encoding=dialect.encoding,
        columns={
            ours: theirs if dialect.has_header else str(dialect.order.index(ours) + 1) for ours, theirs in NAMES.items()
        },
        # said, or as many as the first line has
        n_fields=0 if dialect.has_header or (is_first_whole and random.random() < 0.5) else len(dialect.order),
        minimum=-10,
        maximum=10,
        time=unit,
    )
    return Written(("\ufeff" if dialect.has_mark else "").encode() + text.encode(dialect.encoding), reading, kept)


def line_of(dialect: Dialect, fields: list[str]) -> str:
    """A record without its line end, as RFC 4180 has it."""
    quote = dialect.quote
    if not quote:
        return dialect.separator.join(fields)
    special = (*dialect.separator, quote, "\r", "\n")
    return dialect.separator.join(
        f"{quote}{field.replace(quote, quote + quote)}{quote}"
        if dialect.is_all_quoted or any(mark in field for mark in special)
        else field
        for field in fields
    )


@st.composite
def json_lines(draw: st.DrawFn) -> Written:
    rows = draw(st.lists(row(ids("utf-8", "", ""), "us"), min_size=1, max_size=20))
    lines = [
        json.dumps(
            {"stars": each.rating, "who": each.user, "x": [1], "What": each.item, "when": each.time},
            ensure_ascii=draw(st.booleans()),
        )
        for each in rows
    ]
    reading = RatingsReading(layout="jsonl", columns=NAMES, minimum=-10, maximum=10, time="us")
    return Written("\n".join(lines).encode(), reading, list(enumerate(rows, 1)))


@st.composite
def parquet(draw: st.DrawFn) -> Written:
    rows = draw(st.lists(row(ids("utf-8", "", ""), "iso"), min_size=1, max_size=20))
    columns = {
        "when": pa.array([each.time for each in rows]),
        "who": pa.array([each.user for each in rows]).dictionary_encode(),
        "What": pa.array([each.item for each in rows], pa.large_string()),
        "stars": pa.array([each.rating for each in rows]),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=draw(st.integers(1, 20)))
    reading = RatingsReading(layout="parquet", columns=NAMES, minimum=-10, maximum=10, time="iso")
    return Written(out.getvalue(), reading, list(enumerate(rows, 1)))


def in_pieces(data: bytes, reading: RatingsReading) -> Iterator[tuple[bytes, int, list[str] | None]]:
    """The file cut wherever it may be: bytes, number of the first line, header where the piece is not the first."""
    cutter = Cutter(reading, distance=40)
    for start in range(0, len(data), 64):
        cutter.feed(data[start : start + 64])
    starts = [(0, 1), *cutter.index]
    stops = [*(offset for offset, _ in cutter.index), len(data)]
    for (start, line), stop in zip(starts, stops, strict=True):
        yield data[start:stop], line, header_of(reading, io.BytesIO(data)) if start else None


def outcomes(data: bytes, reading: RatingsReading, line: int, header: list[str] | None) -> tuple[dict[int, Any], int]:
    """What becomes of each line, and how many rows were read."""
    found: dict[int, Any] = {}
    n_read = 0
    for block in read(reading, io.BytesIO(data), line, header):
        n_read += block.n_read
        ruled = rules.ratings(block, reading, RECEIVED_AT)
        for bad in ruled.refused:
            assert bad.line not in found and bad.sentence
            found[bad.line] = bad.reason
        for user, item, rating, at, number in zip(
            *(ruled.accepted[name].to_pylist() for name in ("user_id", "item_id", "rating", "rated_at", "line")),
            strict=True,
        ):
            assert number not in found
            found[number] = (user, item, rating, EPOCH + timedelta(microseconds=at))
    return found, n_read


@settings(max_examples=300, deadline=None)
@given(written=separated() | json_lines() | parquet(), ending=st.sampled_from(list(PACKINGS)))
def test_rows_come_back_as_they_were(written: Written, ending: str) -> None:
    expected = {line: each.reason or (each.user, each.item, each.value, each.at) for line, each in written.rows}
    packed = PACKINGS[ending](written.data)
    packing = packing_of(packed[:10]) if ending else ""
    data = unpacked(io.BytesIO(packed), packing, "file").read()
    found, n_read = outcomes(data, written.reading, 1, None)
    assert found == expected
    assert n_read == len(written.rows)


@settings(max_examples=200, deadline=None)
@given(written=separated())
def test_wherever_a_file_is_cut_its_rows_are_the_same(written: Written) -> None:
    if not can_be_cut(written.reading):
        return
    whole, n_whole = outcomes(written.data, written.reading, 1, None)
    found: dict[int, Any] = {}
    n_read = 0
    for data, line, header in in_pieces(written.data, written.reading):
        some, n = outcomes(data, written.reading, line, header)
        assert not set(some) & set(found)
        found |= some
        n_read += n
    assert (found, n_read) == (whole, n_whole)


def settled(written: Written) -> tuple[dict[int, tuple[str, str, float, datetime]], dict[int, str]]:
    """What the job makes of the rows, one after the other: accepted ones, and reasons of the others, by line."""
    accepted: dict[tuple[str, str], tuple[int, Row]] = {}
    refused = {line: row.reason for line, row in written.rows if row.reason}
    for line, row in written.rows:
        if row.reason:
            continue
        there = accepted.get((row.user, row.item))
        if there is None or row.at >= there[1].at:
            accepted[row.user, row.item] = (line, row)
    for line, row in written.rows:
        if row.reason or (line, row) == accepted[row.user, row.item]:
            continue
        _, winner = accepted[row.user, row.item]
        is_same = "duplicate" if winner.value == row.value else "conflicting_duplicate"
        refused[line] = is_same if winner.at == row.at else "superseded"
    return {line: (row.user, row.item, row.value, row.at) for line, row in accepted.values()}, refused


@settings(max_examples=5, deadline=None, phases=[Phase.generate])
@given(written=separated() | json_lines() | parquet(), ending=st.sampled_from(list(PACKINGS)))
def test_through_the_job(
    spark: SparkSession, lake: Lake, tmp_path_factory: pytest.TempPathFactory, written: Written, ending: str
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("round-trip")
    ending = "" if written.reading.layout == "parquet" else ending
    file = folder / f"ratings.csv{ending}"
    file.write_bytes(PACKINGS[ending](written.data))
    source = Source(name="round-trip", ratings=written.reading)
    batch = stage(lake, recognise(locate(str(file), folder / "cache"), source), RECEIVED_AT.isoformat()).batch
    where = outcome.key("round-trip", batch)
    code = normalize.main(["--batch", batch, "--outcome", where, "--max-quarantined", "1"])
    left = outcome.load(lake, where)
    accepted, refused = settled(written)
    assert code == 0 and left is not None
    assert left.result["read"] == len(written.rows) == len(accepted) + len(refused)
    assert {
        row["source_line"]: (row["user_id"], row["item_id"], row["rating"], row["rated_at"])
        for row in prepared(lake, "ratings", batch)
    } == accepted
    assert {row["source_line"]: row["reason"] for row in prepared(lake, "quarantine", batch)} == refused


def prepared(lake: Lake, table: str, batch: str) -> list[dict[str, Any]]:
    parts = list(tables.read_parts(lake, tables.load_prepared(lake, table, batch)))
    return [row for part in parts for row in part.to_pylist()]
