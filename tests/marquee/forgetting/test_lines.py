"""Lines emptied in place: every other byte stays, and every other line keeps its number."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.forgetting import lines
from marquee.forgetting.lines import END, changed, stretches_of


def emptied(data: bytes, *stretches: tuple[int, int], encoding: str = "utf-8", quote: str = "") -> bytes:
    return b"".join(changed(io.BytesIO(data), encoding, stretches, quote=quote))


@pytest.mark.parametrize(
    ("data", "stretches", "expected"),
    [
        (b"a\nb\nc\n", [(2, 3)], b"a\n\nc\n"),
        (b"a\nb\nc", [(3, 4)], b"a\nb\n"),
        (b"a\r\nb\r\nc\r\n", [(1, 3)], b"\r\n\r\nc\r\n"),
        (b"a\rb\rc\r", [(2, 3)], b"a\r\rc\r"),
        (b"a\nb\nc\n", [(1, 2), (3, END)], b"\nb\n\n"),
        (b"a\nb\n", [], b"a\nb\n"),
        (b"a\nb\n", [(7, 9)], b"a\nb\n"),
        (b"", [(1, 2)], b""),
        (b"\xef\xbb\xbfa\nb\n", [(1, 2)], b"\xef\xbb\xbf\nb\n"),
        (b"a\xff\nb\xff\nc\n", [(2, 3)], b"a\xff\n\nc\n"),
    ],
)
def test_lines_are_emptied(data: bytes, stretches: list[tuple[int, int]], expected: bytes) -> None:
    assert emptied(data, *stretches) == expected


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8", "utf-8-sig"])
def test_in_any_encoding(encoding: str) -> None:
    # U+0A0A and U+010A hold the byte of a newline
    kept = ["a,\u00e9", "", "c,\u00ff"] if encoding == "latin-1" else ["a,\u0a0a\u00e9", "", "c,\u010a"]
    whole = "\n".join([kept[0], "b,2", kept[2], ""]).encode(encoding)
    assert emptied(whole, (2, 3), encoding=encoding) == "\n".join([*kept, ""]).encode(encoding)


@pytest.mark.parametrize(
    ("data", "stretches", "expected"),
    [
        # the record's own quotes tell where it ends, whatever follows
        ('u,"a\nb\nc",1\nv,d,2\n', [(1, END)], "\n\n\nv,d,2\n"),
        ('u,"a ""x""\nb",1\n\nv,d,2\n', [(1, 4)], "\n\n\nv,d,2\n"),
        ("u,a,1\nv,d,2\n", [(1, END)], "\nv,d,2\n"),
        # a quote that never closes breaks its own line only: the next record ends the stretch
        ('u,"a,1\nv,d,2\n', [(1, 2)], "\nv,d,2\n"),
        ('u,"a\nb",1\nu,"c\nd",1\nv,d,2\n', [(1, 3), (3, 5)], "\n\n\n\nv,d,2\n"),
    ],
)
def test_a_record_goes_with_all_its_lines(data: str, stretches: list[tuple[int, int]], expected: str) -> None:
    assert emptied(data.encode(), *stretches, quote='"') == expected.encode()


def test_lines_are_changed() -> None:
    done = changed(io.BytesIO(b"ab\r\ncd\r\nef"), "utf-8", [(2, 4)], change=lambda text: text[:1])
    assert b"".join(done) == b"ab\r\nc\r\ne"


def test_a_line_that_stays_keeps_bytes_that_are_no_text() -> None:
    done = changed(io.BytesIO(b"a\xff\nb"), "utf-8", [(1, 3)], change=lambda text: text)
    assert b"".join(done) == b"a\xff\nb"


@given(
    texts=st.lists(st.binary(max_size=5).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), max_size=30),
    gone=st.sets(st.integers(1, 30)),
    chunk=st.integers(1, 9),
    ending=st.sampled_from([b"", b"\n"]),
)
def test_as_line_by_line(texts: list[bytes], gone: set[int], chunk: int, ending: bytes) -> None:
    data = b"\n".join(texts) + ending
    expected = b"\n".join(b"" if at in gone else text for at, text in enumerate(texts, start=1)) + ending
    at_once = lines.CHUNK_BYTES
    try:
        lines.CHUNK_BYTES = chunk
        assert emptied(data, *stretches_of(sorted(gone))) == expected
    finally:
        lines.CHUNK_BYTES = at_once


def test_neighbours_are_one_stretch() -> None:
    assert stretches_of([3, 4, 5, 9, 9, 11, 12]) == [(3, 6), (9, 10), (11, 13)]
    assert stretches_of([]) == []
