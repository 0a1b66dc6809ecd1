"""Each rule of a row has its code and its sentence, whatever the block holds its values as."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.formats import read
from marquee.sources import FORMATS
from marquee.sources.reading import ItemsReading, RatingsReading, SplitReading
from spark_jobs import rules
from spark_jobs.rules import Ruled
from spark_jobs.times import microseconds

RECEIVED_AT = datetime(2020, 1, 1, tzinfo=UTC)
HEADER = b"userId,movieId,rating,timestamp\n"
MOVIELENS = FORMATS["movielens-csv"].ratings


def ruled(data: bytes, reading: RatingsReading = MOVIELENS, known_items: pa.Array | None = None) -> Ruled:
    blocks = [
        rules.ratings(block, reading, RECEIVED_AT, known_items)
        for block in read(reading, io.BytesIO(data))
        if block.n_read
    ]
    return Ruled(
        pa.concat_tables([one.accepted for one in blocks]).unify_dictionaries().combine_chunks(),
        [line for one in blocks for line in one.refused],
    )


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        (b"1,2,3.5,100", None, None),
        (b" 1,2,3.5,100", None, None),
        (b"1,2, 3.5 ,100", None, None),
        (b'"1","2","3.5","100"', None, None),
        (b"1,2,3.5,100.0", None, None),
        (b"1,2,3.5,1e2", None, None),
        (b"1,2,3.5", "wrong_field_count", "3 fields where 4 are due"),
        (b"1,2,3.5,100,5", "wrong_field_count", "5 fields where 4 are due"),
        (b'1,"2,3.5,100', "unreadable_line", "not closed"),
        (b"1,\xff2,3.5,100", "undecodable_text", "byte 3 of the line (0xff)"),
        (b",2,3.5,100", "missing_user_id", "user_id is empty"),
        (b"1,  ,3.5,100", "missing_item_id", "item_id is empty"),
        (b"1,2,,100", "missing_rating", "rating is empty"),
        (b"1,2,good,100", "rating_not_a_number", "rating 'good' is not a number"),
        (b"1,2,nan,100", "rating_not_finite", "is not finite"),
        (b"1,2,-inf,100", "rating_not_finite", "is not finite"),
        (b"1,2,1e999,100", "rating_not_finite", "is not finite"),
        (b"1,2,0x3,100", "rating_not_a_number", "rating '0x3' is not a number"),
        (b"1,2,0,100", "rating_out_of_range", "is outside 0.5 to 5"),
        (b"1,2,5.5,100", "rating_out_of_range", "is outside 0.5 to 5"),
        (b"1,2,3.5,", "missing_rated_at", "rated_at is empty"),
        (b"1,2,3.5,yesterday", "bad_time", "rated_at 'yesterday' is not in seconds since 1970"),
        (b"1,2,3.5,-1", "bad_time", "rated_at"),
        (b"1,2,3.5,1577836801", "future_time", "later than the file was received (2020-01-01 00:00:00 UTC)"),
        (b"u" * 257 + b",2,3.5,100", "user_id_too_long", "257 characters"),
    ],
)
@pytest.mark.parametrize("beside", [b"7,8,4.0,50\n", b"7,8,x,x\n"], ids=["as numbers", "as texts"])
def test_each_rule(line: bytes, reason: str | None, words: str | None, beside: bytes) -> None:
    found = ruled(HEADER + beside + line + b"\n" + beside)
    of_line = [bad for bad in found.refused if bad.line == 3]
    assert [bad.reason for bad in of_line] == ([reason] if reason else [])
    assert (3 in found.accepted["line"].to_pylist()) == (reason is None)
    if of_line and words:
        assert words in of_line[0].sentence
        assert of_line[0].raw == line.decode("utf-8", errors="backslashreplace")
    assert len(found.refused) + found.accepted.num_rows == 3


def test_typed_values_and_ids_as_they_came() -> None:
    row = ruled(HEADER + b"007, x ,4.5,964982703\n").accepted.to_pylist()[0]
    assert row == {"user_id": "007", "item_id": " x ", "rating": 4.5, "rated_at": 964_982_703_000_000, "line": 2}


def test_a_source_without_ratings_and_times() -> None:
    reading = RatingsReading(columns={"user_id": "u", "item_id": "i"})
    assert ruled(b"u,i\na,b\n", reading).accepted.to_pylist() == [
        {"user_id": "a", "item_id": "b", "rating": 1.0, "rated_at": None, "line": 2}
    ]


def test_a_complete_catalogue_refuses_unknown_items() -> None:
    found = ruled(HEADER + b"1,2,3.5,100\n1,3,3.5,100\n", known_items=pa.array(["2"]))
    assert [(bad.line, bad.reason) for bad in found.refused] == [(3, "unknown_item")]
    assert "item_id '3' is not in the catalogue" in found.refused[0].sentence


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        ("s", "100", 100_000_000),
        ("s", "1.5", 1_500_000),
        ("ms", "1500", 1_500_000),
        ("us", "7", 7),
        ("ns", "7000", 7),
        ("s", "99999999999999", 253_402_300_799_000_000),  # behind the end of the calendar: its last second
        ("s", "", None),
        ("iso", "1970-01-02", 86_400_000_000),
        ("iso", "1970-01-01T00:00:01Z", 1_000_000),
        ("iso", "1970-01-01 02:00:01+02:00", 1_000_000),
        ("iso", "1970-01-01T00:00:00.25", 250_000),
        ("iso", "2019-02-29", None),
        ("iso", "1969-12-31", None),
        ("%d/%m/%Y", "02/01/1970", 86_400_000_000),
        ("%d/%m/%Y", "2/1/1970", 86_400_000_000),
        ("%d/%m/%Y", "30/02/2020", None),
        ("%Y-%m-%d %H:%M:%S.%f", "1970-01-01 00:00:01.5", 1_500_000),
        ("%Y-%m-%d", "1970-01-02 x", None),
    ],
)
@pytest.mark.parametrize("beside", [None, "none"])
def test_times(unit: str, text: str, expected: int | None, beside: str | None) -> None:
    values = pa.array([text] if beside is None else [text, beside])
    for column in (values, values.dictionary_encode()):
        found, is_time = microseconds(column, unit)
        assert bool(is_time[0]) == (expected is not None)
        assert int(found[0]) == (expected or 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=20))
def test_iso_times_come_back(moments: list[datetime]) -> None:
    found, is_time = microseconds(pa.array([moment.isoformat() for moment in moments]), "iso")
    assert is_time.all()
    assert found.tolist() == [int(np.datetime64(moment, "us").astype(np.int64)) for moment in moments]


def test_items() -> None:
    reading = FORMATS["movielens-csv"].items
    assert isinstance(reading, ItemsReading)
    data = b'movieId,title,genres\n1,"Shop, The (1940)",Comedy|Romance\n2,Alien,(no genres listed)\n,None,Drama\n3,,X\n'
    (found,) = [rules.items(block, reading) for block in read(reading, io.BytesIO(data)) if block.n_read]
    assert found.accepted.drop_columns(["line"]).to_pylist() == [
        {"item_id": "1", "title": "Shop, The (1940)", "genres": ["Comedy", "Romance"]},
        {"item_id": "2", "title": "Alien", "genres": []},
    ]
    assert [(bad.line, bad.reason) for bad in found.refused] == [(4, "missing_item_id"), (5, "missing_title")]


def test_genres_by_flags() -> None:
    reading = FORMATS["movielens-100k"].items
    assert isinstance(reading, ItemsReading)
    flags = b"|".join(b"1" if at in (0, 1, 18) else b"0" for at in range(19))
    data = "7|Les Misérables (1995)|01-Jan-1995||http://x|".encode("latin-1") + flags + b"\n"
    (found,) = [rules.items(block, reading) for block in read(reading, io.BytesIO(data)) if block.n_read]
    assert found.accepted.drop_columns(["line"]).to_pylist() == [
        {"item_id": "7", "title": "Les Misérables (1995)", "genres": ["Action", "Western"]}
    ]


def test_pairs_of_a_split() -> None:
    reading = SplitReading(layout="netflix", split="probe", header=False, quote="")
    (found,) = [rules.pairs(block) for block in read(reading, io.BytesIO(b"1:\n5\n \n")) if block.n_read]
    assert found.accepted.to_pylist() == [{"user_id": "5", "item_id": "1", "line": 2}]
    assert [(bad.line, bad.reason) for bad in found.refused] == [(3, "missing_user_id")]
