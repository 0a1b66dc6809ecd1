"""Every line of a delimited file becomes a row or a bad line, wherever it is cut, and however it is parsed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.errors import DataError
from marquee.formats import delimited, header_of, lines, read
from marquee.formats.blocks import Block
from marquee.sources.reading import ItemsReading, RatingsReading, Reading

COLUMNS = {"user_id": "u", "item_id": "i", "rating": "r", "rated_at": "t"}
RATINGS = RatingsReading(columns=COLUMNS)
HEADER = b"u,i,r,t\n"
Found = list[tuple[object, ...]]


def texts(column: pa.Array) -> list[str]:
    """Values as texts; numbers in one spelling, for a block may have them as numbers or as texts."""
    found = column.cast(pa.string()).to_pylist()
    return [str(float(text)) if text.isascii() and text.replace(".", "", 1).isdigit() else text for text in found]


def rows(blocks: Sequence[Block] | object) -> Found:
    found: Found = []
    for block in blocks:  # type: ignore[attr-defined]
        raw = block.raw(range(len(block.lines)))
        columns = [texts(column) for column in block.columns.values()]
        found += zip(block.lines.tolist(), raw, *columns, strict=True)
        found += [(bad.line, bad.raw, bad.reason) for bad in block.bad]
    return sorted(found, key=lambda row: row[0])  # type: ignore[arg-type, return-value]


def of(data: bytes, reading: Reading = RATINGS, first_line: int = 1, header: list[str] | None = None) -> Found:
    return rows(list(read(reading, io.BytesIO(data), first_line, header)))


pieces = st.sampled_from(
    ["1", "22", "007", ",", '"', "\n", "\r\n", "\r", "x", "3.5", '""', "é", "\0", "1,2,3,4\n", '"a\nb",', ",1,3,4\n"]
)


@settings(max_examples=400, deadline=None)
@given(parts=st.lists(pieces, max_size=30), size=st.integers(1, 20))
def test_fast_and_slow_and_in_small_chunks_are_the_same(parts: list[str], size: int) -> None:
    data = HEADER + "".join(parts).encode()
    at_once = of(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_at_once", lambda *_, **__: None)
        assert of(data) == at_once
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK_BYTES", size)
        assert of(data) == at_once


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(pieces.filter(lambda piece: '"' not in piece), max_size=30), at=st.integers(0, 40))
def test_a_file_cut_at_a_line_is_the_same_file(parts: list[str], at: int) -> None:
    body = "".join(parts).encode().replace(b"\r\n", b"\n").replace(b"\r", b"")
    starts = [0, *(place + 1 for place, byte in enumerate(body) if byte == ord("\n"))]
    cut = starts[at % len(starts)]
    header = header_of(RATINGS, io.BytesIO(HEADER + body))
    second = of(body[cut:], first_line=2 + body[:cut].count(b"\n"), header=header)
    assert of(HEADER + body[:cut]) + second == of(HEADER + body)


fields = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    written=st.lists(st.lists(fields, min_size=1, max_size=6), min_size=1, max_size=30),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    size=st.integers(1, 200),
)
def test_every_line_comes_out_once_whatever_is_in_it(written: list[list[str]], quoting: int, size: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows(written)  # type: ignore[arg-type]
    raw = text.getvalue().split("\n")[:-1]
    reading = ItemsReading(header=False, n_fields=3, columns={"a": "1", "b": "2", "c": "3"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK_BYTES", size)
        seen: dict[int, str] = {}
        for block in read(reading, io.BytesIO(text.getvalue().encode())):
            values = zip(*(block.columns[name].to_pylist() for name in "abc"), strict=True)
            shown = block.raw(range(len(block.lines)))
            for line, received, row in zip(block.lines.tolist(), shown, values, strict=True):
                first = written[line - 1]
                assert list(row) == [first[0].removeprefix("\ufeff") if line == 1 else first[0], *first[1:]]
                seen[line] = received
            for bad in block.bad:
                assert len(written[bad.line - 1]) != 3
                seen[bad.line] = bad.raw
    first_line = {1: raw[0].removeprefix("\ufeff")}
    assert seen == {number: line for number, line in enumerate(raw, 1) if {number: line, **first_line}[number]}


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + HEADER + b"1,2,5.0,100\n",
        HEADER.replace(b"\n", b"\r\n") + b"1,2,5.0,100\r\n",
        HEADER.replace(b"\n", b"\r") + b"1,2,5.0,100\r",
        b" U , i,R,T\n1,2,5.0,100",
        b"t,r,i,u\n100,5.0,2,1\n",
        b'"u","i","r","t"\n"1","2","5.0","100"\n',
        b"u,i,r,t,x\n1,2,5.0,100,other\n",
        (HEADER + b"1,2,5.0,100\n").decode().encode("utf-8"),
    ],
)
def test_header_variants(data: bytes) -> None:
    assert [(row[0], *row[2:]) for row in of(data)] == [(2, "1.0", "2.0", "5.0", "100.0")]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"u,i,r\n", "no column 't'"),
        (b"u,u,i,r,t\n", "twice the column 'u'"),
        (b"1,2,3.5,100\n", "no column 'u', 'i', 'r', 't'"),
    ],
)
def test_a_wrong_header_is_refused_in_a_sentence(header: bytes, words: str) -> None:
    with pytest.raises(DataError, match=r"line 1: .*rename the columns") as refused:
        of(header + b"1,2,3.5,100\n")
    assert words in str(refused.value)


def test_other_columns_may_be_refused() -> None:
    with pytest.raises(DataError, match="unknown column 'comment'"):
        of(b"u,i,r,t,comment\n", RATINGS.model_copy(update={"other_columns": "refuse"}))


def test_blank_lines_are_no_rows_but_count_as_lines() -> None:
    assert [row[0] for row in of(HEADER + b"1,2,3,4\n\n\r\n5,6,1,8\n\n")] == [2, 5]


def test_stray_quotes_break_only_their_own_lines() -> None:
    found = of(HEADER + b'1,2,3,4\n1,"3,3,4\n1,4,3,4\n1,5",3,4\n1,6,3,4\n')
    assert [(row[0], row[-1]) for row in found if row[-1] == "unreadable_line"] == [(3, "unreadable_line")]
    assert [row[0] for row in found] == [2, 3, 4, 5, 6]


def test_a_quoted_field_may_hold_lines() -> None:
    reading = ItemsReading(columns={"item_id": "id", "title": "title"})
    data = b'id,title\n1,"one\ntwo\r\nthree"\n2,"a ""b"""\n3,plain\n4,"x"y\n'
    found = of(data, reading)
    assert [row[1] for row in found] == ['1,"one\ntwo\r\nthree"', '2,"a ""b"""', "3,plain", '4,"x"y']
    assert [row[:1] + row[2:] for row in found] == [
        (2, "1.0", "one\ntwo\r\nthree"),
        (5, "2.0", 'a "b"'),
        (6, "3.0", "plain"),
        (7, "unreadable_line"),
    ]


