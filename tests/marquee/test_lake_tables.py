"""Delta tables of the lake: prepared parts are invisible, a commit is exactly once, versions are pinned."""

from __future__ import annotations

import json
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marquee.errors import LakeError
from marquee.lake import tables
from marquee.lake.objects import Lake, lake_errors

SCHEMA = pa.schema([("item_id", pa.string()), ("n", pa.int64())])


def prepare(lake: Lake, table: str, batch: str, rows: dict[str, int]) -> tables.Prepared:
    """What a Spark job leaves: two parts and their listing."""
    data = pa.table({"item_id": list(rows), "n": list(rows.values())}, schema=SCHEMA)
    parts = []
    for at, piece in enumerate((data.slice(0, 1), data.slice(1))):
        path = tables.part_path(batch, f"part-{at}.parquet")
        full = f"{lake.bucket}/{tables.folder(table)}/{path}"
        pq.write_table(piece, full, filesystem=lake.filesystem())
        parts.append(tables.Part(path, int(lake.filesystem().get_file_info(full).size), piece.num_rows))
    prepared = tables.Prepared(table, batch, tuple(parts))
    tables.save_prepared(lake, prepared)
    return prepared


def rows(lake: Lake, table: str, version: int) -> dict[str, int]:
    found = pa.Table.from_batches(tables.read_table(lake, table, version), SCHEMA).to_pylist()
    assert len({row["item_id"] for row in found}) == len(found)
    return {row["item_id"]: row["n"] for row in found}


def commit(lake: Lake, prepared: tables.Prepared, mode: tables.Mode = "append") -> int:
    return tables.commit(lake, prepared, SCHEMA, mode=mode, metadata={"marquee.ingest_run_id": f"run-{prepared.batch}"})


def test_prepared_parts_are_in_no_version(fresh_lake: Lake) -> None:
    prepared = prepare(fresh_lake, "t", "a", {"x": 1, "y": 2})
    assert not tables.exists(fresh_lake, "t")
    assert tables.current_version(fresh_lake, "t") is None
    assert tables.load_prepared(fresh_lake, "t", "a") == prepared
    assert pa.concat_tables(tables.read_parts(fresh_lake, prepared)).to_pydict() == {"item_id": ["x", "y"], "n": [1, 2]}


def test_versions_stay_as_they_were(fresh_lake: Lake) -> None:
    first = commit(fresh_lake, prepare(fresh_lake, "t", "a", {"x": 1, "y": 2}))
    second = commit(fresh_lake, prepare(fresh_lake, "t", "b", {"z": 3}))
    third = commit(fresh_lake, prepare(fresh_lake, "t", "c", {"w": 4}), mode="replace")
    assert [first, second, third] == [0, 1, 2]
    assert rows(fresh_lake, "t", 0) == {"x": 1, "y": 2}
    assert rows(fresh_lake, "t", 1) == {"x": 1, "y": 2, "z": 3}
    assert rows(fresh_lake, "t", 2) == {"w": 4}
    assert tables.batches(fresh_lake, "t", 1) == ["a", "b"]
    assert [entry["marquee.ingest_run_id"] for entry in tables.history(fresh_lake, "t")] == ["run-c", "run-b", "run-a"]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_the_same_batch_again_writes_nothing(fresh_lake: Lake, mode: tables.Mode) -> None:
    prepared = prepare(fresh_lake, "t", "a", {"x": 1, "y": 2})
    assert [commit(fresh_lake, prepared, mode) for _ in range(3)] == [0, 0, 0]
    assert len(tables.history(fresh_lake, "t")) == 1


def test_a_replaced_batch_can_come_back(fresh_lake: Lake) -> None:
    a, b = prepare(fresh_lake, "t", "a", {"x": 1}), prepare(fresh_lake, "t", "b", {"y": 2})
    assert [commit(fresh_lake, each, "replace") for each in (a, b, a)] == [0, 1, 2]
    assert rows(fresh_lake, "t", 2) == {"x": 1}


def test_two_writers_of_one_batch_leave_it_once(fresh_lake: Lake) -> None:
    commit(fresh_lake, prepare(fresh_lake, "t", "a", {"x": 1}))
    prepared = prepare(fresh_lake, "t", "b", {"y": 2, "z": 3})
    errors: list[LakeError] = []
    start = threading.Barrier(4)

    def write() -> None:
        start.wait()
        try:
            commit(fresh_lake, prepared)
        except LakeError as error:
            errors.append(error)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert all(error.is_transient for error in errors)
    newest = tables.current_version(fresh_lake, "t")
    assert newest is not None
    assert rows(fresh_lake, "t", newest) == {"x": 1, "y": 2, "z": 3}


