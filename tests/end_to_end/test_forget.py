"""A person is forgotten in running services: the id is in nothing that is left, and nobody else's row has moved."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from marquee.formats import read
from marquee.lake import tables
from marquee.lake.raw import Manifest, manifests, open_members
from marquee.releases import connect

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

#: Made up, and spelt so that no word of it is anywhere else.
ANNA = "anna.forgetmenot+films@example.org"
HEADER = "userId,movieId,rating,timestamp\n"
DAGS = ("ingest_ratings", "train_recommender", "publish_recommendations", "forget_person")


@dataclass(frozen=True)
class Before:
    """Rows of the raw files by sha256, file and line, and of the tables, before anybody was forgotten."""

    raw: dict[tuple[str, str, int], tuple[str, str]]
    tables: dict[str, list[tuple[Any, ...]]]


def lines_of(users: list[str], seed: int) -> list[str]:
    chance = random.Random(seed)
    return [
        f"{user},{item},{chance.choice((1, 2, 3, 4, 5))},{1_500_000_000 + chance.randrange(10**8)}"
        for user in users
        for item in chance.sample(range(1, 41), 15)
    ]


def made_files(folder: Path) -> list[Path]:
    """An archive with a catalogue and a file that nothing is read from, and a packed file with a line of Anna's in it
    that is none."""
    users = [*(f"user{at}@example.org" for at in range(40)), ANNA]
    first, second = lines_of(users, 1), lines_of([ANNA, "zoe"], 2)
    archive = folder / "films.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, text in (
            ("ratings", HEADER + "\n".join(first) + "\n"),
            ("movies", "movieId,title,genres\n" + "".join(f"{n},Film {n},Drama\n" for n in range(1, 41))),
            ("tags", f"userId,movieId,tag\n{ANNA},3,mine\nzoe,3,hers\n"),
        ):
            writer.writestr(zipfile.ZipInfo(f"films/{name}.csv"), text)
    packed = folder / "more.csv.gz"
    bad = [f"{ANNA},7,none,1500000000", f"{ANNA},8", "zoe,9,none,1500000000"]
    text = HEADER + "\n".join([*second[:10], *bad, *second[10:]]) + "\n"
    packed.write_bytes(gzip.compress(text.encode(), mtime=0))
    return [archive, packed]


@pytest.fixture(scope="module")
def before(own_installation: Any, tmp_path_factory: pytest.TempPathFactory) -> Before:
    """Two batches are in the tables; training has not begun, so that nothing but the forgetting is in the way."""
    with own_installation.client() as client:
        client.dag("train_recommender")
        client._send("PATCH", "/dags/train_recommender", json={"is_paused": True})
    for path in made_files(tmp_path_factory.mktemp("files")):
        done = own_installation.marquee("ingest", str(path), "--no-chain", "--max-quarantined", "0.2")
        assert done.returncode == 0, done.stdout + done.stderr
    lake = own_installation.lake
    assert ANNA in {row[0] for row in rows_of(lake, "ratings")}
    assert any(ANNA in key or ANNA.encode() in body for key, body in everything(lake))
    return Before(raw_rows(lake), {table: rows_of(lake, table) for table in ("ratings", "items", "quarantine")})


@pytest.fixture(scope="module")
def forgotten(own_installation: Any, before: Before) -> str:
    """What the command printed: it asks for the id, so that no list of processes has it."""
    with own_installation.client() as client:
        client.unpause("train_recommender")
    done = own_installation.marquee("forget", "--user", "-", "--yes", typed=f"{ANNA}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def rows_of(lake: Any, table: str) -> list[tuple[Any, ...]]:
    version = tables.current_version(lake, table)
    assert version is not None
    found = [row for batch in tables.read_table(lake, table, version) for row in batch.to_pylist()]
    return sorted((tuple(row.values()) for row in found), key=repr)


def raw_rows(lake: Any) -> dict[tuple[str, str, int], tuple[str, str]]:
    found: dict[tuple[str, str, int], tuple[str, str]] = {}
    for manifest in staged(lake):
        for member, stream in open_members(lake, manifest, manifest.of("ratings")):
            for block in read(manifest.reading_of(member), stream):
                users, items = (block.columns[name].to_pylist() for name in ("user_id", "item_id"))
                for line, user, item in zip(block.lines.tolist(), users, items, strict=True):
                    found[manifest.sha256, member.name, line] = (user, item)
    return found


def staged(lake: Any) -> list[Manifest]:
    pages = lake.client().get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix="raw/")
    sums = {entry["Key"].split("/")[1] for page in pages for entry in page.get("Contents", [])}
    return [manifest for sha256 in sorted(sums) for manifest in manifests(lake, sha256)]


def everything(lake: Any, bucket: str = "") -> Iterator[tuple[str, bytes]]:
    """Every object of a bucket: its key, and its bytes, unpacked where they are packed."""
    name = bucket or lake.bucket
    pages = lake.client().get_paginator("list_objects_v2").paginate(Bucket=name)
    for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
        body = lake.client().get_object(Bucket=name, Key=key)["Body"].read()
        yield key, body + unpacked(key, body)


def unpacked(key: str, body: bytes) -> bytes:
    if key.endswith(".gz"):
        return gzip.decompress(body)
    if key.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    if key.endswith(".parquet"):
        return json.dumps(pq.read_table(io.BytesIO(body)).to_pylist(), default=str, ensure_ascii=False).encode()
    return b""


def test_the_command_followed_it_to_the_next_release(forgotten: str) -> None:
    for task in ("find", "clean_tables", "clean_raw_files", "clean_again", "record", "announce", "register", "release"):
        assert any(task in line and "success" in line for line in forgotten.splitlines()), task
    assert ANNA not in forgotten


def test_the_id_is_in_no_object_of_the_lake_and_of_the_models(own_installation: Any, forgotten: str) -> None:
    for bucket in (own_installation.settings.s3.bucket, own_installation.settings.s3.artifacts_bucket):
        holders = [
            key
            for key, body in everything(own_installation.lake, bucket)
            if ANNA in key or ANNA.encode() in body or quote(ANNA).encode() in body
        ]
        assert holders == []


def test_the_id_is_in_no_file_of_airflow_mlflow_and_the_releases(own_installation: Any, forgotten: str) -> None:
    """Databases, logs, releases, temporary files: all but the store's own, whose space it frees at its own time."""
    var = own_installation.settings.var
    kept = [path for path in var.parent.rglob("*") if path.is_file() and not path.is_symlink()]
    looked_into = [path for path in kept if not path.is_relative_to(var / "s3")]
    assert {"airflow.db", "services.log"} <= {path.name for path in looked_into}
    assert [path for path in looked_into if ANNA.encode() in path.read_bytes()] == []


