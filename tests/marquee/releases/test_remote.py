"""Copies in the bucket: whole by their sha256, and readable as Parquet by DuckDB."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from marquee import releases
from marquee.errors import ReleaseError
from marquee.lake.objects import Lake
from marquee.releases import remote
from tests.marquee.releases import small


@pytest.fixture
def copied(fresh_lake: Lake, tmp_path: Path) -> Path:
    """A serving folder whose release r1 is in the bucket too."""
    folder = tmp_path / "here"
    releases.build(folder, "r1", small.inputs("r1", small.lists()), small.DDL)
    remote.upload(fresh_lake, folder, "r1")
    return folder


def test_another_machine_gets_the_same_bytes(fresh_lake: Lake, copied: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    path = remote.bring(fresh_lake, there, "r1")
    assert path.read_bytes() == releases.path_of(copied, "r1").read_bytes()
    assert path.stat().st_mode & 0o777 == 0o444
    assert releases.current(there) is None
    releases.switch(there, "r1")
    with releases.connect(there) as reader:
        assert reader.execute("SELECT count(*) FROM recommend('u1')").fetchone() == (small.K,)
    before = path.stat().st_mtime_ns
    assert remote.bring(fresh_lake, there, "r1").stat().st_mtime_ns == before, "what is here is not fetched again"
    assert [path.name for path in path.parent.iterdir() if path.name != ".switching"] == ["r1.duckdb"]


def test_other_bytes_than_those_of_the_manifest_are_refused(fresh_lake: Lake, copied: Path, tmp_path: Path) -> None:
    key = remote.key_of("r1", releases.LINK)
    fresh_lake.client().put_object(Bucket=fresh_lake.bucket, Key=key, Body=b"half of it")
    with pytest.raises(ReleaseError, match="copy of release r1 in the bucket is not what its manifest tells"):
        remote.bring(fresh_lake, tmp_path / "there", "r1")
    assert list((tmp_path / "there" / "releases").iterdir()) == []
    with pytest.raises(ReleaseError, match="Release r2 has no copy in the bucket"):
        remote.bring(fresh_lake, tmp_path / "there", "r2")


def test_a_copy_that_is_there_is_not_made_again(fresh_lake: Lake, copied: Path) -> None:
    head = fresh_lake.client().head_object
    key = remote.key_of("r1", remote.MANIFEST)
    before = head(Bucket=fresh_lake.bucket, Key=key)["LastModified"]
    made = remote.upload(fresh_lake, copied, "r1")
    assert head(Bucket=fresh_lake.bucket, Key=key)["LastModified"] == before
    assert set(made["files"]) == {releases.LINK, "items.parquet", "recommendations.parquet", "release.parquet"}


def test_duckdb_reads_the_parquet_from_s3(fresh_lake: Lake, copied: Path) -> None:
    """By pyarrow's file system, as docs/operations.md shows it: httpfs is no part of DuckDB's wheel."""
    from pyarrow.dataset import dataset

    key = f"{fresh_lake.bucket}/{remote.key_of('r1', 'recommendations.parquet')}"
    with duckdb.connect() as connection, releases_of(copied) as local:
        connection.register("recommendations", dataset(key, filesystem=fresh_lake.filesystem()))
        query = "FROM recommendations WHERE user_id = 'u1' ORDER BY position"
        assert connection.execute(query).fetchall() == local.execute(query).fetchall()


def releases_of(folder: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(releases.path_of(folder, "r1")), read_only=True)


def test_removing_a_copy_leaves_the_others(fresh_lake: Lake, copied: Path) -> None:
    releases.build(copied, "r10", small.inputs("r10", small.lists()), small.DDL)
    remote.upload(fresh_lake, copied, "r10")
    assert remote.ids(fresh_lake) == ["r1", "r10"]
    remote.remove(fresh_lake, "r1")
    remote.remove(fresh_lake, "r1")
    assert remote.ids(fresh_lake) == ["r10"] and remote.manifest(fresh_lake, "r1") is None
