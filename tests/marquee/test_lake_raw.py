"""Raw files in a real S3 server: staged once, whole, and read back as streams."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import tarfile
import threading
import time
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from marquee.errors import LakeError, SourceError
from marquee.lake.objects import Lake
from marquee.lake.raw import (
    Manifest,
    RawFile,
    batch_sha256,
    manifests,
    open_member,
    open_members,
    read_manifest,
    stage,
)
from marquee.sources import Member, Recognised, format_named, locate, recognise
from marquee.sources.reading import RatingsReading, Source

WHEN = "2026-11-23T10:00:00+00:00"
LATER = "2027-01-01T00:00:00+00:00"
HEADER = b"userId,movieId,rating,timestamp\n"
RATINGS = HEADER + b"".join(b"%d,%d,4.0,%d\n" % (n, n % 7, n) for n in range(1000))
MOVIES = b"movieId,title,genres\n1,Am\xc3\xa9lie (2001),Comedy\n"


def recognised(path: Path, format_name: str = "auto") -> Recognised:
    return recognise(locate(str(path), path.parent / "cache"), format_named(format_name))


def made_folder(path: Path) -> Path:
    path.mkdir()
    (path / "ratings.csv").write_bytes(RATINGS)
    (path / "movies.csv").write_bytes(MOVIES)
    return path


def made_zip(path: Path, content: bytes = RATINGS, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("ml/ratings.csv", content)
        archive.writestr("ml/movies.csv", MOVIES)
    return path


def made_tar(path: Path, mode: str, content: bytes = RATINGS) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, text in (("ml/movies.csv", MOVIES), ("ml/ratings.csv", content)):
            header = tarfile.TarInfo(name)
            header.size = len(text)
            archive.addfile(header, io.BytesIO(text))
    return path


def read(lake: Lake, manifest: Manifest, table: str) -> bytes:
    (member,) = manifest.of(table)
    with open_member(lake, manifest, member) as stream:
        return stream.read()


def objects(lake: Lake) -> dict[str, Any]:
    """Key -> time and tag of every object: what changes when something is written."""
    listed = lake.client().list_objects_v2(Bucket=lake.bucket).get("Contents", [])
    return {entry["Key"]: (entry["LastModified"], entry["ETag"], entry["Size"]) for entry in listed}


def test_a_file_is_kept_under_its_own_sum(fresh_lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "my ratings é #1.csv").write_bytes(RATINGS)
    manifest = stage(fresh_lake, recognised(tmp_path / "my ratings é #1.csv"), WHEN)
    sha256 = hashlib.sha256(RATINGS).hexdigest()
    assert manifest.sha256 == sha256
    assert manifest.files == (RawFile("my ratings é #1.csv", len(RATINGS), sha256),)
    assert (manifest.name, manifest.reading.name, manifest.received_at) == (
        "my ratings é #1.csv",
        "movielens-csv",
        WHEN,
    )
    assert manifest.batch == f"{sha256}-{manifest.reading.digest}"
    assert set(objects(fresh_lake)) == {
        f"raw/{sha256}/my ratings é #1.csv",
        f"raw/{sha256}/{manifest.reading.digest}.manifest.json",
    }
    assert read_manifest(fresh_lake, manifest.batch) == manifest
    assert read(fresh_lake, manifest, "ratings") == RATINGS
    assert manifest.of("items") == ()


def test_a_folder_is_kept_file_by_file(fresh_lake: Lake, tmp_path: Path) -> None:
    manifest = stage(fresh_lake, recognised(made_folder(tmp_path / "ml")), WHEN)
    sums = {"ratings.csv": hashlib.sha256(RATINGS).hexdigest(), "movies.csv": hashlib.sha256(MOVIES).hexdigest()}
    lines = sorted(f"{value}  {name}\n" for name, value in sums.items())
    assert manifest.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert {file.name: file.sha256 for file in manifest.files} == sums
    assert read(fresh_lake, manifest, "ratings") == RATINGS
    assert read(fresh_lake, manifest, "items") == MOVIES
    assert read_manifest(fresh_lake, manifest.batch) == manifest


@pytest.mark.parametrize("name", ["ml.zip", "stored.zip", "bz.zip", "ml.tar", "ml.tar.gz", "ml.tar.bz2", "ml.tar.xz"])
def test_members_of_archives_are_streamed(fresh_lake: Lake, tmp_path: Path, name: str) -> None:
    if name.endswith(".zip"):
        method = {"stored.zip": zipfile.ZIP_STORED, "bz.zip": zipfile.ZIP_BZIP2}.get(name, zipfile.ZIP_DEFLATED)
        path = made_zip(tmp_path / name, method=method)
    else:
        path = made_tar(tmp_path / name, "w:" + name.partition(".tar")[2].lstrip("."))
    manifest = stage(fresh_lake, recognised(path), WHEN)
    assert [file.name for file in manifest.files] == [name]
    assert manifest.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read(fresh_lake, manifest, "ratings") == RATINGS
    assert read(fresh_lake, manifest, "items") == MOVIES
    (member,) = manifest.of("ratings")
    with open_member(fresh_lake, manifest, member) as stream:
        assert stream.readline() == HEADER
        assert sum(1 for _ in stream) == 1000


def test_the_same_bytes_are_kept_once(fresh_lake: Lake, tmp_path: Path) -> None:
    path = made_zip(tmp_path / "ml.zip")
    first = stage(fresh_lake, recognised(path), WHEN)
    before = objects(fresh_lake)
    time.sleep(1.1)  # times of objects are whole seconds
    assert stage(fresh_lake, recognised(path), LATER) == first
    renamed = path.rename(tmp_path / "other name.zip")
    assert stage(fresh_lake, recognised(renamed), WHEN) == first
    assert objects(fresh_lake) == before


def test_the_same_bytes_read_another_way_only_get_a_manifest(fresh_lake: Lake, tmp_path: Path) -> None:
    """Else a wrong `--format` could never be mended; the object keeps the name that it had first."""
    (tmp_path / "u.data").write_bytes(b"1\t2\t3\t4\n")
    first = stage(fresh_lake, recognised(tmp_path / "u.data"), WHEN)
    before = objects(fresh_lake)
    time.sleep(1.1)  # times of objects are whole seconds
    (tmp_path / "u.data").rename(tmp_path / "again.txt")
    again = stage(fresh_lake, recognised(tmp_path / "again.txt", "baskets"), LATER)
    assert (again.sha256, again.reading.name) == (first.sha256, "baskets")
    assert again.batch != first.batch
    assert {key: value for key, value in objects(fresh_lake).items() if key in before} == before
    assert set(objects(fresh_lake)) - set(before) == {f"raw/{again.sha256}/{again.reading.digest}.manifest.json"}
    assert (again.name, again.members) == ("again.txt", (Member("ratings", "u.data", None, "again.txt"),))
    assert read(fresh_lake, again, "ratings") == b"1\t2\t3\t4\n"
    assert read_manifest(fresh_lake, first.batch) == first
    assert manifests(fresh_lake, first.sha256) == [first, again]
    assert manifests(fresh_lake, "0" * 64) == []


PACK = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("place", ["file", "folder", "ml.zip", "ml.tar", "ml.tar.gz", "ml.tar.zst"])
def test_packed_files_come_back_unpacked(fresh_lake: Lake, tmp_path: Path, packing: str, place: str) -> None:
    half = RATINGS.index(b"\n500,") + 1
    parts = {
        f"part-{number}.csv.x": PACK[packing](part) for number, part in enumerate((RATINGS[:half], RATINGS[half:]))
    }
    if place == "file":
        path = tmp_path / "ratings.csv"
        path.write_bytes(b"".join(parts.values()))
    elif place == "folder":
        path = tmp_path / "ml"
        path.mkdir()
        for name, content in parts.items():
            (path / name.replace(".x", "")).write_bytes(content)
    elif place == "ml.zip":
        path = tmp_path / place
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(f"ml/{name.replace('.x', '.gz')}", content)
    else:
        plain = io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar:
            for name, content in parts.items():
                header = tarfile.TarInfo(f"ml/{name.replace('.x', '')}")
                header.size = len(content)
                tar.addfile(header, io.BytesIO(content))
        path = tmp_path / place
        packed = {"ml.tar": bytes, "ml.tar.gz": gzip.compress, "ml.tar.zst": PACK["zstd"]}[place](plain.getvalue())
        path.write_bytes(packed)
    manifest = stage(fresh_lake, recognised(path), WHEN, cut_bytes=100)
    assert {member.packing for member in manifest.members} == {packing}
    assert all(file.index == () for file in manifest.files)
    found = {member.name: stream.read() for member, stream in open_members(fresh_lake, manifest, manifest.members)}
    assert b"".join(found[name] for name in sorted(found)) == RATINGS
    for member in manifest.members:
        with open_member(fresh_lake, manifest, member) as stream:
            assert stream.read() == found[member.name]


def test_members_of_an_archive_are_read_in_one_go(fresh_lake: Lake, tmp_path: Path) -> None:
    """In the archive's own order, whatever is asked for; a tar in the tar is no exception."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        for number in (3, 1, 2):
            header = tarfile.TarInfo(f"training_set/mv_{number}.txt")
            header.size = 300_000
            tar.addfile(header, io.BytesIO(b"%d:\n" % number * 100_000))
    with tarfile.open(tmp_path / "nf.tar.gz", "w:gz") as tar:
        for name, content in (("training_set.tar", inner.getvalue()), ("movie_titles.txt", b"1,2003,A, B\n")):
            header = tarfile.TarInfo(f"download/{name}")
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    manifest = stage(fresh_lake, recognised(tmp_path / "nf.tar.gz"), WHEN)
    read_all = [
        (member.name[-8:], stream.read()) for member, stream in open_members(fresh_lake, manifest, manifest.members)
    ]
    assert read_all == [
        *((f"mv_{number}.txt", b"%d:\n" % number * 100_000) for number in (3, 1, 2)),
        ("tles.txt", b"1,2003,A, B\n"),
    ]
    first = manifest.members[0]
    assert [stream.readline() for _, stream in open_members(fresh_lake, manifest, [first, first])] == [b"1:\n", b"1:\n"]


