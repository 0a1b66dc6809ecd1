"""Every line of a file becomes a row or a bad line with its reason, in every format."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.errors import DataError
from spark_jobs.formats import READERS, delimited
from spark_jobs.formats.rows import PARSED, Received

RECEIVED = Received("ab" * 32, "ratings.csv", datetime(2020, 1, 1, tzinfo=UTC))
HEADER = b"userId,movieId,rating,timestamp\n"


def read(data: bytes, kind: str = "ratings", data_format: str = "movielens-csv") -> list[dict]:
    batches = READERS[data_format, kind](io.BytesIO(data), RECEIVED)
    return sorted(
        pa.Table.from_batches(batches, PARSED).to_pylist(), key=lambda row: (row["kind"] == "count", row["source_line"])
    )


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        (b"1,2,3.5,100", None, None),
        (b" 1,2,3.5,100", None, None),
        (b"1,2, 3.5 ,100", None, None),
        (b'"1","2","3.5","100"', None, None),
        (b"1,2,3.5", "wrong_field_count", "3 fields where 4 are due"),
        (b"1,2,3.5,100,5", "wrong_field_count", "5 fields where 4 are due"),
        (b'1,"2,3.5,100', "unreadable_line", "not closed"),
        (b"1,\xff2,3.5,100", "undecodable_text", "byte 3 of the line (0xff)"),
        (b",2,3.5,100", "missing_user_id", "user_id is empty"),
        (b"1,  ,3.5,100", "missing_item_id", "item_id is empty"),
        (b"1,2,,100", "missing_rating", "rating is empty"),
        (b"1,2,good,100", "rating_not_a_number", "rating 'good' is not a number"),
        (b"1,2,nan,100", "rating_not_finite", "rating 'nan' is not finite"),
        (b"1,2,-inf,100", "rating_not_finite", "rating '-inf' is not finite"),
        (b"1,2,1e999,100", "rating_not_finite", "rating '1e999' is not finite"),
        (b"1,2,0,100", "rating_out_of_range", "rating '0' is outside 0.5 to 5"),
        (b"1,2,5.5,100", "rating_out_of_range", "rating '5.5' is outside 0.5 to 5"),
        (b"1,2,3.5,", "missing_rated_at", "rated_at is empty"),
        (b"1,2,3.5,yesterday", "bad_time", "rated_at 'yesterday'"),
        (b"1,2,3.5,-1", "bad_time", "rated_at '-1'"),
        (b"1,2,3.5,1577836801", "future_time", "later than the file was received (2020-01-01 00:00:00 UTC)"),
        (b"u" * 257 + b",2,3.5,100", "user_id_too_long", "257 characters"),
    ],
)
def test_each_rule(line: bytes, reason: str | None, words: str | None) -> None:
    good = b"7,8,4.0,50\n"
    rows = read(HEADER + good + line + b"\n" + good)
    row = next(row for row in rows if row["source_line"] == 3)
    assert row["reason"] == reason
    assert words is None or words in row["sentence"]
    assert row["raw"] == line.decode("utf-8", errors="backslashreplace")
    assert [other["reason"] for other in rows if other["kind"] == "ratings" and other["source_line"] != 3] == [
        None,
        None,
    ]
    assert (rows[-1]["kind"], rows[-1]["source_line"]) == ("count", 3)


def test_typed_values_and_ids_as_they_came() -> None:
    row = read(HEADER + b"007, x ,4.5,964982703\n")[0]
    assert (row["user_id"], row["item_id"], row["rating"]) == ("007", " x ", 4.5)
    assert row["rated_at"] == datetime(2000, 7, 30, 18, 45, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbf" + HEADER, HEADER.replace(b"\n", b"\r\n"), HEADER.lower(), b"timestamp,rating,movieId,userId\n"],
)
def test_header_variants(data: bytes) -> None:
    ends, columns = (b"\r\n" if b"\r\n" in data else b"\n"), data.strip().split(b",")
    line = b"100,5.0,2,1" if columns[0] == b"timestamp" else b"1,2,5.0,100"
    row = read(data + line + ends)[0]
    assert (row["user_id"], row["item_id"], row["rating"], row["source_line"], row["reason"]) == (
        "1",
        "2",
        5.0,
        2,
        None,
    )


def test_blank_lines_are_no_rows_but_count_as_lines() -> None:
    rows = read(HEADER + b"1,2,3,4\n\n\r\n5,6,1,8\n\n")
    assert [(row["kind"], row["source_line"]) for row in rows] == [("ratings", 2), ("ratings", 5), ("count", 2)]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"userId,movieId,rating\n", "no column 'timestamp'"),
        (b"userId,movieId,rating,timestamp,comment\n", "unknown column 'comment'"),
        (b"userId,userId,movieId,rating,timestamp\n", "twice the column 'userid'"),
        (b"1,2,3.5,100\n", "no column 'userid'"),
    ],
)
def test_wrong_header_is_refused_in_a_sentence(header: bytes, words: str) -> None:
    with pytest.raises(DataError, match=r"ratings.csv, line 1: .*rename or remove columns") as refused:
        read(header + b"1,2,3.5,100\n")
    assert words in str(refused.value)


def test_stray_quotes_break_only_their_own_lines() -> None:
    rows = read(HEADER + b'1,2,3,4\n1,"3,3,4\n1,4,3,4\n1,5",3,4\n1,6,3,4\n')
    assert [row["reason"] for row in rows[:5]] == [None, "unreadable_line", None, None, None]


def test_items_of_movielens_csv() -> None:
    rows = read(
        b'movieId,title,genres\n1,"Shop, The (1940)",Comedy|Romance\n2,Alien,(no genres listed)\n,Nameless,Drama\n',
        "items",
    )
    assert [(row["item_id"], row["title"], row["genres"], row["reason"]) for row in rows[:3]] == [
        ("1", "Shop, The (1940)", ["Comedy", "Romance"], None),
        ("2", "Alien", [], None),
        ("", "Nameless", ["Drama"], "missing_item_id"),
    ]


def test_movielens_100k() -> None:
    flags = b"|".join(b"1" if at in (1, 18) else b"0" for at in range(19))
    item = read(
        "7|Les Misérables (1995)|01-Jan-1995||http://x|".encode("latin-1") + flags + b"\n", "items", "movielens-100k"
    )[0]
    assert (item["title"], item["genres"], item["reason"]) == ("Les Misérables (1995)", ["Action", "Western"], None)
    rating = read(b"196\t242\t3\t881250949\n", data_format="movielens-100k")[0]
    assert (rating["user_id"], rating["item_id"], rating["rating"], rating["source_line"]) == ("196", "242", 3.0, 1)


def test_a_line_of_more_than_64_mb_is_refused() -> None:
    with pytest.raises(DataError, match="longer than 64 MB"):
        list(delimited.whole_lines(io.BytesIO(b"x" * (80 << 20))))


fields = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
lines = st.lists(st.lists(fields, min_size=1, max_size=6), min_size=1, max_size=30)


@settings(max_examples=150, deadline=None)
@given(lines=lines, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), size=st.integers(1, 200))
def test_every_line_comes_out_once_whatever_is_in_it(lines: list[list[str]], quoting: int, size: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(lines)
    written = text.getvalue().split("\n")[:-1]

    class Slow(io.BytesIO):
        def read(self, _: int | None = -1) -> bytes:
            return super().read(size)

    blocks: Iterator[delimited.Block] = delimited.read(
        Slow(text.getvalue().encode()), delimited.Dialect(","), ["a", "b", "c"]
    )
    seen: dict[int, str] = {}
    for block in blocks:
        values = zip(*(block.columns[name].to_pylist() for name in "abc"), strict=True)
        for line, raw, row in zip(block.lines.tolist(), block.raw, values, strict=True):
            assert list(row) == lines[line - 1]
            seen[line] = raw
        for bad in block.bad:
            assert len(lines[bad.line - 1]) != 3
            seen[bad.line] = bad.raw
    assert seen == {
        number: line for number, line in enumerate(written, 1) if line.removeprefix("\ufeff" if number == 1 else "")
    }


def test_the_real_files_are_read_whole(shared_data: Path) -> None:
    for file, data_format, kind, n in (
        ("ml-latest-small/ratings.csv", "movielens-csv", "ratings", 100_836),
        ("ml-latest-small/movies.csv", "movielens-csv", "items", 9_742),
        ("ml-100k/u.data", "movielens-100k", "ratings", 100_000),
        ("ml-100k/u.item", "movielens-100k", "items", 1_682),
    ):
        with (shared_data / file).open("rb") as stream:
            table = pa.Table.from_batches(
                READERS[data_format, kind](stream, Received("ab" * 32, file, datetime(2026, 1, 1, tzinfo=UTC)))
            )
        assert table["reason"].null_count == table.num_rows == n + 1
