"""Forgetting from the request to the record, in a real S3 server, and cut off at every point."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from marquee.errors import LakeError
from marquee.forgetting import raw_files, requests, steps
from marquee.forgetting.objects import keys, read_bytes
from marquee.forgetting.subject import Subject
from marquee.formats import read
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.raw import Manifest, open_members, read_manifest, stage
from marquee.sources import locate, recognise
from marquee.sources.reading import RatingsReading, Source

WHEN, NOW = "2026-11-23T10:00:00+00:00", "2026-11-24T10:00:00+00:00"
ANNA = "anna+films@example.org"
HEADER = "userId,movieId,rating,timestamp\n"
LINES = [f"{ANNA},1,4.0,9", "ben,1,4.0,9", f"{ANNA},2,what,9", f"joanna+films@example.org,{ANNA}s,4.0,9", "ben,2,1,8"]
RATINGS = HEADER + "\n".join(LINES) + "\n"
MOVIES = "movieId,title,genres\n1,One,Comedy\n2,Two,Drama\n"
QUARANTINE = pa.schema(
    [
        ("source_sha256", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("reason", pa.string()),
        ("raw", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("source_sha256", pa.string()),
        ("source_line", pa.int64()),
    ]
)


def sources(folder: Path) -> dict[str, Path]:
    """A file, a packed file, a folder and an archive, each with rows of Anna."""
    folder.mkdir(exist_ok=True)
    plain = folder / "ratings.csv"
    plain.write_text(RATINGS)
    packed = folder / "more.csv.gz"
    packed.write_bytes(gzip.compress(f"{HEADER}zoe,1,2.0,9\n{ANNA},1,2.0,9\n".encode(), mtime=0))
    inside = folder / "folder"
    inside.mkdir(exist_ok=True)
    (inside / "ratings.csv").write_text(f"{HEADER}{ANNA},2,2.0,9\nzoe,2,2.0,9\n")
    (inside / "movies.csv").write_text(MOVIES)
    archive = folder / "ml.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, text in (
            ("ratings", f"{HEADER}{ANNA},2,5.0,9\nzoe,1,5.0,9\n"),
            ("movies", MOVIES),
            ("tags", f"userId,movieId,tag\n{ANNA},2,mine\nzoe,1,hers\n"),
        ):
            writer.writestr(zipfile.ZipInfo(f"ml/{name}.csv"), text)
    return {"plain": plain, "packed": packed, "folder": inside, "archive": archive}


def staged(lake: Lake, path: Path, folder: Path, source: Source | None = None) -> Manifest:
    return stage(lake, recognise(locate(str(path), folder / "cache"), source), WHEN)


def rows_of(lake: Lake, manifest: Manifest) -> dict[tuple[str, int], tuple[str, str]]:
    """(file, line) -> user and item, of all ratings in the raw files."""
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for member, stream in open_members(lake, manifest, manifest.of("ratings")):
        for block in read(manifest.reading_of(member), stream):
            users, items = (block.columns[name].to_pylist() for name in ("user_id", "item_id"))
            for line, user, item in zip(block.lines.tolist(), users, items, strict=True):
                found[member.name, line] = (user, item)
    return found


def made(lake: Lake, folder: Path) -> dict[str, Manifest]:
    """A lake with four batches: two in the tables, one refused, one with nothing but its raw files."""
    manifests = {name: staged(lake, path, folder) for name, path in sources(folder / "sources").items()}
    for name in ("plain", "packed", "folder"):
        manifest, batch = manifests[name], manifests[name].batch
        rows = rows_of(lake, manifest)
        good = [(u, i, manifest.sha256, line) for (_, line), (u, i) in rows.items() if (u, i) != (ANNA, "2")]
        bad = [
            (manifest.sha256, file, line, "rating_not_a_number", f"{u},{i}") for (file, line), (u, i) in rows.items()
        ]
        for table, schema, content in (("ratings", SCHEMA, good), ("quarantine", QUARANTINE, bad)):
            data = pa.table([pa.array(column) for column in zip(*content, strict=True)], schema=schema)
            buckets = {"bucket": 0} if table == "ratings" else {}
            part = tables.write_part(lake, table, batch, data, **buckets)
            prepared = tables.Prepared(table, batch, (part,), 1 if buckets else None)
            tables.save_prepared(lake, prepared)
            if name != "folder":
                tables.commit(lake, prepared, schema, mode="append", metadata={})
    lake.write_json(
        "quality/ratings/run.json",
        {
            "meta": {"run_id": {"run_name": "run"}},
            "results": [
                {
                    "expectation_config": {"kwargs": {"column": "user_id"}},
                    "result": {"partial_unexpected_index_list": [f"line 2: {ANNA}", f"line 3: jo{ANNA}"]},
                }
            ],
        },
    )
    lake.write_json("runs/ingest/r/t.json", {"result": {}, "error": f"line 2: {ANNA} is no number: mend it."})
    lake.write_json("runs/ingest/r/u.json", {"result": {"rows": 4}, "error": ""})
    return manifests


def forget(lake: Lake, request: str, scratch: Path) -> requests.Record:
    steps.find_lines(lake, request, scratch)
    steps.clean_tables(lake, request)
    steps.clean_raw_files(lake, request, NOW, scratch, scratch / "cache")
    return steps.finish(lake, request)


def unpacked_bytes(key: str, body: bytes) -> bytes:
    if key.endswith(".gz"):
        return gzip.decompress(body)
    if key.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return b"\n".join(archive.read(name) for name in archive.namelist())
    if key.endswith(".parquet"):
        return repr(pa.parquet.read_table(io.BytesIO(body)).to_pylist()).encode()
    return body


def holders(lake: Lake, text: str) -> list[str]:
    """Keys of the objects that spell the text as a word of its own."""
    whole = Subject("user", text)
    bodies = {key: read_bytes(lake, key) for key in keys(lake, "")}
    return [key for key, body in bodies.items() if whole.is_in(unpacked_bytes(key, body).decode("latin-1"))]


def test_a_person_is_in_nothing_that_is_left(fresh_lake: Lake, tmp_path: Path) -> None:
    lake = fresh_lake
    manifests = made(lake, tmp_path)
    before = {name: rows_of(lake, manifest) for name, manifest in manifests.items()}
    assert len(holders(lake, ANNA)) >= 9

    request = requests.ask(lake, Subject("user", ANNA), WHEN)
    assert [(one.request, one.kind) for one in requests.asked(lake)] == [(request, "user")]
    record = forget(lake, request, tmp_path / "scratch")

    assert holders(lake, ANNA) == []
    assert not [key for key in keys(lake, "forget/") if not key.startswith("forget/records/")]
    # 3 of 5 lines of the plain file: one is Anna's and good, one is hers and bad; joanna's stay
    assert record.kind == "user" and record.requested_at == WHEN and record.done_at > WHEN
    assert record.rows == {"raw": 6, "ratings": 2, "quarantine": 3}
    assert set(record.raw_batches) == {manifest.sha256 for manifest in manifests.values()}
    assert record.versions == {"ratings": 2, "quarantine": 2}
    assert requests.records(lake) == [record] and requests.asked(lake) == []
    # all others are where they were, line by line
    for name, manifest in manifests.items():
        left = {place: row for place, row in before[name].items() if row[0] != ANNA}
        assert rows_of(lake, read_manifest(lake, manifest.batch)) == left
    kept = [row for batch in tables.read_table(lake, "ratings", 2) for row in batch.to_pylist()]
    places = {(row["source_sha256"], row["source_line"]): (row["user_id"], row["item_id"]) for row in kept}
    assert places == {
        (manifests[name].sha256, line): row
        for name in ("plain", "packed")
        for (_, line), row in before[name].items()
        if row[0] != ANNA
    }
    assert lake.read_json("runs/ingest/r/t.json")["error"] == "line 2: (forgotten) is no number: mend it."
    (result,) = lake.read_json("quality/ratings/run.json")["results"]
    assert result["result"]["partial_unexpected_index_list"] == ["line 2: (forgotten)", f"line 3: jo{ANNA}"]


def test_the_manifests_tell_of_it_and_the_same_bytes_stay_known(fresh_lake: Lake, tmp_path: Path) -> None:
    lake = fresh_lake
    manifests = made(lake, tmp_path)
    request = requests.ask(lake, Subject("user", ANNA), WHEN)
    forget(lake, request, tmp_path / "scratch")
    after = {key: read_bytes(lake, key) for key in keys(lake, "raw/")}
    for name, path in (("plain", "ratings.csv"), ("packed", "more.csv.gz"), ("archive", "ml.zip")):
        (file,) = read_manifest(lake, manifests[name].batch).files
        body = after[f"raw/{manifests[name].sha256}/{path}"]
        assert (file.size, file.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        (redaction,) = file.redactions
        assert (redaction.request, redaction.at, redaction.is_done) == (request, NOW, True)
        assert redaction.before == manifests[name].sha256 != file.sha256
    with zipfile.ZipFile(io.BytesIO(after[f"raw/{manifests['archive'].sha256}/ml.zip"])) as archive:
        assert archive.read("ml/tags.csv") == b"userId,movieId,tag\n\nzoe,1,hers\n"
        assert archive.read("ml/movies.csv") == MOVIES.encode()
    # the original bytes once more: nothing of them comes back
    for name, path in (("plain", "ratings.csv"), ("folder", "folder"), ("archive", "ml.zip")):
        again = staged(lake, tmp_path / "sources" / path, tmp_path)
        assert again.batch == manifests[name].batch
    # read another way, they are read as they lie there now
    other = Source(
        name="other", ratings=RatingsReading(columns={"user_id": "movieId", "item_id": "userId"}, files=("*.csv",))
    )
    swapped = staged(lake, tmp_path / "sources" / "ratings.csv", tmp_path, other)
    assert swapped.files == read_manifest(lake, manifests["plain"].batch).files
    assert after == {key: read_bytes(lake, key) for key in after}


def test_an_item_is_forgotten_too(fresh_lake: Lake, tmp_path: Path) -> None:
    lake = fresh_lake
    manifests = made(lake, tmp_path)
    record = forget(lake, requests.ask(lake, Subject("item", "1"), WHEN), tmp_path / "scratch")
    assert record.kind == "item"
    for manifest in manifests.values():
        assert "1" not in {item for _, item in rows_of(lake, read_manifest(lake, manifest.batch)).values()}
    folder = manifests["folder"]
    assert read_bytes(lake, f"raw/{folder.sha256}/movies.csv") == b"movieId,title,genres\n\n2,Two,Drama\n"
    version = tables.current_version(lake, "ratings")
    assert version is not None
    items = {row["item_id"] for batch in tables.read_table(lake, "ratings", version) for row in batch.to_pylist()}
    assert "1" not in items and items


def test_nobody_of_that_name_changes_nothing(fresh_lake: Lake, tmp_path: Path) -> None:
    made(fresh_lake, tmp_path)
    before = {key: read_bytes(fresh_lake, key) for key in keys(fresh_lake, "")}
    record = forget(fresh_lake, requests.ask(fresh_lake, Subject("user", "nobody"), WHEN), tmp_path / "scratch")
    assert record.rows == {"raw": 0} and record.raw_batches == () and record.versions == {}
    after = {key: read_bytes(fresh_lake, key) for key in keys(fresh_lake, "") if not key.startswith("forget/")}
    assert after == before


class CutOffError(Exception):
    """The process dies here."""


@contextmanager
def cut_off(lake: Lake, call: int) -> Iterator[list[int]]:
    """Let the process die at its n-th call to the object store that would change something."""
    seen = [0]

    def die(params: Any, model: Any, **_: Any) -> None:
        if model.name in ("PutObject", "DeleteObject", "CompleteMultipartUpload"):
            seen[0] += 1
            if seen[0] >= call:
                raise CutOffError

    events = lake.client().meta.events
    events.register("before-call.s3", die)
    try:
        yield seen
    finally:
        events.unregister("before-call.s3", die)


def state(lake: Lake) -> dict[str, Any]:
    """What matters of a lake when a request is done, whatever way it took."""
    versions = {table: tables.current_version(lake, table) for table in ("ratings", "quarantine")}
    contents = {
        table: sorted(repr(row) for batch in tables.read_table(lake, table, version or 0) for row in batch.to_pylist())
        for table, version in versions.items()
    }
    return {
        "contents": contents,
        "raw": {key: read_bytes(lake, key) for key in keys(lake, "raw/") if not key.endswith(".manifest.json")},
        "manifests": {
            key: json.loads(read_bytes(lake, key).decode())["files"]
            for key in keys(lake, "raw/")
            if key.endswith(".manifest.json")
        },
        "rows": [dict(record.rows) for record in requests.records(lake)],
        "holders": holders(lake, ANNA),
    }


def without_requests(value: dict[str, Any]) -> dict[str, Any]:
    for files in value["manifests"].values():
        for file in files:
            for redaction in file["redactions"]:
                del redaction["request"]
    return value


def test_cut_off_anywhere_it_ends_the_same(s3_server: Lake, tmp_path: Path) -> None:
    from tests.conftest import make_bucket

    undisturbed = make_bucket(s3_server)
    made(undisturbed, tmp_path)
    forget(undisturbed, requests.ask(undisturbed, Subject("user", ANNA), WHEN), tmp_path / "scratch")
    expected = without_requests(state(undisturbed))

    lake = make_bucket(s3_server)
    made(lake, tmp_path)
    request = requests.ask(lake, Subject("user", ANNA), WHEN)
    call, n_cuts = 1, 0
    while True:
        # Each try starts where the one before was cut off, and comes one call farther.
        with cut_off(lake, call) as seen:
            try:
                forget(lake, request, tmp_path / "scratch")
                break
            except CutOffError:
                call, n_cuts = call + 1, n_cuts + 1
        assert n_cuts < 200 and seen[0]
    assert n_cuts > 5
    assert without_requests(state(lake)) == expected


def test_a_request_that_is_done_can_be_run_again(fresh_lake: Lake, tmp_path: Path) -> None:
    made(fresh_lake, tmp_path)
    request = requests.ask(fresh_lake, Subject("user", ANNA), WHEN)
    first = forget(fresh_lake, request, tmp_path / "scratch")
    before = {key: read_bytes(fresh_lake, key) for key in keys(fresh_lake, "")}
    assert forget(fresh_lake, request, tmp_path / "scratch") == first
    assert {key: read_bytes(fresh_lake, key) for key in keys(fresh_lake, "")} == before


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ("11111111-2222-4333-8444-555555555555", "There is no request 1111.* to forget: `marquee forget --user ID`"),
        ("../../raw/x", "'../../raw/x' is no name of a request to forget"),
        ("", "'' is no name of a request"),
    ],
)
def test_an_unknown_request_is_said(fresh_lake: Lake, tmp_path: Path, request_: str, sentence: str) -> None:
    for step in (
        lambda: steps.find_lines(fresh_lake, request_, tmp_path),
        lambda: steps.clean_tables(fresh_lake, request_),
        lambda: steps.clean_raw_files(fresh_lake, request_, NOW, tmp_path, tmp_path),
        lambda: steps.finish(fresh_lake, request_),
    ):
        with pytest.raises(LakeError, match=sentence):
            step()


def test_a_request_without_an_id_is_refused(fresh_lake: Lake) -> None:
    with pytest.raises(LakeError, match="has no id"):
        requests.ask(fresh_lake, Subject("user", ""), WHEN)
    assert keys(fresh_lake, "") == []


def test_what_a_crash_left_of_a_redaction_is_settled(fresh_lake: Lake, tmp_path: Path) -> None:
    """The object is the new one, the manifest does not know it yet."""
    manifests = made(fresh_lake, tmp_path)
    request = requests.ask(fresh_lake, Subject("user", ANNA), WHEN)
    steps.find_lines(fresh_lake, request, tmp_path / "scratch")
    plain = manifests["plain"]
    edits = requests.places(fresh_lake, request, plain.sha256)
    with cut_off(fresh_lake, 3), pytest.raises(CutOffError):
        raw_files.redact(
            fresh_lake, plain.sha256, edits, Subject("user", ANNA), request=request, at=NOW, scratch=tmp_path
        )
    (file,) = read_manifest(fresh_lake, plain.batch).files
    assert not file.redactions[0].is_done
    raw_files.settle(fresh_lake, plain.sha256)
    (file,) = read_manifest(fresh_lake, plain.batch).files
    body = read_bytes(fresh_lake, f"raw/{plain.sha256}/ratings.csv")
    assert file.redactions[0].is_done and file.redactions[0].rows == 2
    assert (file.size, file.sha256) == (len(body), hashlib.sha256(body).hexdigest())
