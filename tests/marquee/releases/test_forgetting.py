"""Forgetting in releases: files and copies without the rows, the same otherwise, and no reader is torn."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from marquee import releases
from marquee.forgetting.subject import Subject
from marquee.lake.objects import Lake
from marquee.releases import files, forgetting, remote
from tests.marquee.releases import small

USER, ITEM = Subject("user", "u1"), Subject("item", "i3")


@pytest.fixture
def folder(fresh_lake: Lake, tmp_path: Path) -> Path:
    """Two releases with copies, one copy without a file here, and one that was rejected."""
    for name in ("r1", "r2", "far", "bad"):
        releases.build(tmp_path, name, small.inputs(name, small.lists()), small.DDL)
        if name != "bad":
            remote.upload(fresh_lake, tmp_path, name)
    releases.path_of(tmp_path, "far").unlink()
    (tmp_path / "releases" / "rejected").mkdir()
    shutil.move(releases.path_of(tmp_path, "bad"), files.rejected_path(tmp_path, "bad"))
    releases.switch(tmp_path, "r2")
    return tmp_path


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as reader:
        return list(reader.execute(query).fetchall())


def test_a_user_leaves_files_and_copies(fresh_lake: Lake, folder: Path, tmp_path: Path) -> None:
    query = "SELECT user_id, position, item_id, release_id FROM recommendations"
    path = releases.path_of(folder, "r1")
    before, sha256 = rows(path, query), files.sha256_of(path)
    with releases.connect(folder) as reader:
        assert forgetting.clean(fresh_lake, folder, USER) == ["far", "r1", "r2"]
        assert reader.execute("SELECT count(*) FROM recommendations").fetchone() == (12,), (
            "an open reader keeps its own"
        )
    for name in ("r1", "r2"):
        path = releases.path_of(folder, name)
        assert b"u1" not in path.read_bytes() and path.stat().st_mode & 0o777 == 0o444
    assert rows(releases.path_of(folder, "r1"), query) == [row for row in before if row[0] != "u1"]
    assert not files.rejected_path(folder, "bad").exists()
    assert releases.current(folder) == "r2"
    for name in ("r1", "r2", "far"):
        fetched = remote.bring(fresh_lake, tmp_path / "there", name)
        assert b"u1" not in fetched.read_bytes()
        for file in (remote.manifest(fresh_lake, name) or {})["files"]:
            key = remote.key_of(name, file)
            body = fresh_lake.client().get_object(Bucket=fresh_lake.bucket, Key=key)["Body"].read()
            assert b"u1" not in body
    assert files.sha256_of(releases.path_of(folder, "r1")) != sha256
    assert forgetting.clean(fresh_lake, folder, USER) == [], "once is enough"
    assert sorted(path.name for path in (folder / "releases").glob(".building-*")) == []


def test_all_else_stays_as_it_was(fresh_lake: Lake, folder: Path) -> None:
    path = releases.path_of(folder, "r1")
    forgetting.clean(fresh_lake, folder, USER)
    assert rows(path, "SELECT position FROM recommend('u0')") == [(1,), (2,), (3,)]
    query = "SELECT comment FROM duckdb_columns() WHERE table_name = 'recommendations' AND column_name = 'position'"
    assert rows(path, query) == [("place in the list",)]
    assert rows(path, "SELECT constraint_type FROM duckdb_constraints() ORDER BY ALL") == [
        ("NOT NULL",),
        ("NOT NULL",),
        ("PRIMARY KEY",),
    ]


def test_an_item_leaves_lists_and_explanations(fresh_lake: Lake, folder: Path) -> None:
    path = releases.path_of(folder, "r1")
    assert rows(path, "SELECT count(*) FROM recommendations WHERE item_id = 'i3'") == [(3,)]
    forgetting.clean(fresh_lake, folder, ITEM)
    assert b"i3" not in path.read_bytes()
    assert rows(path, "SELECT count(*), count(DISTINCT user_id) FROM recommendations") == [(9, 4)]
    because = "SELECT DISTINCT list_transform(because, lambda one: one.item_id) FROM recommendations WHERE user_id = $1"
    assert rows(path, because.replace("$1", "'u3'")) == [(["i11"],)]
    assert rows(path, because.replace("$1", "'u2'")) == [(["i2", "i11"],)]


def test_cut_off_between_file_and_copy_it_goes_on(
    fresh_lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as cut:
        cut.setattr(remote, "send", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            forgetting.clean(fresh_lake, folder, USER)
    assert forgetting.clean(fresh_lake, folder, USER) == ["far", "r1", "r2"]
    for name in ("r1", "r2", "far"):
        key = remote.key_of(name, releases.LINK)
        assert b"u1" not in fresh_lake.client().get_object(Bucket=fresh_lake.bucket, Key=key)["Body"].read()
