"""Recognising what a source holds, from names: folders, archives, single files, and all that fits nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from marquee.errors import SourceError
from marquee.sources import FORMATS, Member, Recognised, data_files, format_named, locate, recognise, sample
from marquee.sources.reading import RatingsReading, Source

CSV = b"userId,movieId,rating,timestamp\n1,10,4.0,100\n"
Files = dict[str, bytes]

# Ending of a packed file -> how its bytes become packed ones, and our name of that.
PACK = {
    ".tar": lambda plain: plain,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda plain: zstandard.ZstdCompressor(write_checksum=True).compress(plain),
}
PACKINGS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


def make_folder(path: Path, files: Files) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def make_zip(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: Files) -> Path:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    path.write_bytes(PACK[path.suffix](packed.getvalue()))
    return path


MAKERS = {
    "data": make_folder,
    "data.zip": make_zip,
    "data.tar": make_tar,
    "data.tar.gz": make_tar,
    "data.tar.bz2": make_tar,
    "data.tar.xz": make_tar,
    "data.tar.zst": make_tar,
}


def made(tmp_path: Path, container: str, files: Files, format_name: str = "auto") -> Recognised:
    tmp_path.mkdir(exist_ok=True)
    path = MAKERS[container](tmp_path / container, files)
    return recognise(locate(str(path), tmp_path / "cache"), format_named(format_name))


# What is in the source -> format, file of ratings, file of items, what is ignored.
LAYOUTS: list[tuple[Files, str, str, str | None, set[str]]] = [
    ({"ratings.csv": CSV}, "movielens-csv", "ratings.csv", None, set()),
    ({"ratings.csv": CSV, "movies.csv": CSV}, "movielens-csv", "ratings.csv", "movies.csv", set()),
    (
        {"ml/ratings.csv": CSV, "ml/movies.csv": CSV, "ml/tags.csv": CSV, "ml/README.txt": b"r", "top.txt": b"t"},
        "movielens-csv",
        "ml/ratings.csv",
        "ml/movies.csv",
        {"ml/tags.csv", "ml/README.txt", "top.txt"},
    ),
    ({"RATINGS.CSV": CSV, "Movies.csv": CSV}, "movielens-csv", "RATINGS.CSV", "Movies.csv", set()),
    ({"u.data": b"1\t2\t3\t4\n"}, "movielens-100k", "u.data", None, set()),
    ({"ml-100k/u.data": b"1", "ml-100k/u.item": b"1", "ml-100k/u1.base": b"1"}, "movielens-100k", "ml-100k/u.data",
     "ml-100k/u.item", {"ml-100k/u1.base"}),
    ({"mine.csv": CSV, "notes.txt": b"n"}, "movielens-csv", "mine.csv", None, {"notes.txt"}),
    ({"mine.csv": CSV, "movies.csv": CSV}, "movielens-csv", "mine.csv", "movies.csv", set()),
    # a file by the right name counts more than one that only ends right, and the outer folder more than the inner
    ({"notes.csv": CSV, "ml/ratings.csv": CSV}, "movielens-csv", "ml/ratings.csv", None, {"notes.csv"}),
    ({"ratings.csv": CSV, "old/ratings.csv": CSV}, "movielens-csv", "ratings.csv", None, {"old/ratings.csv"}),
    ({"ratings.csv": CSV, ".hidden/ratings.csv": CSV, "__MACOSX/._ratings.csv": CSV, ".DS_Store": b"d"},
     "movielens-csv", "ratings.csv", None, set()),
]  # fmt: skip


@pytest.mark.parametrize("container", MAKERS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: "+".join(layout[0]))
def test_layouts(tmp_path: Path, container: str, layout: tuple[Files, str, str, str | None, set[str]]) -> None:
    files, format_name, ratings, items, ignored = layout
    found = made(tmp_path, container, files)
    wanted = {"ratings": ratings} | ({"items": items} if items else {})
    assert found.reading.name == format_name
    assert set(found.ignored) == ignored
    assert not found.is_generated
    if container == "data":
        assert {m.table: (m.file, m.member, m.name) for m in found.members} == {
            table: (Path(name).name, None, Path(name).name) for table, name in wanted.items()
        }
        assert {path.relative_to(tmp_path / "data").as_posix() for path in found.files.values()} == set(wanted.values())
        assert set(found.files) == {Path(name).name for name in wanted.values()}
    else:
        assert found.files == {container: tmp_path / container}
        assert {m.table: (m.file, m.member, m.name) for m in found.members} == {
            table: (container, name, f"{container}!/{name}") for table, name in wanted.items()
        }


@pytest.mark.parametrize("container", MAKERS)
def test_generated_data_is_marked(tmp_path: Path, container: str) -> None:
    parameters = {"users": 5, "seed": 7}
    found = made(tmp_path, container, {"g/ratings.csv": CSV, "g/generated.json": json.dumps(parameters).encode()})
    assert found.is_generated
    assert found.parameters == parameters
    assert found.ignored == ()
    if container == "data":
        assert list(found.files) == ["generated.json", "ratings.csv"]


@pytest.mark.parametrize("container", ["data", "data.zip", "data.tar.gz"])
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b" " * 2_000_000])
def test_generated_json_has_to_be_an_object(tmp_path: Path, container: str, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"generated\.json"):
        made(tmp_path, container, {"ratings.csv": CSV, "generated.json": content})


@pytest.mark.parametrize(
    ("name", "format_name", "expected"),
    [
        ("ratings.csv", "auto", "movielens-csv"),
        ("What I liked.CSV", "auto", "movielens-csv"),
        ("u.data", "auto", "movielens-100k"),
        ("noname", "movielens-100k", "movielens-100k"),
        ("ratings.txt", "movielens-csv", "movielens-csv"),
        ("Shop.BASKET", "auto", "baskets"),
        ("shop.basket.csv", "auto", "baskets"),
        ("shop.txt", "baskets", "baskets"),
        ("ratings.dat", "auto", "movielens-10m"),
        ("combined_data_1.txt", "auto", "netflix-prize"),
        ("mv_0000001.txt", "auto", "netflix-prize"),
    ],
)
def test_single_files(tmp_path: Path, name: str, format_name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(CSV)
    found = recognise(locate(str(tmp_path / name), tmp_path), format_named(format_name))
    assert found.reading.name == expected
    assert found.members == (Member("ratings", name, None, name),)
    assert found.files == {name: tmp_path / name}


@pytest.mark.parametrize("name", ["noname", "movies.csv", "u.item", "ratings.csv.zip.txt", "events.tsv"])
def test_single_files_that_fit_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CSV)
    with pytest.raises(SourceError, match=f"{name} fits no format.*`marquee inspect .*{name}`.*ratings.csv.*u.data"):
        recognise(locate(str(tmp_path / name), tmp_path))


@pytest.mark.parametrize("container", MAKERS)
def test_names_that_fit_nothing_are_listed(tmp_path: Path, container: str) -> None:
    files = {f"photo-{number:02}.jpg": b"x" for number in range(13)}
    with pytest.raises(SourceError, match=r"found photo-00\.jpg, .* and 3 more.*Understood are: movielens-csv"):
        made(tmp_path, container, files)


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(SourceError, match="found no files"):
        made(tmp_path, "data", {})


@pytest.mark.parametrize("container", MAKERS)
@pytest.mark.parametrize(
    "files",
    [
        {"a/ratings.csv": CSV, "b/ratings.csv": CSV},
        {"ratings.csv": CSV, "u.data": CSV},
        {"a/one.csv": CSV, "b/two.csv": CSV},
    ],
    ids="+".join,
)
def test_ratings_more_than_once_are_refused(tmp_path: Path, container: str, files: Files) -> None:
    with pytest.raises(SourceError, match="holds ratings more than once") as caught:
        made(tmp_path, container, files)
    assert all(name in str(caught.value) for name in files)


def test_a_named_format_decides_between_two(tmp_path: Path) -> None:
    found = made(tmp_path, "data", {"ratings.csv": CSV, "u.data": CSV}, "movielens-100k")
    assert (found.reading.name, found.members[0].file, found.ignored) == (
        "movielens-100k", "u.data", ("ratings.csv",)
    )  # fmt: skip


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'netflix' is no format"):
        made(tmp_path, "data", {"ratings.csv": CSV}, "netflix")
    with pytest.raises(SourceError, match=r"no ratings as netflix-prize has them.*found b\.csv, ratings\.csv"):
        made(tmp_path, "data", {"ratings.csv": CSV, "b.csv": CSV}, "netflix-prize")


@pytest.mark.parametrize("container", MAKERS)
@pytest.mark.parametrize("empty", ["ratings.csv", "movies.csv"])
def test_empty_files_are_named(tmp_path: Path, container: str, empty: str) -> None:
    with pytest.raises(SourceError, match=rf"{empty} is empty \(0 bytes\)"):
        made(tmp_path, container, {"ratings.csv": CSV, "movies.csv": CSV, empty: b""})


def test_two_spellings_of_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds both ratings\.csv and Ratings\.csv"):
        made(tmp_path, "data.zip", {"ratings.csv": CSV, "Ratings.csv": CSV})


@pytest.mark.parametrize("container", [name for name in MAKERS if name != "data"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_a_cut_off_archive_is_refused(tmp_path: Path, container: str, share: float) -> None:
    path = MAKERS[container](tmp_path / container, {"ratings.csv": os.urandom(40_000), "z.bin": os.urandom(20_000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(SourceError, match=f"{container} can't be read as"):
        recognise(locate(str(path), tmp_path))


@pytest.mark.parametrize("container", [name for name in MAKERS if name not in ("data", "data.tar")])
def test_a_damaged_archive_is_refused(tmp_path: Path, container: str) -> None:
    path = MAKERS[container](tmp_path / container, {"ratings.csv": os.urandom(40_000)})
    content = bytearray(path.read_bytes())
    content[20_000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{container}(!/ratings\.csv)? can't be read as"):
        recognise(locate(str(path), tmp_path))


def test_what_only_calls_itself_an_archive_is_refused(tmp_path: Path) -> None:
    for name in ("data.zip", "data.tgz", "data.tar"):
        (tmp_path / name).write_bytes(CSV)
        with pytest.raises(SourceError, match=f"{name} can't be read as an archive") as caught:
            recognise(locate(str(tmp_path / name), tmp_path))
        assert "\n" not in str(caught.value)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "data.zip", {"ratings.csv": CSV})
    content = bytearray(path.read_bytes())
    # Bit 0 of the flags: 6 bytes into a local header, 8 into the central one.
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"ratings\.csv is encrypted"):
        recognise(locate(str(path), tmp_path))


def test_an_unknown_packing_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "data.zip", {"ratings.csv": CSV})
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = content.index(mark) + at
        content[start : start + 2] = (9).to_bytes(2, "little")  # deflate64
    path.write_bytes(content)
    with pytest.raises(SourceError, match="packed in a way that is not understood"):
        recognise(locate(str(path), tmp_path))


def test_links_in_a_tar_are_no_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        link = tarfile.TarInfo("ratings.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(SourceError, match="found no files"):
        recognise(locate(str(tmp_path / "data.tar"), tmp_path))


def test_parts_of_a_table_are_taken_in_order(tmp_path: Path) -> None:
    """A folder as Spark writes it, an empty part included."""
    files = {"_SUCCESS": b"", ".part-00000-a.csv.crc": b"x", "part-00010-a.csv": CSV, "part-00002-a.csv": CSV}
    files |= {"part-00001-a.csv": b"", "movies.csv": CSV}
    found = made(tmp_path, "data", {f"out/{name}": content for name, content in files.items()})
    assert [(member.table, member.file) for member in found.members] == [
        ("ratings", "part-00002-a.csv"),
        ("ratings", "part-00010-a.csv"),
        ("items", "movies.csv"),
    ]
    assert set(found.ignored) == {"out/_SUCCESS", "out/part-00001-a.csv"}


def test_parts_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"part-0\.csv is empty"):
        made(tmp_path, "data", {"part-0.csv": b"", "part-1.csv": b""})


@pytest.mark.parametrize("files", [("ratings.csv", "part-0.csv"), ("combined_data_1.txt", "training_set/mv_1.txt")])
def test_two_ways_to_lay_the_same_rows_out_are_refused(tmp_path: Path, files: tuple[str, str]) -> None:
    with pytest.raises(SourceError, match="holds ratings more than once"):
        made(tmp_path, "data", dict.fromkeys(files, CSV))


MINE = Source(
    name="mine", ratings=RatingsReading(files=("a*.csv", "B/*.csv"), columns={"user_id": "u", "item_id": "i"})
)


def test_the_patterns_of_a_source_of_ones_own_add_up(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "data", {"x/A1.csv": CSV, "x/b/1.csv.gz": gzip.compress(CSV), "x/c/2.csv": CSV})
    found = recognise(locate(str(path), tmp_path), MINE)
    assert found.reading is MINE
    assert [(member.file, member.packing) for member in found.members] == [("A1.csv", ""), ("b/1.csv.gz", "gzip")]
    assert found.files == {"A1.csv": path / "x" / "A1.csv", "b/1.csv.gz": path / "x" / "b" / "1.csv.gz"}
    assert found.ignored == ("x/c/2.csv",)


@pytest.mark.parametrize("container", ["data", "data.zip"])
def test_a_source_of_ones_own_takes_the_only_file(tmp_path: Path, container: str) -> None:
    path = MAKERS[container](tmp_path / container, {"x/events.tsv": CSV, "x/README.md": b"r"})
    found = recognise(locate(str(path), tmp_path), MINE)
    assert [Path(member.name).name for member in found.members] == ["events.tsv"]
    MAKERS[container](tmp_path / container, {"x/events.tsv": CSV, "x/more.tsv": CSV})
    with pytest.raises(SourceError, match=r"no ratings as mine has them \(a\*\.csv, B/\*\.csv\): found x/"):
        recognise(locate(str(path), tmp_path), MINE)


def test_what_fits_nothing_leads_to_inspect(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"run `marquee inspect .*/data` to see how it may be read"):
        made(tmp_path, "data", {"one.parquet": b"PAR1", "README": b"r"})
    with pytest.raises(SourceError, match="run `marquee inspect` on the file that holds the ratings"):
        made(tmp_path, "data", {"two.jsonl": b"{}"})


def test_a_csv_with_columns_of_its_own_leads_to_inspect(tmp_path: Path) -> None:
    for name in ("ratings.csv", "mine.csv"):
        (tmp_path / name).write_bytes(b"user,item,stars\n1,2,3\n")
        with pytest.raises(SourceError, match=f"{name} begins with 'user,item,stars'.*run `marquee inspect"):
            recognise(locate(str(tmp_path / name), tmp_path))
    (tmp_path / "ratings.csv").write_bytes(b'\xef\xbb\xbf"MOVIEID",userId, rating ,Timestamp\r\n1,2,3,4')
    assert recognise(locate(str(tmp_path / "ratings.csv"), tmp_path)).reading == FORMATS["movielens-csv"]


LATIN = "1::Am\u00e9lie (2001)::Comedy\n".encode("latin-1")
UTF8 = "1::Am\u00e9lie (2001)::Comedy\n".encode()
WHOLE, HALF = b"1::2::3::978300760\n", b"1::2::3::978300760\n1::3::3.5::978300760\n"
# folder, ratings.dat, movies.dat -> the format, and the encoding of the titles
DAT: list[tuple[str, bytes, bytes | None, str, str]] = [
    ("ml-1m", HALF, UTF8, "movielens-1m", "latin-1"),
    ("ML-10M100K", WHOLE, LATIN, "movielens-10m", "utf-8"),
    ("mine", WHOLE, LATIN, "movielens-1m", "latin-1"),
    ("mine", WHOLE, UTF8, "movielens-10m", "utf-8"),
    ("mine", HALF, UTF8, "movielens-10m", "utf-8"),
    ("mine", HALF, LATIN, "movielens-10m", "latin-1"),
    ("mine", WHOLE, None, "movielens-10m", "utf-8"),
    ("mine", WHOLE, b"1::Heat (1995)::Crime\n", "movielens-10m", "utf-8"),
]


@pytest.mark.parametrize(("folder", "ratings", "movies", "name", "encoding"), DAT)
def test_movielens_1m_is_told_from_10m(
    tmp_path: Path, folder: str, ratings: bytes, movies: bytes | None, name: str, encoding: str
) -> None:
    files = {f"{folder}/ratings.dat": ratings} | ({f"{folder}/movies.dat": movies} if movies else {})
    found = made(tmp_path, "data.zip", files)
    assert found.reading.name == name
    assert found.reading.items is not None
    assert found.reading.items.encoding == encoding
    assert [member.table for member in found.members] == (["ratings", "items"] if movies else ["ratings"])


SECTION = b"1:\n1488844,3,2005-09-06\n"
NETFLIX: list[tuple[Files, list[str]]] = [
    ({"combined_data_1.txt": SECTION, "combined_data_2.txt": SECTION}, ["combined_data_1.txt", "combined_data_2.txt"]),
    ({"mv_0000001.txt": SECTION, "mv_0000002.txt": SECTION}, ["mv_0000001.txt", "mv_0000002.txt"]),
    ({"training_set/mv_0000001.txt": SECTION, "training_set/README": b"r"}, ["training_set/mv_0000001.txt"]),
]
BESIDE = {"movie_titles.csv": b"1,NULL,Dinosaurs, Planet\n", "probe.txt": b"1:\n30878\n", "qualifying.txt": b"1:\n"}


@pytest.mark.parametrize("container", ["data", "data.zip", "data.tar.gz"])
@pytest.mark.parametrize(("files", "ratings"), NETFLIX)
def test_netflix(tmp_path: Path, container: str, files: Files, ratings: list[str]) -> None:
    found = made(tmp_path, container, {f"download/{name}": content for name, content in (files | BESIDE).items()})
    names = [
        (m.table, m.file if m.member is None else m.member.removeprefix("download/"), m.split) for m in found.members
    ]
    assert names == [
        *(("ratings", name, "") for name in ratings),
        ("items", "movie_titles.csv", ""),
        ("splits", "probe.txt", "probe"),
    ]
    assert "download/qualifying.txt" in found.ignored


@pytest.mark.parametrize("container", ["data.tar", "data.tar.gz"])
def test_the_tar_in_netflixs_tar(tmp_path: Path, container: str) -> None:
    inner = make_tar(tmp_path / "training_set.tar", {"training_set/mv_0000001.txt": SECTION, "training_set/x": b""})
    files = {"download/training_set.tar": inner.read_bytes(), "download/movie_titles.txt": b"1,2003,A, B\n"}
    path = make_tar(tmp_path / container, files)
    located = locate(str(path), tmp_path)
    found = recognise(located)
    inside = "download/training_set.tar!/training_set/mv_0000001.txt"
    assert [(m.table, m.member, m.name) for m in found.members] == [
        ("ratings", inside, f"{container}!/{inside}"),
        ("items", "download/movie_titles.txt", f"{container}!/download/movie_titles.txt"),
    ]
    assert sample(located, inside, 100) == SECTION
    make_tar(tmp_path / container, {"download/training_set.tar": inner.read_bytes()[:600]})
    with pytest.raises(SourceError, match=f"{container} can't be read as an archive"):
        recognise(located)


@pytest.mark.parametrize("ending", PACKINGS)
@pytest.mark.parametrize("container", ["", *MAKERS])
def test_packed_files_are_told_by_their_bytes(tmp_path: Path, container: str, ending: str) -> None:
    packed = PACK[ending](CSV)
    for name in (f"ratings.csv{ending}", "ratings.csv"):
        if container:
            found = made(tmp_path / f"in {name}", container, {name: packed})
        else:
            (tmp_path / name).write_bytes(packed)
            found = recognise(locate(str(tmp_path / name), tmp_path))
        assert [(member.table, member.packing) for member in found.members] == [("ratings", PACKINGS[ending])]
        path = None if container in ("", "data") else name
        assert sample(found.located, path, 1000) == CSV


@pytest.mark.parametrize("ending", PACKINGS)
@pytest.mark.parametrize("container", ["", *MAKERS])
@pytest.mark.parametrize("fault", ["cut", "flipped"])
def test_damaged_packed_files_are_refused(tmp_path: Path, container: str, ending: str, fault: str) -> None:
    packed = bytearray(PACK[ending](os.urandom(300_000)))
    if fault == "cut":
        del packed[-20:]
    else:
        packed[150_000] ^= 0xFF
    name = f"u.data{ending}"
    with pytest.raises(SourceError, match=rf"u\.data\{ending} can't be read as {PACKINGS[ending]}.*cut off or damaged"):
        if container:
            made(tmp_path, container, {name: bytes(packed)})
        else:
            (tmp_path / name).write_bytes(packed)
            recognise(locate(str(tmp_path / name), tmp_path))


@pytest.mark.parametrize("ending", PACKINGS)
def test_packed_streams_in_a_row_are_one_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"ratings.csv{ending}"
    path.write_bytes(PACK[ending](CSV) + PACK[ending](b"2,10,3.0,200\n"))
    found = recognise(locate(str(path), tmp_path))
    assert sample(found.located, None, 1000) == CSV + b"2,10,3.0,200\n"


def test_a_file_and_its_packed_twin_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds both ratings\.csv and ratings\.csv\.gz"):
        made(tmp_path, "data", {"ratings.csv": CSV, "ratings.csv.gz": gzip.compress(CSV)})


@pytest.mark.parametrize(
    ("head", "program"),
    [(b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"Rar!\x1a\x07\x01\x00", "RAR"), (b"\x04\x22\x4d\x18", "LZ4")],
)
@pytest.mark.parametrize("container", ["", "data", "data.zip", "data.tar.gz"])
def test_other_packings_are_named(tmp_path: Path, container: str, head: bytes, program: str) -> None:
    with pytest.raises(SourceError, match=rf"u\.data is packed by {program}, which Marquee does not read"):
        if container:
            made(tmp_path, container, {"u.data": head + b"x" * 50})
        else:
            (tmp_path / "u.data").write_bytes(head + b"x" * 50)
            recognise(locate(str(tmp_path / "u.data"), tmp_path))


@pytest.mark.parametrize("container", ["data.zip", "data.tar", "data.tar.gz"])
@pytest.mark.parametrize(
    "name", ["../../evil/ratings.csv", "/etc/ratings.csv", "./ratings.csv", "a\\ratings.csv/u.data"]
)
def test_names_in_archives_are_no_paths(tmp_path: Path, container: str, name: str) -> None:
    """They are shown and compared, and lead nowhere."""
    folder = tmp_path / "a" / "b"  # so deep that the names would lead to tmp_path, which is this test's alone
    folder.mkdir(parents=True)
    found = made(folder, container, {name: CSV})
    assert found.files == {container: folder / container}
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {folder / container}
    assert sample(found.located, found.members[0].member, 1000) == CSV


def test_data_files_leave_out_what_is_for_people(tmp_path: Path) -> None:
    names = [
        "events.tsv",
        "part-1.json.gz",
        "README",
        "LICENSE.txt",
        "notes.md",
        "_SUCCESS",
        "generated.json",
        "plot.png",
    ]
    folder = make_folder(tmp_path / "data", dict.fromkeys(names, b"x") | {"empty.csv": b""})
    located = locate(str(folder), tmp_path)
    assert [entry.path for entry in data_files(located)] == ["events.tsv", "part-1.json.gz"]
    with pytest.raises(SourceError, match="holds 2 files of data: name one of them"):
        sample(located, None, 10)


def test_real_movielens(shared_data: Path, tmp_path: Path) -> None:
    folder = recognise(locate(str(shared_data / "ml-latest-small"), tmp_path))
    assert folder.reading == FORMATS["movielens-csv"]
    assert list(folder.files) == ["movies.csv", "ratings.csv"]
    assert set(folder.ignored) == {"README.txt", "links.csv", "ml-latest-small.zip", "tags.csv"}
    packed = recognise(locate(str(shared_data / "ml-latest-small" / "ml-latest-small.zip"), tmp_path))
    assert [member.name for member in packed.members] == [
        "ml-latest-small.zip!/ml-latest-small/ratings.csv",
        "ml-latest-small.zip!/ml-latest-small/movies.csv",
    ]
    hundred = recognise(locate(str(shared_data / "ml-100k"), tmp_path))
    folds = [f"u{number}.test" for number in range(1, 6)]
    assert (hundred.reading.name, list(hundred.files)) == ("movielens-100k", ["u.data", "u.item", *folds])
    assert [member.split for member in hundred.members] == ["", "", "u1", "u2", "u3", "u4", "u5"]
    baskets = recognise(locate(str(shared_data / "groceries"), tmp_path))
    assert (baskets.reading.name, list(baskets.files)) == ("baskets", ["groceries.basket.csv"])
    with pytest.raises(SourceError, match="more than once"):
        recognise(locate(str(shared_data), tmp_path))