MINE = Source(name="mine", ratings=RatingsReading(columns={"user_id": "u", "item_id": "i"}))


def reading(**changes: Any) -> Source:
    return MINE.model_copy(update={"ratings": MINE.ratings.model_copy(update=changes)})


@pytest.mark.parametrize(
    ("content", "source", "cuts"),
    [
        (b"u,i\n" + b"1,2\n" * 9, MINE, [(12, 4), (24, 7), (36, 10)]),
        (b"u,i\n" + b"1,2\n" * 9, reading(encoding="utf-16"), []),
        (b"u,i\n" + b"1,2\n" * 9, reading(layout="parquet"), []),
        (b"u,i\n" + b'"1\n2",3\n' * 9, MINE, []),
        (b"u,i\n" + b'"1\n2",3\n' * 2, reading(quote=""), [(12, 4)]),
        (b"1:\n2,3\n4,5\n6,7\n6:\n2,3", reading(layout="netflix"), [(15, 5)]),
        (gzip.compress(b"u,i\n" + b"1,2\n" * 9, mtime=0), MINE, []),
    ],
)
def test_places_to_cut_are_kept(
    fresh_lake: Lake, tmp_path: Path, content: bytes, source: Source, cuts: list[tuple[int, int]]
) -> None:
    (tmp_path / "events").write_bytes(content)
    found = recognise(locate(str(tmp_path / "events"), tmp_path / "cache"), source)
    manifest = stage(fresh_lake, found, WHEN, cut_bytes=10)
    assert [list(file.index) for file in manifest.files] == [cuts]
    assert read_manifest(fresh_lake, manifest.batch) == manifest