def test_airflows_api_tells_no_id(own_installation: Any, forgotten: str) -> None:
    told: list[str] = []
    with own_installation.client() as client:
        for dag_id in DAGS:
            for run in client._send("GET", f"/dags/{dag_id}/dagRuns").json()["dag_runs"]:
                told.append(json.dumps(run))
                where = f"/dags/{dag_id}/dagRuns/{quote(run['dag_run_id'], safe='')}"
                told.append(json.dumps(client._send("GET", f"{where}/taskInstances").json()))
                for task in client.tasks(dag_id, run["dag_run_id"]):
                    entries = f"{where}/taskInstances/{task.task_id}/xcomEntries"
                    names = [entry["key"] for entry in client._send("GET", entries).json()["xcom_entries"]]
                    told += [
                        json.dumps(client.xcom(dag_id, run["dag_run_id"], task.task_id, name, task.map_index))
                        for name in names
                    ]
                    if task.try_number:  # one that was skipped before it began has no log
                        told += [json.dumps(line) for line in client.log(dag_id, run["dag_run_id"], task)]
        (run,) = client._send("GET", "/dags/forget_person/dagRuns").json()["dag_runs"]
    assert len(told) > 50 and not [text for text in told if ANNA in text]
    assert set(run["conf"]) == {"request"}


