"""A subject's rows found in files of every layout and taken out of them: the others read as before, line by line."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee.forgetting.archives import rewrite, walk
from marquee.forgetting.edits import Edit, apply
from marquee.forgetting.finding import look
from marquee.forgetting.lines import END
from marquee.forgetting.packing import packed
from marquee.forgetting.subject import Kind, Subject
from marquee.formats import read
from marquee.sources.packing import unpacked
from marquee.sources.reading import ItemsReading, RatingsReading, Reading, SplitReading
from marquee.sources.recognition import Member

ANNA = Subject("user", "anna@example.org")
NAMED = {"user_id": "user", "item_id": "item", "rating": "stars"}
CSV = RatingsReading(columns=NAMED)
TWO = {"user_id": "1", "item_id": "2"}


def found_in(data: bytes, reading: Reading, subject: Subject, scratch: Path, *, packing: str = "") -> list[Edit]:
    table: Any = {"ItemsReading": "items", "SplitReading": "splits"}.get(type(reading).__name__, "ratings")
    member = Member(table, "f", None, "f", packing)
    return look(io.BufferedReader(io.BytesIO(data)), "f", None, [(member, reading)], subject, scratch)  # type: ignore[arg-type]


def without(data: bytes, reading: Reading, subject: Subject, scratch: Path, *, packing: str = "") -> bytes:
    edits = found_in(data, reading, subject, scratch, packing=packing)
    # what is kept of an edit is JSON without the id
    kept = [json.dumps(edit.to_json()) for edit in edits]
    if len(subject.id) > 6:
        assert all(subject.id not in text for text in kept)
    edits = [Edit.from_json(json.loads(text)) for text in kept]
    if not edits:
        return data
    target = io.BytesIO()
    apply(edits, subject, io.BytesIO(data), target)
    again = target.getvalue()
    assert found_in(again, reading, subject, scratch, packing=packing) == []
    return again


def rows(data: bytes, reading: Reading) -> list[tuple[Any, ...]]:
    """Line and values of each row, and of each line that is none its reason."""
    found: list[tuple[Any, ...]] = []
    for block in read(reading, io.BytesIO(data)):
        columns = [
            (column.dictionary_decode() if pa.types.is_dictionary(column.type) else column).to_pylist()
            for column in (block.columns[name] for name in sorted(block.columns))
        ]
        found += zip(block.lines.tolist(), *columns, strict=True)
        found += [(line.line, line.reason) for line in block.bad]
    return sorted(found, key=repr)


TEXTS: list[tuple[str, Reading, Subject, str, str]] = [
    (
        "csv",
        CSV,
        ANNA,
        "user,item,stars\nanna@example.org,1,5\nb,1,4\nanna@example.org,2,3\n",
        "user,item,stars\n\nb,1,4\n\n",
    ),
    ("last line without its end", CSV, ANNA, "item,user\n1,b\n2,anna@example.org", "item,user\n1,b\n"),
    (
        "unreadable lines that hold the id as a word",
        CSV,
        ANNA,
        "user,item,stars\nanna@example.org,1\njoanna@example.org,1\n9 anna@example.org,1\nanna@example.organic\n",
        "user,item,stars\n\njoanna@example.org,1\n\nanna@example.organic\n",
    ),
    (
        "records over several lines",
        RatingsReading(columns={"user_id": "user", "item_id": "item"}),
        ANNA,
        'note,user,item\n"well\n""so""\n",anna@example.org,1\n"a\nb",c,2\n"x\n\ny",anna@example.org,3\nz,c,4\n',
        'note,user,item\n\n\n\n"a\nb",c,2\n\n\n\nz,c,4\n',
    ),
    (
        "quoted ids",
        CSV,
        Subject("user", 'a "b", c'),
        'user,item,stars\n"a ""b"", c",1,5\n"a ""b""",1,5\n',
        'user,item,stars\n\n"a ""b""",1,5\n',
    ),
    (
        "ids are texts, whole and exact",
        CSV,
        Subject("user", "007"),
        "user,item,stars\n007,1,5\n7,1,5\n0070,007,007\n 007,1,5\n",
        "user,item,stars\n\n7,1,5\n0070,007,007\n 007,1,5\n",
    ),
    (
        "separators of several letters",
        RatingsReading(separator="::", quote="", header=False, columns=TWO, n_fields=4),
        Subject("user", "5"),
        "5::1::3::9\n1::5::5::5\n5::2::3::9\n",
        "\n1::5::5::5\n\n",
    ),
    (
        "items of ratings",
        CSV,
        Subject("item", "5"),
        "user,item,stars\n5,1,5\n1,5,5\n",
        "user,item,stars\n5,1,5\n\n",
    ),
    (
        "items of a catalogue",
        ItemsReading(columns={"item_id": "id", "title": "t"}),
        Subject("item", "5"),
        'id,t\n5,"A, B"\n50,5\n',
        "id,t\n\n50,5\n",
    ),
    (
        "a split",
        SplitReading(split="probe", header=False, columns=TWO, n_fields=2),
        ANNA,
        "anna@example.org,1\nb,1\n",
        "\nb,1\n",
    ),
    (
        "a user of the netflix layout",
        RatingsReading(layout="netflix", quote="", header=False),
        Subject("user", "7"),
        "1:\n7,3,2005-01-01\n8,7,2005-01-01\n7:\n7,1,2005-01-02\n77,1,2005-01-03\n",
        "1:\n\n8,7,2005-01-01\n7:\n\n77,1,2005-01-03\n",
    ),
    (
        "an item of the netflix layout, with all that stands under it",
        RatingsReading(layout="netflix", quote="", header=False),
        Subject("item", "7"),
        "1:\n7,3,2005-01-01\n7:\n7,1,2005-01-02\nwhat\n77:\n8,1,2005-01-03\n7:\n9,1,2005-01-01",
        "1:\n7,3,2005-01-01\n\n\n\n77:\n8,1,2005-01-03\n\n",
    ),
    (
        "a basket",
        RatingsReading(layout="baskets", header=False),
        Subject("user", "2"),
        "milk,2\nbeer\n2,3\n",
        "milk,2\n\n2,3\n",
    ),
    (
        "an item of baskets",
        RatingsReading(layout="baskets", header=False),
        Subject("item", "beer"),
        'milk,beer\nbeer\nroot beer,beer,"a, b"\n"beer"\n"x"y,beer\n',
        'milk\n\nroot beer,"a, b"\n\n\n',
    ),
    (
        "json lines",
        RatingsReading(layout="jsonl", columns={"user_id": "u.id", "item_id": "i"}),
        Subject("user", "\u00e9va"),
        '{"u":{"id":"\\u00e9va"},"i":1}\n{"u":{"id":"b"},"i":"\u00e9va"}\n{"u":{"id":"\u00e9va"},"i":2}\n{\u00e9va\n',
        '\n{"u":{"id":"b"},"i":"\u00e9va"}\n\n\n',
    ),
    (
        "a file that is not of its layout",
        CSV,
        ANNA,
        "who,what\nanna@example.org,1\nb,anna@example.org!\nb,2\n",
        "who,what\n\n\nb,2\n",
    ),
]