def test_many_files_are_sent_at_once(fresh_lake: Lake, tmp_path: Path) -> None:
    """Each one request; and the first that has changed ends the rest."""
    folder = tmp_path / "nf" / "training_set"
    folder.mkdir(parents=True)
    for number in range(1, 301):
        (folder / f"mv_{number:07}.txt").write_bytes(b"%d:\n7,3,2005-09-06\n" % number)
    found = recognised(tmp_path / "nf")
    manifest = stage(fresh_lake, found, WHEN)
    sizes = {key: size for key, (_, _, size) in objects(fresh_lake).items()}
    assert {f"raw/{manifest.sha256}/{file.name}": file.size for file in manifest.files}.items() <= sizes.items()
    assert len(sizes) == 301
    members = manifest.of("ratings")
    streams = open_members(fresh_lake, manifest, members)
    assert [stream.readline() for _, stream in streams] == [b"%d:\n" % number for number in range(1, 301)]


def test_one_of_many_stagers_writes_the_manifest(fresh_lake: Lake, tmp_path: Path) -> None:
    found = recognised(made_zip(tmp_path / "ml.zip"))
    made: list[Manifest] = []

    def work(number: int) -> None:
        made.append(stage(fresh_lake, found, f"2026-11-23T10:00:0{number}+00:00"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert all(manifest == made[0] for manifest in made)
    assert read(fresh_lake, made[0], "ratings") == RATINGS


def test_a_large_file_goes_in_parts_and_comes_back(fresh_lake: Lake, tmp_path: Path) -> None:
    content = HEADER + os.urandom(40_000_000).hex().encode()
    (tmp_path / "ratings.csv").write_bytes(content)
    manifest = stage(fresh_lake, recognised(tmp_path / "ratings.csv"), WHEN)
    head = fresh_lake.client().head_object(
        Bucket=fresh_lake.bucket, Key=f"raw/{manifest.sha256}/ratings.csv", ChecksumMode="ENABLED"
    )
    assert head["ETag"].strip('"').endswith("-5")  # five parts of 16 MiB
    member = manifest.members[0]
    with open_member(fresh_lake, manifest, member) as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == manifest.sha256  # type: ignore[arg-type]


def test_memory_stays_bounded(fresh_lake: Lake, tmp_path: Path) -> None:
    line = b"123456,123456,4.0,1234567890\n"
    with (
        zipfile.ZipFile(tmp_path / "ml.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("ratings.csv", "w") as out,
    ):
        for _ in range(100):
            out.write(line * 20_000)  # 58 MB in all
    manifest = stage(fresh_lake, recognised(tmp_path / "ml.zip", "movielens-csv"), WHEN)
    tracemalloc.start()
    try:
        with open_member(fresh_lake, manifest, manifest.members[0]) as stream:
            size = 0
            while chunk := stream.read(1 << 20):
                size += len(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == len(line) * 2_000_000
    assert peak < 24 << 20


def test_a_file_that_changes_while_it_is_read_is_refused(
    fresh_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes between measuring and sending: `exists` is asked there. One file is sent whole, one in parts."""
    (tmp_path / "ratings.csv").write_bytes(RATINGS)
    found = recognised(tmp_path / "ratings.csv")
    large = RATINGS * 1000
    changes = [(RATINGS, changed) for changed in (RATINGS + b"9,9,1.0,9\n", RATINGS[:-1], RATINGS[:-2] + b"8\n", b"")]
    for received, changed in [*changes, (large, large + b"9"), (large, large[:-2] + b"8\n"), (large, RATINGS)]:
        (tmp_path / "ratings.csv").write_bytes(received)

        def change(lake: Lake, key: str, content: bytes = changed) -> bool:
            (tmp_path / "ratings.csv").write_bytes(content)
            return False

        monkeypatch.setattr(Lake, "exists", change)
        with pytest.raises(SourceError, match=r"ratings\.csv changed while it was read") as caught:
            stage(fresh_lake, found, WHEN)
        assert caught.value.is_transient
        monkeypatch.undo()
        assert objects(fresh_lake) == {}
    (tmp_path / "ratings.csv").write_bytes(RATINGS)
    assert read(fresh_lake, stage(fresh_lake, found, WHEN), "ratings") == RATINGS


def test_a_file_that_vanished_is_named(fresh_lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_bytes(RATINGS)
    found = recognised(tmp_path / "ratings.csv")
    (tmp_path / "ratings.csv").unlink()
    with pytest.raises(SourceError, match=r"ratings\.csv does not exist"):
        stage(fresh_lake, found, WHEN)


def test_files_without_a_manifest_are_staged_again(fresh_lake: Lake, tmp_path: Path) -> None:
    """As a killed stage leaves them."""
    (tmp_path / "ratings.csv").write_bytes(RATINGS)
    first = stage(fresh_lake, recognised(tmp_path / "ratings.csv"), WHEN)
    client = fresh_lake.client()
    client.put_object(Bucket=fresh_lake.bucket, Key=f"raw/{first.sha256}/ratings.csv", Body=b"torn")
    client.delete_object(Bucket=fresh_lake.bucket, Key=f"raw/{first.sha256}/{first.reading.digest}.manifest.json")
    with pytest.raises(LakeError, match=f"No raw batch {first.batch} is in the lake"):
        read_manifest(fresh_lake, first.batch)
    assert read(fresh_lake, stage(fresh_lake, recognised(tmp_path / "ratings.csv"), WHEN), "ratings") == RATINGS


def test_generated_data_stays_marked(fresh_lake: Lake, tmp_path: Path) -> None:
    folder = made_folder(tmp_path / "ml")
    (folder / "generated.json").write_text('{"seed": 7, "users": 5}')
    manifest = stage(fresh_lake, recognised(folder), WHEN)
    again = read_manifest(fresh_lake, manifest.batch)
    assert again == manifest
    assert (again.is_generated, again.parameters) == (True, {"seed": 7, "users": 5})


def test_the_name_of_a_batch_does_not_depend_on_the_order() -> None:
    files = [RawFile("b", 1, "0" * 64), RawFile("a", 1, "1" * 64)]
    assert batch_sha256(files) == batch_sha256(files[::-1])
    assert batch_sha256(files[:1]) == "0" * 64


def test_the_server_checks_the_sum_of_a_part(fresh_lake: Lake) -> None:
    client = fresh_lake.client()
    wrong = "A" * 43 + "="
    upload = client.create_multipart_upload(Bucket=fresh_lake.bucket, Key="x", ChecksumAlgorithm="SHA256")
    with pytest.raises(client.exceptions.ClientError, match=r"(?i)checksum|digest"):
        client.upload_part(
            Bucket=fresh_lake.bucket,
            Key="x",
            UploadId=upload["UploadId"],
            PartNumber=1,
            Body=b"x",
            ChecksumSHA256=wrong,
        )


def test_manifests_that_are_none_are_named(fresh_lake: Lake) -> None:
    for name in ("../../etc", "0" * 64, f"{'0' * 64}-XXXXXXXX"):
        with pytest.raises(LakeError, match="is no name of a raw batch"):
            read_manifest(fresh_lake, name)
    with pytest.raises(LakeError, match="is no sha256"):
        manifests(fresh_lake, "../../etc")
    for number, value in enumerate(({}, [], {"files": [], "members": [], "new": 1})):
        sha256 = f"{number:064}"
        fresh_lake.write_json(f"raw/{sha256}/{'a' * 8}.manifest.json", value)
        with pytest.raises(LakeError, match="is no manifest"):
            read_manifest(fresh_lake, f"{sha256}-{'a' * 8}")


def test_errors_while_reading_are_sentences(fresh_lake: Lake, tmp_path: Path) -> None:
    content = HEADER + os.urandom(3_000_000).hex().encode()
    packed = made_zip(tmp_path / "ml.zip", content)
    manifest = stage(fresh_lake, recognised(packed), WHEN)
    member = manifest.members[0]
    client = fresh_lake.client()
    key = f"raw/{manifest.sha256}/ml.zip"
    damaged = bytearray(packed.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    client.put_object(Bucket=fresh_lake.bucket, Key=key, Body=bytes(damaged))
    with (
        pytest.raises(SourceError, match=r"ml\.zip!/ml/ratings\.csv can't be read"),
        open_member(fresh_lake, manifest, member) as s,
    ):
        s.read()
    with pytest.raises(SourceError, match="not in the archive"):
        open_member(fresh_lake, manifest, replace(member, member="none.csv"))
    client.delete_object(Bucket=fresh_lake.bucket, Key=key)
    with pytest.raises(LakeError, match="is missing"):
        open_member(fresh_lake, manifest, member)


@pytest.mark.parametrize("change", [{"bucket": "no-such-bucket"}, {"secret_key": "wrong" * 8}])
def test_a_refused_stage_says_why(fresh_lake: Lake, tmp_path: Path, change: dict[str, str]) -> None:
    (tmp_path / "ratings.csv").write_bytes(RATINGS)
    with pytest.raises(LakeError, match=r"s3\.(bucket|secret_key)"):
        stage(replace(fresh_lake, **change), recognised(tmp_path / "ratings.csv"), WHEN)
    assert objects(fresh_lake) == {}


def test_a_full_disk_leaves_no_batch(small_lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_bytes(HEADER + os.urandom(30_000_000).hex().encode())
    found = recognised(tmp_path / "ratings.csv")
    with pytest.raises(LakeError, match="free space"):
        stage(small_lake, found, WHEN)
    assert objects(small_lake) == {}
    assert small_lake.client().list_multipart_uploads(Bucket=small_lake.bucket).get("Uploads", []) == []


def test_real_movielens_comes_back_as_it_was(fresh_lake: Lake, shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "ml-latest-small" / "ml-latest-small.zip"
    manifest = stage(fresh_lake, recognise(locate(str(path), tmp_path)), WHEN)
    assert manifest.sha256 == "859da233c6929ebc9202e9516cdefa8a3c695aef67d1878249d6036c3513c023"
    ratings = read(fresh_lake, manifest, "ratings")
    assert hashlib.sha256(ratings).hexdigest() == "aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646"
    assert ratings.count(b"\n") == 100_837
