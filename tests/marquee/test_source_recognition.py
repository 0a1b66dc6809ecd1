"""Recognising what a source holds, from names: folders, archives, single files, and all that fits nothing."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from marquee.errors import SourceError
from marquee.sources import Recognised, locate, recognise
from marquee.sources.recognition import Member

CSV = b"userId,movieId,rating,timestamp\n1,10,4.0,100\n"
Files = dict[str, bytes]


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
    mode = "w:gz" if path.name.endswith("gz") else "w"
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


MAKERS = {
    "data": make_folder,
    "data.zip": make_zip,
    "data.tar": make_tar,
    "data.tar.gz": make_tar,
}


def made(tmp_path: Path, container: str, files: Files, format_name: str = "auto") -> Recognised:
    path = MAKERS[container](tmp_path / container, files)
    return recognise(locate(str(path), tmp_path / "cache"), format_name)


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
    assert found.format == format_name
    assert set(found.ignored) == ignored
    assert not found.is_generated
    if container == "data":
        assert {m.table: (m.file, m.member, m.name) for m in found.members} == {
            table: (Path(name).name, None, Path(name).name) for table, name in wanted.items()
        }
        assert {path.relative_to(tmp_path / "data").as_posix() for path in found.files} == set(wanted.values())
    else:
        assert found.files == (tmp_path / container,)
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
        assert [path.name for path in found.files] == ["generated.json", "ratings.csv"]


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
    ],
)
def test_single_files(tmp_path: Path, name: str, format_name: str, expected: str) -> None:
    (tmp_path / name).write_bytes(CSV)
    found = recognise(locate(str(tmp_path / name), tmp_path), format_name)
    assert found.format == expected
    assert found.members == (Member("ratings", name, None, name),)
    assert found.files == (tmp_path / name,)


@pytest.mark.parametrize("name", ["noname", "ratings.dat", "movies.csv", "u.item", "ratings.csv.gz"])
def test_single_files_that_fit_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(CSV)
    with pytest.raises(SourceError, match=f"{name} fits no format.*ratings.csv.*u.data"):
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
    assert (found.format, found.members[0].file, found.ignored) == ("movielens-100k", "u.data", ("ratings.csv",))


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'netflix' is no format"):
        made(tmp_path, "data", {"ratings.csv": CSV}, "netflix")


@pytest.mark.parametrize("container", MAKERS)
@pytest.mark.parametrize("empty", ["ratings.csv", "movies.csv"])
def test_empty_files_are_named(tmp_path: Path, container: str, empty: str) -> None:
    with pytest.raises(SourceError, match=rf"{empty} is empty \(0 bytes\)"):
        made(tmp_path, container, {"ratings.csv": CSV, "movies.csv": CSV, empty: b""})


def test_two_spellings_of_a_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds both ratings\.csv and Ratings\.csv"):
        made(tmp_path, "data.zip", {"ratings.csv": CSV, "Ratings.csv": CSV})


@pytest.mark.parametrize("container", ["data.zip", "data.tar", "data.tar.gz"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_a_cut_off_archive_is_refused(tmp_path: Path, container: str, share: float) -> None:
    path = MAKERS[container](tmp_path / container, {"ratings.csv": os.urandom(40_000), "z.bin": os.urandom(20_000)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(SourceError, match=f"{container} can't be read as an archive"):
        recognise(locate(str(path), tmp_path))


@pytest.mark.parametrize("container", ["data.zip", "data.tar.gz"])
def test_a_damaged_archive_is_refused(tmp_path: Path, container: str) -> None:
    path = MAKERS[container](tmp_path / container, {"ratings.csv": os.urandom(40_000)})
    content = bytearray(path.read_bytes())
    content[20_000] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{container}(!/ratings\.csv)? can't be read as an archive"):
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


def test_real_movielens(shared_data: Path, tmp_path: Path) -> None:
    folder = recognise(locate(str(shared_data / "ml-latest-small"), tmp_path))
    assert folder.format == "movielens-csv"
    assert [path.name for path in folder.files] == ["movies.csv", "ratings.csv"]
    assert set(folder.ignored) == {"README.txt", "links.csv", "ml-latest-small.zip", "tags.csv"}
    packed = recognise(locate(str(shared_data / "ml-latest-small" / "ml-latest-small.zip"), tmp_path))
    assert [member.name for member in packed.members] == [
        "ml-latest-small.zip!/ml-latest-small/ratings.csv",
        "ml-latest-small.zip!/ml-latest-small/movies.csv",
    ]
    hundred = recognise(locate(str(shared_data / "ml-100k"), tmp_path))
    assert (hundred.format, [path.name for path in hundred.files]) == ("movielens-100k", ["u.data", "u.item"])
    with pytest.raises(SourceError, match="more than once"):
        recognise(locate(str(shared_data), tmp_path))