@pytest.mark.parametrize(("reading", "subject", "before", "after"), [t[1:] for t in TEXTS], ids=[t[0] for t in TEXTS])
@pytest.mark.parametrize("packing", ["", "gzip", "bzip2", "xz", "zstd"])
def test_a_text_without_its_lines(
    reading: Reading, subject: Subject, before: str, after: str, packing: str, tmp_path: Path
) -> None:
    done = without(pack(before.encode(), packing), reading, subject, tmp_path, packing=packing)
    assert unpack(done, packing).decode() == after


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-8-sig"])
def test_a_text_in_its_encoding(encoding: str, tmp_path: Path) -> None:
    reading = CSV.model_copy(update={"encoding": encoding})
    data = "user,item,stars\r\n\u00e9va,1,5\r\nb,\u00e9va,4\r\n".encode(encoding)
    done = without(data, reading, Subject("user", "\u00e9va"), tmp_path)
    assert done.decode(encoding) == "user,item,stars\r\n\r\nb,\u00e9va,4\r\n"


def test_parquet_keeps_its_rows_numbers_and_types(tmp_path: Path) -> None:
    reading = RatingsReading(layout="parquet", columns={"user_id": "u", "item_id": "i", "rating": "r"})
    schema = pa.schema(
        [
            pa.field("u", pa.int64(), nullable=False),
            pa.field("i", pa.dictionary(pa.int32(), pa.string())),
            pa.field("r", pa.float32()),
            pa.field("tags", pa.list_(pa.string())),
        ]
    )
    table = pa.table(
        {"u": [1, 12, 1, 2], "i": ["a", "1", "b", "a"], "r": [1, 2, 3, None], "tags": [["1"], [], None, ["x"]]}
    ).cast(schema)
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=2)
    data = out.getvalue()
    done = without(data, reading, Subject("user", "1"), tmp_path)
    again = pq.read_table(io.BytesIO(done))
    assert again.to_pylist() == [
        {"u": None, "i": None, "r": None, "tags": None},
        {"u": 12, "i": "1", "r": 2, "tags": []},
        {"u": None, "i": None, "r": None, "tags": None},
        {"u": 2, "i": "a", "r": None, "tags": ["x"]},
    ]
    assert again.schema.types == schema.types
    assert pq.ParquetFile(io.BytesIO(done)).num_row_groups == 2
    assert rows(done, reading) == [row for row in rows(data, reading) if row[0] in (2, 4)]


IDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\x1f"), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.text("ab\n\",'", max_size=8)), max_size=12),
    users=st.lists(IDS, min_size=5, max_size=5, unique=True),
    items=st.lists(IDS, min_size=5, max_size=5, unique=True),
    kind=st.sampled_from(["user", "item"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    dialect=st.sampled_from(["excel", "unix", "excel-tab"]),
)
def test_any_csv_loses_these_rows_and_no_others(
    pairs: Sequence[tuple[int, int, str]],
    users: list[str],
    items: list[str],
    kind: Kind,
    line_end: str,
    dialect: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    import csv

    out = io.StringIO()
    writer = csv.writer(out, dialect, lineterminator=line_end)
    writer.writerow(["user", "note", "item"])
    writer.writerows([users[user], note, items[item]] for user, item, note in pairs)
    data = out.getvalue().encode()
    reading = RatingsReading(
        columns={"user_id": "user", "item_id": "item"}, separator="\t" if dialect == "excel-tab" else ","
    )
    subject = Subject(kind, (users if kind == "user" else items)[0])
    done = without(data, reading, subject, tmp_path_factory.getbasetemp())
    place = {"user": 2, "item": 1}[kind]  # behind the line stand item_id and user_id
    expected = [row for row in rows(data, reading) if row[place] != subject.id]
    assert rows(done, reading) == expected
    assert done.count(b"\n") == data.count(b"\n")


def pack(data: bytes, packing: str) -> bytes:
    target = io.BytesIO()
    with packed(target, packing) as out:
        out.write(data)
    return target.getvalue()


def unpack(data: bytes, packing: str) -> bytes:
    return unpacked(io.BytesIO(data), packing, "f").read()


MEMBERS = {
    "ml/ratings.csv": b"user,item,stars\nanna@example.org,1,5\nb,1,4\n",
    "ml/tags.csv": b'user,tag\n"anna@example.org",good\nb,joanna@example.org\n',
    "ml/README.txt": b"anna@example.org has rated, says joanna@example.org\n",
    "ml/logo.png": b"\x89PNG\0\0anna@example.org\n",
    "ml/folds.csv.gz": pack(b"anna@example.org\tb\nb\tc\n", "gzip"),
}
AFTER = MEMBERS | {
    "ml/ratings.csv": b"user,item,stars\n\nb,1,4\n",
    "ml/tags.csv": b"user,tag\n\nb,joanna@example.org\n",
    "ml/folds.csv.gz": pack(b"\nb\tc\n", "gzip"),
}


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = b"kept"
        for at, (name, data) in enumerate(members.items()):
            how = zipfile.ZIP_DEFLATED if at % 2 else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6)), data, compress_type=how)
    return out.getvalue()


