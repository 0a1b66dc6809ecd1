"""Netflix, baskets, JSON Lines and Parquet: rows, their lines, and what is no row."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marquee.errors import DataError
from marquee.formats import lines, read
from marquee.formats.blocks import Block
from marquee.sources import FORMATS
from marquee.sources.reading import ItemsReading, RatingsReading, SplitReading

NETFLIX = RatingsReading(layout="netflix", time="%Y-%m-%d", quote="", header=False, minimum=1, maximum=5)


def found(blocks: object, *names: str) -> tuple[list[tuple[object, ...]], list[tuple[int, str, str]]]:
    rows: list[tuple[object, ...]] = []
    bad: list[tuple[int, str, str]] = []
    for block in blocks:  # type: ignore[attr-defined]
        assert isinstance(block, Block)
        columns = [block.columns[name].to_pylist() for name in names]
        rows += zip(block.lines.tolist(), *columns, strict=True)
        bad += [(line.line, line.reason, line.raw) for line in block.bad]
    return sorted(rows), sorted(bad)


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_netflix(size: int, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", size)
    text = ["7,3,2005-01-01", "1:", "30,3,2005-09-06", "822,5,2005-05-13", "", "12:", "30,4", "30,x,2005-01-02"]
    rows, bad = found(read(NETFLIX, io.BytesIO((end.join(text)).encode())), "item_id", "user_id", "rated_at")
    assert rows == [(3, "1", "30", "2005-09-06"), (4, "1", "822", "2005-05-13"), (8, "12", "30", "2005-01-02")]
    assert bad == [(1, "unreadable_line", "7,3,2005-01-01"), (7, "wrong_field_count", "30,4")]


def test_the_probe_set() -> None:
    probe = SplitReading(layout="netflix", split="probe", header=False, quote="")
    rows, bad = found(read(probe, io.BytesIO(b"1:\n30878\n2647871\n10:\n1952305\n1,2\n")), "item_id", "user_id")
    assert rows == [(2, "1", "30878"), (3, "1", "2647871"), (5, "10", "1952305")]
    assert bad == [(6, "wrong_field_count", "1,2")]


def test_netflix_titles() -> None:
    reading = FORMATS["netflix-prize"].items
    assert reading is not None
    data = "1,2003,Dinosaur Planet\n2,NULL,Me, Myself & Irène\n".encode("latin-1")
    assert found(read(reading, io.BytesIO(data)), "item_id", "title")[0] == [
        (1, "1", "Dinosaur Planet"),
        (2, "2", "Me, Myself & Irène"),
    ]


def test_baskets(shared_data: Path) -> None:
    reading = FORMATS["baskets"].ratings
    rows, bad = found(read(reading, io.BytesIO(b"a, b,c\n\na\nx,,y,\n")), "user_id", "item_id")
    assert rows == [
        (1, "1", " b"),
        (1, "1", "a"),
        (1, "1", "c"),
        (3, "3", "a"),
        (4, "4", ""),
        (4, "4", "x"),
        (4, "4", "y"),
    ]
    assert bad == []
    with (shared_data / "groceries" / "groceries.basket.csv").open("rb") as stream:
        rows, bad = found(read(reading, stream), "user_id", "item_id")
    assert (len(rows), len({row[2] for row in rows}), len({row[1] for row in rows}), bad) == (43_367, 169, 9_835, [])


def test_json_lines_keep_the_letters_of_numbers() -> None:
    reading = RatingsReading(
        layout="jsonl", columns={"user_id": "user.id", "item_id": "asin", "rating": "stars", "rated_at": "at"}
    )
    objects = [
        '{"user": {"id": 123456789012345678901234567890}, "asin": "00x", "stars": 1.0, "at": 5}',
        '{"user.id": "dotted", "asin": "é", "stars": null}',
        "[1, 2]",
        '{"broken": ',
        "",
        '{"user": 3, "asin": true, "stars": NaN, "at": {"a": 1}}',
    ]
    rows, bad = found(
        read(reading, io.BytesIO("\n".join(objects).encode())), "user_id", "item_id", "rating", "rated_at"
    )
    assert rows == [
        (1, "123456789012345678901234567890", "00x", "1.0", "5"),
        (2, "dotted", "é", "", ""),
        (6, "", "true", "NaN", '{"a": "1"}'),
    ]
    assert [(line, reason) for line, reason, _ in bad] == [(3, "unreadable_line"), (4, "unreadable_line")]


def test_parquet() -> None:
    moment = datetime(2020, 5, 1, 12, tzinfo=UTC)
    table = pa.table(
        {
            "u": pa.array([1, 2**62, None, None], pa.int64()),
            "i": pa.array(["a", "é", "b", None]).dictionary_encode(),
            "r": pa.array([1.5, 2.0, 3.0, None], pa.float32()),
            "t": pa.array([moment, moment, moment, None], pa.timestamp("ms", tz="UTC")),
            "other": [1, 2, 3, 4],
        }
    )
    sink = io.BytesIO()
    pq.write_table(table.slice(0, 4), sink)
    reading = RatingsReading(
        layout="parquet", columns={"user_id": "u", "item_id": "i", "rating": "r", "rated_at": "t"}, time="iso"
    )
    blocks = list(read(reading, io.BytesIO(sink.getvalue())))
    rows, _ = found(blocks, "user_id", "item_id", "rating")
    assert rows == [(1, "1", "a", 1.5), (2, str(2**62), "é", 2.0), (3, "", "b", 3.0)]  # the row of nulls is blank
    assert json.loads(blocks[0].raw([0])[0]) == {"u": 1, "i": "a", "r": 1.5, "t": "2020-05-01 12:00:00+00:00"}
    assert blocks[0].columns["rated_at"].cast(pa.int64())[0].as_py() == int(moment.timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("data", "words"), [(b"PAR1 no", "can't be read as Parquet"), (b"", "can't be read as Parquet")]
)
def test_parquet_that_is_none(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        list(read(RatingsReading(layout="parquet", columns={"user_id": "u", "item_id": "i"}), io.BytesIO(data)))


def test_parquet_without_a_column() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"u": [1]}), sink)
    with pytest.raises(DataError, match="no column 'i'"):
        list(
            read(
                RatingsReading(layout="parquet", columns={"user_id": "u", "item_id": "i"}), io.BytesIO(sink.getvalue())
            )
        )


def test_items_of_the_built_in_formats(shared_data: Path) -> None:
    for name, file, n in (
        ("movielens-csv", "ml-latest-small/movies.csv", 9_742),
        ("movielens-100k", "ml-100k/u.item", 1_682),
    ):
        reading = FORMATS[name].items
        assert isinstance(reading, ItemsReading)
        with (shared_data / file).open("rb") as stream:
            blocks = list(read(reading, stream))
        assert (sum(len(block.lines) for block in blocks), sum(len(block.bad) for block in blocks)) == (n, 0)