def test_no_process_had_the_id_on_its_command_line(command_lines: Any, forgotten: str) -> None:
    assert any("forget" in line for line in command_lines.seen)
    assert [line for line in command_lines.seen if ANNA in line] == []


def test_all_other_rows_are_where_they_were(own_installation: Any, before: Before, forgotten: str) -> None:
    lake = own_installation.lake
    assert raw_rows(lake) == {place: row for place, row in before.raw.items() if row[0] != ANNA}
    for table in ("ratings", "items", "quarantine"):
        expected = [row for row in before.tables[table] if not any(ANNA in str(value) for value in row)]
        assert rows_of(lake, table) == expected, table
    # and each row of the table leads to its line
    raw = raw_rows(lake)
    version = tables.current_version(lake, "ratings")
    assert version is not None
    for batch in tables.read_table(lake, "ratings", version):
        for row in batch.to_pylist():
            place = (row["source_sha256"], row["source_file"], row["source_line"])
            assert raw[place] == (row["user_id"], row["item_id"])


def test_the_next_release_knows_everybody_else(own_installation: Any, before: Before, forgotten: str) -> None:
    with connect(own_installation.settings.var / "serving") as connection:
        users = {user for (user,) in connection.execute("SELECT user_id FROM recommendations").fetchall()}
        (version,) = connection.execute("SELECT ratings_version FROM release").fetchone() or (None,)
    assert users == {row[0] for row in before.tables["ratings"]} - {ANNA}
    assert version == tables.current_version(own_installation.lake, "ratings")


def test_the_record_tells_numbers_and_no_name(own_installation: Any, before: Before, forgotten: str) -> None:
    lake = own_installation.lake
    objects = dict(everything(lake))
    (key,) = [key for key in objects if key.startswith("forget/")]
    record = lake.read_json(key)
    assert key == f"forget/records/{record['request']}.json"
    n_ratings = sum(row[0] == ANNA for row in before.tables["ratings"])
    n_raw = sum(user == ANNA for user, _ in before.raw.values())
    n_refused = sum(ANNA in str(row) for row in before.tables["quarantine"])
    # in the raw files are a line that is no row, and a tag, besides
    assert n_refused >= 2 and record["rows"] == {"raw": n_raw + 2, "ratings": n_ratings, "quarantine": n_refused}
    assert record["versions"].keys() == {"ratings", "quarantine"}
    listed = own_installation.marquee("forget", "--list")
    assert record["request"] in listed.stdout and f"{n_ratings} ratings" in listed.stdout


def test_the_same_files_ingested_again_bring_nothing_back(
    own_installation: Any, before: Before, forgotten: str, tmp_path: Path
) -> None:
    for path in made_files(tmp_path):
        done = own_installation.marquee("ingest", str(path), "--no-chain", "--max-quarantined", "0.2")
        assert done.returncode == 0 and "These bytes are in the lake already" in done.stdout, done.stdout + done.stderr
    assert ANNA not in {row[0] for row in rows_of(own_installation.lake, "ratings")}


def test_a_request_that_nobody_made_is_refused(own_installation: Any, forgotten: str) -> None:
    unknown = "11111111-2222-4333-8444-555555555555"
    with own_installation.client() as client:
        run = client.follow("forget_person", client.trigger("forget_person", {"request": unknown}), timeout=300)
        assert not run.is_success and {task.try_number for task in run.tasks} <= {0, 1}
        assert f"There is no request {unknown} to forget" in client.failure(run)


def test_an_id_on_the_command_line_is_out_of_sight_at_once(own_installation: Any, command_lines: Any) -> None:
    done = own_installation.marquee("forget", "--user", "nobody@nowhere.example", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert any("announce" in line and "skipped" in line for line in done.stdout.splitlines()), "nothing was to announce"
    request = own_installation.lake.read_json(newest_record(own_installation.lake))["request"]
    assert any(f"\0--again\0{request}" in line for line in command_lines.seen)


def newest_record(lake: Any) -> str:
    listed = lake.client().list_objects_v2(Bucket=lake.bucket, Prefix="forget/records/")["Contents"]
    return str(max(listed, key=lambda entry: entry["LastModified"])["Key"])