def test_a_quote_that_closes_too_far_away_is_a_stray_one() -> None:
    far = b"9,9,9,9\n" * (delimited.LOOK_AHEAD // 8 + 1)
    found = of(HEADER + b'1,"2,3,4\n' + far + b'1,2",3,4\n')
    assert [(row[0], row[-1]) for row in found if isinstance(row[-1], str) and row[-1] == "unreadable_line"] == [
        (2, "unreadable_line")
    ]
    assert len(found) == 2 + far.count(b"\n")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "shift-jis", "utf-8-sig"])
def test_encodings(encoding: str) -> None:
    word = "日本" if encoding == "shift-jis" else "é"
    reading = RATINGS.model_copy(update={"encoding": encoding})
    assert of(f"u,i,r,t\n{word},2,3,4\n".encode(encoding), reading) == [(2, f"{word},2,3,4", word, "2.0", "3.0", "4.0")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_replacement_character_that_the_file_holds_is_text(encoding: str) -> None:
    reading = RATINGS.model_copy(update={"encoding": encoding})
    assert of("u,i,r,t\n\ufffd,2,3,4\n".encode(encoding), reading)[0][2] == "\ufffd"


def test_bytes_that_are_no_text_break_only_their_own_lines() -> None:
    found = of(HEADER + b"1,\xff2,3,4\n1,2,3,4\n1,\x002,3,4\n1,2,3,4\n1,caf\xc3")
    assert [(row[0], row[1], row[-1]) for row in found if row[-1] == "undecodable_text"] == [
        (2, "1,\\xff2,3,4", "undecodable_text"),
        (4, "1,\x002,3,4", "undecodable_text"),
        (6, "1,caf\\xc3", "undecodable_text"),
    ]
    assert len(found) == 5


def test_separators_of_several_letters_and_a_last_field_with_separators() -> None:
    dat = RATINGS.model_copy(update={"separator": "::", "header": False, "quote": "", "n_fields": 4, "columns": {
        "user_id": "1", "item_id": "2", "rating": "3", "rated_at": "4"}})  # fmt: skip
    assert of(b"1::a:b::3::4\n1::2::3\n", dat) == [
        (1, "1::a:b::3::4", "1.0", "a:b", "3.0", "4.0"),
        (2, "1::2::3", "wrong_field_count"),
    ]
    assert of(b"1::\x1f::3::4\n", dat)[0][3] == "\x1f"
    titles = ItemsReading(
        header=False, quote="", n_fields=3, last_takes_rest=True, columns={"item_id": "1", "title": "3"}
    )
    assert of(b"1,NULL,Me, Myself & Irene\n2,2000\n", titles) == [
        (1, "1,NULL,Me, Myself & Irene", "1.0", "Me, Myself & Irene"),
        (2, "2,2000", "wrong_field_count"),
    ]


def test_thousands_of_columns_and_long_lines() -> None:
    names = ["u", "i", "r", "t", *(f"c{n}" for n in range(5000))]
    line = ",".join(["1", "2", "3", "4", *["v" * 200] * 5000])
    assert [row[2:] for row in of((",".join(names) + "\n" + line + "\n").encode())] == [("1.0", "2.0", "3.0", "4.0")]


def test_a_line_of_more_than_64_mb_is_refused() -> None:
    with pytest.raises(DataError, match="longer than 64 MB"):
        list(lines.chunks(io.BytesIO(b"x" * (80 << 20)), "utf-8", 1))


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(DataError, match="'klingon' is no encoding"):
        of(HEADER, RATINGS.model_copy(update={"encoding": "klingon"}))


def test_numbers_come_as_numbers_and_ids_as_dictionaries() -> None:
    block = next(iter(read(RATINGS, io.BytesIO(HEADER + b"1,2,3.5,100\n"))))
    assert pa.types.is_floating(block.columns["rating"].type)
    assert pa.types.is_dictionary(block.columns["user_id"].type)
    assert np.array_equal(block.lines, [2])
