"""Releases: real DuckDB files, readers and builders in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from expectations.contracts import TABLES, Column
from expectations.schema import DUCKDB_TYPES
from marquee import releases
from marquee.errors import LakeError, ReleaseError
from tests import small_release

BECAUSE = [{"item_id": "i2", "title": "Two", "share": 0.75}, {"item_id": "i1", "title": "One", "share": 0.125}]


def inputs(release_id: str, n_users: int = 3, k: int = 2) -> dict[str, Any]:
    """What `build` takes; every title tells the release, so that a mixed read can be seen."""
    lists = [
        {"user_id": f"u{user}", "position": position, "item_id": f"i{position - 1}", "title": release_id,
         "score": 1.0 / position, "source": "als", "because": BECAUSE if position == 1 else []}
        # Last user first: the published order is not that of the input.
        for user in reversed(range(n_users))
        for position in range(1, k + 1)
    ]  # fmt: skip
    items = [
        small_release.item("i2", "Two", ["Drama"], 4),
        small_release.item("i1", "One", [], 3),
        small_release.item("i0", "Zero", ["Comedy", "Drama"], 2, is_listed=False),
    ]
    made = small_release.tables(release_id, lists, items, k)
    counts = {"item_id": ["i0", "i1", "i2", "i9"], "n_ratings": [5, 7, 1, 7], "n_recent": [0, 1, 1, 3]}
    streamed = made["recommendations"].to_batches(max_chunksize=2)
    return made | {"recommendations": lambda: iter(streamed), "item_counts": pa.table(counts)}


def publish(folder: Path, release_id: str) -> Path:
    path = releases.build(folder, release_id, inputs(release_id))
    releases.switch(folder, release_id)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "releases").iterdir() if path.name not in (".lock", ".switching"))


def test_a_release_holds_what_went_in(tmp_path: Path) -> None:
    path = publish(tmp_path, "r1")
    assert path == tmp_path / "releases" / "r1.duckdb"
    assert path.stat().st_mode & 0o777 == 0o444
    assert names(tmp_path) == ["r1.duckdb"]  # no .wal, nothing spilled
    assert (tmp_path / "recommendations.duckdb").readlink() == Path("releases/r1.duckdb")
    with duckdb.connect(str(tmp_path / "recommendations.duckdb"), read_only=True) as reader:

        def rows(query: str) -> list[Any]:
            return reader.execute(query).fetchall()

        assert rows("FROM recommendations") == [
            ("u0", 1, "i0", "r1", 1.0, "als", BECAUSE),
            ("u0", 2, "i1", "r1", 0.5, "als", []),
            ("u1", 1, "i0", "r1", 1.0, "als", BECAUSE),
            ("u1", 2, "i1", "r1", 0.5, "als", []),
            ("u2", 1, "i0", "r1", 1.0, "als", BECAUSE),
            ("u2", 2, "i1", "r1", 0.5, "als", []),
        ]
        assert rows("SELECT item_id, title, genres FROM items") == [
            ("i0", "Zero", ["Comedy", "Drama"]),
            ("i1", "One", []),
            ("i2", "Two", ["Drama"]),
        ]
        # i1 and i9 have 7 ratings each, and the catalogue does not know i9.
        assert rows("FROM popular_items") == [
            ("genre:Comedy", 1, "i0", "Zero", 5),
            ("genre:Drama", 1, "i0", "Zero", 5),
            ("genre:Drama", 2, "i2", "Two", 1),
            ("overall", 1, "i1", "One", 7),
            ("overall", 2, "i9", "i9", 7),
            ("recent", 1, "i9", "i9", 3),
            ("recent", 2, "i1", "One", 1),
        ]
        assert rows("SELECT candidate, metric, value, is_floor FROM evaluation") == [
            ("als", "fit_seconds", 3.5, False),
            ("als", "ndcg_at_2", 0.25, False),
            ("popular", "ndcg_at_2", 0.125, True),
        ]
        assert rows("SELECT created_at, n_users, n_items, raw_sha256, ingest_run_ids, is_generated FROM release") == [
            (datetime(2026, 11, 23, 18, 30), 3, 3, [small_release.SHA, "b" * 64], ["manual__1", "manual__2"], False)
        ]


@pytest.mark.parametrize("created_at", [datetime(2026, 1, 1, 12, tzinfo=UTC), "2026-01-01T13:00:00+01:00"])
def test_a_time_with_a_zone_is_published_in_utc(tmp_path: Path, created_at: Any) -> None:
    given = inputs("r1")
    stamp = given["release"].to_pylist()[0] | {"created_at": created_at}
    releases.build(tmp_path, "r1", given | {"release": pa.Table.from_pylist([stamp])})
    releases.switch(tmp_path, "r1")
    with releases.connect(tmp_path) as reader:
        assert reader.execute("SELECT created_at FROM release").fetchone() == (datetime(2026, 1, 1, 12),)


def test_the_published_tables_are_those_of_the_sql_files() -> None:
    files = {path.stem for path in (Path(releases.__file__).parent.parent / "sql").glob("*.sql")}
    assert files == {*releases.PUBLISHED, releases.VIEWS}
    assert set(releases.PUBLISHED) <= TABLES.keys()


@pytest.mark.parametrize("table", [table for table in TABLES.values() if table.name in releases.PUBLISHED])
def test_the_published_columns_are_the_contracts(tmp_path: Path, table: Any) -> None:
    publish(tmp_path, "r1")
    query = "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE table_name = ?"
    with releases.connect(tmp_path) as reader:
        published = reader.execute(query, [table.name]).fetchall()
        comment = reader.execute("SELECT comment FROM duckdb_tables() WHERE table_name = ?", [table.name]).fetchone()
    assert published == [
        (column.name, DUCKDB_TYPES[column.type], column.is_nullable, column.meaning) for column in table.columns
    ]
    assert comment == (table.grain,)
    assert all(isinstance(column, Column) for column in table.columns)


def test_building_a_release_that_is_there_returns_it(tmp_path: Path) -> None:
    path = publish(tmp_path, "r1")
    before = path.stat()
    assert releases.build(tmp_path, "r1", {}, ["this would be an error"]) == path
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_current_and_connect_follow_the_link(tmp_path: Path) -> None:
    assert releases.current(tmp_path) is None
    with pytest.raises(ReleaseError, match=r"no release in .* yet"):
        releases.connect(tmp_path)
    publish(tmp_path, "2026-11-23.a1")
    assert releases.current(tmp_path) == "2026-11-23.a1"
    with releases.connect(tmp_path) as old:
        publish(tmp_path, "r2")
        assert old.execute("SELECT release_id FROM release").fetchone() == ("2026-11-23.a1",)
        with releases.connect(tmp_path) as new:  # in this same process
            assert new.execute("SELECT release_id FROM release").fetchone() == ("r2",)
        assert old.execute("SELECT release_id FROM release").fetchone() == ("2026-11-23.a1",)


def test_a_link_to_nothing_is_no_release(tmp_path: Path) -> None:
    publish(tmp_path, "r1").unlink()
    assert releases.current(tmp_path) is None


def test_a_file_in_the_links_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "recommendations.duckdb").write_bytes(b"")
    with pytest.raises(ReleaseError, match="is no link to a release"):
        releases.current(tmp_path)


def test_switching_to_a_release_that_is_not_there_keeps_the_current_one(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    with pytest.raises(ReleaseError, match="There is no release r2"):
        releases.switch(tmp_path, "r2")
    assert releases.current(tmp_path) == "r1"


@pytest.mark.parametrize("release_id", ["", ".hidden", "../up", "a/b", "a b", "x" * 201])
def test_an_id_that_is_no_file_name_is_refused(tmp_path: Path, release_id: str) -> None:
    with pytest.raises(ReleaseError, match="is no plain name"):
        releases.build(tmp_path, release_id, inputs("r1"))


def test_rows_that_break_a_rule_leave_nothing(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    given = inputs("r2")
    items = given["items"]
    cases = {
        "NOT NULL": given | {"items": items.set_column(1, "title", pa.nulls(3, pa.string()))},
        "[Dd]uplicate key": given | {"items": pa.concat_tables([items, items])},
        "input_item_counts": {name: rows for name, rows in given.items() if name != "item_counts"},
        "not a single row for table recommendations": given | {"recommendations": lambda: iter([])},
    }
    for said, broken in cases.items():
        with pytest.raises(ReleaseError, match=said) as raised:
            releases.build(tmp_path, "r2", broken)
        assert not raised.value.is_transient
        assert names(tmp_path) == ["r1.duckdb"]
    assert releases.current(tmp_path) == "r1"


def test_an_error_of_a_stream_comes_out_as_it_is(tmp_path: Path) -> None:
    whole = inputs("r1")

    def broken() -> Iterator[pa.RecordBatch]:
        yield next(whole["recommendations"]())
        raise LakeError("The store does not answer.", is_transient=True)

    with pytest.raises(LakeError, match=r"^The store does not answer\.$") as raised:
        releases.build(tmp_path, "r1", whole | {"recommendations": broken})
    assert raised.value.is_transient
    assert names(tmp_path) == []


def test_a_look_up_reads_few_row_groups(tmp_path: Path) -> None:
    n_users, k = 60_000, 10

    def lists() -> Iterator[pa.RecordBatch]:
        for start in reversed(range(0, n_users, 10_000)):
            users = [f"{user:06d}" for user in range(start, start + 10_000) for _ in range(k)]
            yield pa.record_batch(
                {
                    "user_id": users,
                    "position": list(range(1, k + 1)) * 10_000,
                    "item_id": ["i1"] * len(users),
                    "title": ["One"] * len(users),
                    "score": [0.5] * len(users),
                    "source": ["als"] * len(users),
                    "because": [BECAUSE] * len(users),
                }
            )

    releases.build(tmp_path, "big", inputs("big") | {"recommendations": lists})
    releases.switch(tmp_path, "big")
    with releases.connect(tmp_path) as reader:
        plan = reader.execute("EXPLAIN ANALYZE FROM recommendations WHERE user_id = '031234'").fetchall()[0][1]
        assert "Row Groups Scanned: 1 / 15" in " ".join(plan.split())
        assert reader.execute("SELECT count(*) FROM recommendations WHERE user_id = '031234'").fetchone() == (k,)


READER = """
import json, sys, time, duckdb
from pathlib import Path
link, stop = Path(sys.argv[1]), Path(sys.argv[2])
told = {"opens": 0, "errors": [], "mixed": 0, "seen": []}
print("ready", flush=True)
while not stop.exists():
    try:
        with duckdb.connect(str(link), read_only=True) as reader:
            (release,) = reader.execute("SELECT release_id FROM release").fetchone()
            titles = reader.execute("SELECT DISTINCT title FROM recommendations").fetchall()
            (count,) = reader.execute("SELECT count(*) FROM recommendations").fetchone()
    except Exception as error:
        told["errors"].append(repr(error))
        continue
    told["opens"] += 1
    told["mixed"] += titles != [(release,)] or count != 6
    if release not in told["seen"]:
        told["seen"].append(release)
    time.sleep(0.01)