def tarred(members: dict[str, bytes], packing: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        folder = tarfile.TarInfo("ml")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size, header.mtime = len(data), 1_000_000
            archive.addfile(header, io.BytesIO(data))
    return pack(out.getvalue(), packing)


def archives() -> dict[str, bytes]:
    inner = {"training_set.tar": tarred(MEMBERS), "other.txt": b"anna@example.org|1\nx\n"}
    return {
        "zip": zipped(MEMBERS),
        "tar": tarred(MEMBERS),
        "tar.gz": tarred(MEMBERS, "gzip"),
        "tar.zst": tarred(MEMBERS, "zstd"),
        "tar in a tar": tarred(inner, "xz"),
    }


@pytest.mark.parametrize("kind", archives())
def test_an_archive_loses_lines_of_its_members(kind: str, tmp_path: Path) -> None:
    data = archives()[kind]
    inside = "training_set.tar!/" if kind == "tar in a tar" else ""
    declared = f"{inside}ml/ratings.csv"
    member = Member("ratings", "a", declared, f"a!/{declared}")
    edits: dict[str, list[Edit]] = {}
    for path, stream in walk(io.BufferedReader(io.BytesIO(data)), "a"):
        readings = [(member, CSV)] if path == declared else []
        for edit in look(stream, "a", path, readings, ANNA, tmp_path):
            edits.setdefault(path, []).append(edit)
    editors = {path: editor(found) for path, found in edits.items()}
    target = io.BytesIO()
    rewrite(io.BufferedReader(io.BytesIO(data)), target, "a", editors, tmp_path)

    again = {path: stream.read() for path, stream in walk(io.BufferedReader(io.BytesIO(target.getvalue())), "a")}
    expected = {inside + name: content for name, content in AFTER.items()}
    if inside:
        expected["other.txt"] = b"\nx\n"
    assert again == expected
    if kind == "zip":
        with zipfile.ZipFile(target) as archive:
            assert archive.comment == b"kept"
            assert {info.date_time for info in archive.infolist()} == {(2001, 2, 3, 4, 5, 6)}
            assert [info.compress_type for info in archive.infolist()] == [0, 8, 0, 8, 0]
    if kind == "tar.gz":
        with tarfile.open(fileobj=io.BytesIO(target.getvalue())) as tar:
            assert [(header.name, header.mtime) for header in tar if header.isreg()] == [
                (name, 1_000_000) for name in MEMBERS
            ]
            assert tar.getmember("ml").isdir()


def editor(edits: list[Edit]) -> Any:
    return lambda source, target: apply(edits, ANNA, source, target)


def test_two_readings_of_one_file_are_both_taken_out(tmp_path: Path) -> None:
    data = b"a\tb\nanna@example.org\tx\ny\tanna@example.org\n"
    first, second = (
        RatingsReading(separator="\t", columns={"user_id": user, "item_id": item}) for user, item in ("ab", "ba")
    )
    member = Member("ratings", "f", None, "f")
    stream = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
    edits = look(stream, "f", None, [(member, first), (member, second)], ANNA, tmp_path)
    assert [edit.stretches for edit in edits] == [((2, 3),), ((3, END),)]
    target = io.BytesIO()
    apply(edits, ANNA, io.BytesIO(data), target)
    assert target.getvalue() == b"a\tb\n\n\n"


def test_a_large_file_that_does_not_spell_the_id_is_not_taken_apart(tmp_path: Path) -> None:
    from marquee.forgetting.finding import needles_of

    assert needles_of(CSV, ANNA) == [b"anna@example.org"]
    assert needles_of(CSV, Subject("user", 'a"b')) == []
    assert needles_of(CSV.model_copy(update={"encoding": "utf-16"}), ANNA) == []
    assert needles_of(RatingsReading(layout="baskets", header=False), Subject("user", "2")) == []


@pytest.mark.parametrize(
    ("text", "is_in", "expected"),
    [
        ("x", True, "-"),
        ("x x, x", True, "- -, -"),
        ("xx x_ 1x", False, "xx x_ 1x"),
        ("'x'", True, "'-'"),
        ("", False, ""),
    ],
)
def test_an_id_in_a_text_is_a_word_of_its_own(text: str, is_in: bool, expected: str) -> None:
    subject = Subject("user", "x")
    assert (subject.is_in(text), subject.is_shown_in(text)) == (is_in, is_in)
    assert subject.without(text, "-") == expected


def test_a_long_id_may_be_shown_by_its_start() -> None:
    subject = Subject("user", "ab" * 60)
    cut = f"line 2: {'ab' * 40}... (120 characters)"
    assert not subject.is_in(cut) and subject.is_shown_in(cut)
    assert subject.without(cut, "-") == "line 2: - (120 characters)"


def test_the_id_shows_in_no_repr() -> None:
    assert "anna" not in repr(ANNA) and "anna" not in str(ANNA)