def test_upsert_replaces_rows_of_the_same_key(fresh_lake: Lake) -> None:
    tables.upsert(fresh_lake, prepare(fresh_lake, "t", "a", {"x": 1, "y": 2}), SCHEMA, key="item_id", metadata={})
    version = tables.upsert(
        fresh_lake, prepare(fresh_lake, "t", "b", {"y": 5, "z": 3}), SCHEMA, key="item_id", metadata={}
    )
    assert rows(fresh_lake, "t", version) == {"x": 1, "y": 5, "z": 3}
    assert rows(fresh_lake, "t", 0) == {"x": 1, "y": 2}


def test_a_batch_is_merged_once_until_the_table_is_replaced(fresh_lake: Lake) -> None:
    def upsert(batch: str, content: dict[str, int]) -> int:
        prepared = prepare(fresh_lake, "t", batch, content)
        return tables.upsert(fresh_lake, prepared, SCHEMA, key="item_id", metadata={})

    assert [upsert("a", {"x": 1}), upsert("b", {"x": 2, "y": 2})] == [0, 1]
    # again: nothing is written, and what came later stays
    assert [upsert("a", {"x": 1}), upsert("b", {"x": 2, "y": 2})] == [1, 1]
    assert rows(fresh_lake, "t", 1) == {"x": 2, "y": 2}
    assert commit(fresh_lake, prepare(fresh_lake, "t", "c", {"z": 3}), mode="replace") == 2
    assert [upsert("a", {"x": 1}), upsert("c", {"z": 3})] == [3, 3]
    assert rows(fresh_lake, "t", 3) == {"x": 1, "z": 3}


def test_a_batch_without_rows_writes_nothing_twice(fresh_lake: Lake) -> None:
    nothing = [tables.Prepared("t", batch, ()) for batch in ("a", "b")]
    assert [commit(fresh_lake, nothing[0]) for _ in range(2)] == [0, 0]
    assert [commit(fresh_lake, nothing[1], "replace"), commit(fresh_lake, nothing[1])] == [1, 1]
    assert commit(fresh_lake, prepare(fresh_lake, "t", "c", {"x": 1})) == 2
    assert [commit(fresh_lake, nothing[0]) for _ in range(2)] == [3, 3]
    assert tables.batches(fresh_lake, "t", 3) == ["b", "c", "a"]
    assert [commit(fresh_lake, nothing[0], "replace") for _ in range(2)] == [4, 4]
    assert rows(fresh_lake, "t", 4) == {}


def test_a_vacuum_takes_no_batch_away(fresh_lake: Lake) -> None:
    """It commits too, and knows nothing of batches: an ingest of the same bytes must still be recognised."""
    first, second = prepare(fresh_lake, "t", "a", {"x": 1}), prepare(fresh_lake, "t", "b", {"y": 2})
    commit(fresh_lake, first)
    commit(fresh_lake, second, mode="replace")
    tables.open_table(fresh_lake, "t").vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    version = tables.current_version(fresh_lake, "t")
    assert version is not None and version > 1
    assert tables.batches(fresh_lake, "t", version) == ["b"]
    assert commit(fresh_lake, second) == version
    assert tables.batches(fresh_lake, "t", commit(fresh_lake, prepare(fresh_lake, "t", "c", {"z": 3}))) == ["b", "c"]


def test_what_is_not_there_is_said(fresh_lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"Table t does not exist .* ingest ratings first"):
        tables.open_table(fresh_lake, "t")
    with pytest.raises(LakeError, match="Batch a has no prepared parts of table t"):
        tables.load_prepared(fresh_lake, "t", "a")
    commit(fresh_lake, prepare(fresh_lake, "t", "a", {"x": 1}))
    with pytest.raises(LakeError, match="version 7"):
        tables.open_table(fresh_lake, "t", 7)


def test_listings_are_plain_json(fresh_lake: Lake) -> None:
    prepare(fresh_lake, "t", "a", {"x": 1})
    listing = fresh_lake.read_json(tables.prepared_key("t", "a"))
    assert json.loads(json.dumps(listing))["parts"][0]["rows"] == 1


def test_a_full_disk_leaves_the_table_as_it_was(small_lake: Lake) -> None:
    first = commit(small_lake, prepare(small_lake, "t", "a", {"x": 1, "y": 2}))
    prepared = prepare(small_lake, "t", "b", {"z": 3})
    with pytest.raises(LakeError, match="free space"), lake_errors("fill", small_lake):
        for number in range(30):
            small_lake.client().put_object(Bucket=small_lake.bucket, Key=f"fill/{number}", Body=bytes(3_000_000))
    with pytest.raises(LakeError, match="free space"):
        commit(small_lake, prepared)
    assert tables.current_version(small_lake, "t") == first
    assert rows(small_lake, "t", first) == {"x": 1, "y": 2}