print(json.dumps(told))
"""


def test_readers_see_whole_releases_through_thirty_switches(tmp_path: Path) -> None:
    publish(tmp_path, "r00")
    stop = tmp_path / "stop"
    command = [sys.executable, "-c", READER, str(tmp_path / "recommendations.duckdb"), str(stop)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
        for number in range(1, 31):
            publish(tmp_path, f"r{number:02d}")
    finally:
        stop.touch()
        told = [json.loads(reader.communicate(timeout=60)[0]) for reader in readers]
    assert [(reader["errors"], reader["mixed"]) for reader in told] == [([], 0)] * 4
    assert sum(reader["opens"] for reader in told) > 30
    assert all(len(reader["seen"]) > 1 for reader in told)
    assert len(names(tmp_path)) == 31


BUILDER = """
import sys, time
from pathlib import Path
import pyarrow as pa
from marquee import releases

def endless():
    while True:
        yield pa.record_batch({"number": list(range(10_000)), "text": ["a text of some length"] * 10_000})
        time.sleep(0.01)

print("building", flush=True)
releases.build(Path(sys.argv[1]), sys.argv[2], {"numbers": endless}, ["CREATE TABLE numbers AS FROM input_numbers"])
"""


def test_a_killed_builder_leaves_what_the_next_build_removes(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    builder = subprocess.Popen([sys.executable, "-c", BUILDER, str(tmp_path), "r2"], stdout=subprocess.PIPE, text=True)
    try:
        unfinished = tmp_path / "releases" / ".building-r2.duckdb"
        until = time.monotonic() + 60
        while not unfinished.exists() and time.monotonic() < until:
            time.sleep(0.05)
        with pytest.raises(ReleaseError, match="Another release is being built") as raised:
            releases.build(tmp_path, "r3", inputs("r3"))
        assert raised.value.is_transient
        assert unfinished.exists()  # a build that runs is left alone
    finally:
        builder.kill()
        builder.communicate()
    assert unfinished.exists()
    assert releases.current(tmp_path) == "r1"
    assert not (tmp_path / "releases" / "r2.duckdb").exists()
    publish(tmp_path, "r3")
    assert names(tmp_path) == ["r1.duckdb", "r3.duckdb"]
    assert releases.current(tmp_path) == "r3"


FULL = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from marquee import releases
from marquee.errors import ReleaseError

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
rows = pa.table({"number": [(n * 2654435761) % 2**32 for n in range(500_000)]})
try:
    releases.build(Path(sys.argv[1]), "r2", {"numbers": rows}, ["CREATE TABLE numbers AS FROM input_numbers"])
except ReleaseError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_leaves_nothing(tmp_path: Path) -> None:
    publish(tmp_path, "r1")
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith(f"Can't build release r2 in {tmp_path}: ")
    assert "free some space there" in done.stdout
    assert names(tmp_path) == ["r1.duckdb"]
    assert releases.current(tmp_path) == "r1"
