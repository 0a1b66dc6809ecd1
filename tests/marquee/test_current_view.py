"""The current view holds the latest rating of a pair, whatever comes in which order, and every row is accounted for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from expectations.contracts import TABLES
from expectations.schema import arrow_schema
from marquee.buckets import bucket_of
from marquee.errors import LakeError
from marquee.lake import acceptance, current_view, tables
from marquee.lake.objects import Lake
from marquee.lake.raw import Manifest, stage
from marquee.sources import locate, recognise

SCHEMAS = {name: arrow_schema(TABLES[name]) for name in ("ratings", "items", "splits", "quarantine")}
HEADER = "userId,movieId,rating,timestamp\n"
Rows = list[tuple[str, str, float, int]]


def prepare(lake: Lake, folder: Path, name: str, rows: Rows, n_buckets: int = 1) -> Manifest:
    """Stage rows as a CSV, and prepare them as the job normalize does."""
    source = folder / name
    source.mkdir()
    (source / "ratings.csv").write_text(HEADER + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in rows))
    manifest = stage(lake, recognise(locate(str(source), folder / "cache")), "2020-01-01T00:00:00+00:00")
    batch = manifest.batch
    table = pa.Table.from_pylist(
        [
            {
                "user_id": user, "item_id": item, "rating": rating, "rated_at": datetime.fromtimestamp(seconds, UTC),
                "source_sha256": manifest.sha256, "source_file": "ratings.csv", "source_line": line,
            }
            for line, (user, item, rating, seconds) in enumerate(rows, start=2)
        ],
        SCHEMAS["ratings"],
    )  # fmt: skip
    buckets = bucket_of(table["user_id"].combine_chunks(), n_buckets)
    parts = tuple(
        tables.write_part(lake, "ratings", batch, table.filter(pa.array(buckets == bucket)), bucket=bucket)
        for bucket in np.unique(buckets).tolist()
    )
    tables.save_prepared(lake, tables.Prepared("ratings", batch, parts, n_buckets))
    items = pa.Table.from_pylist(
        [
            {
                "item_id": item, "title": item, "genres": [], "is_listed": False,
                "source_sha256": manifest.sha256, "source_file": "ratings.csv", "source_line": 2,
            }
            for item in sorted({item for _, item, _, _ in rows})
        ],
        SCHEMAS["items"],
    )  # fmt: skip
    tables.save_prepared(lake, tables.Prepared("items", batch, (tables.write_part(lake, "items", batch, items),)))
    for table_name in ("splits", "quarantine"):
        tables.save_prepared(lake, tables.Prepared(table_name, batch, ()))
    return manifest


def accept(lake: Lake, manifest: Manifest, mode: tables.Mode = "append") -> acceptance.Accepted:
    return acceptance.accept(lake, manifest, SCHEMAS, mode=mode, run_id="run")


def ratings(lake: Lake, version: int | None = None) -> set[tuple[str, str, float, int]]:
    at = tables.current_version(lake, "ratings") if version is None else version
    assert at is not None
    batches = list(tables.read_table(lake, "ratings", at))
    rows = [row for batch in batches for row in batch.to_pylist()]
    found = {(row["user_id"], row["item_id"], row["rating"], int(row["rated_at"].timestamp())) for row in rows}
    assert len({(user, item) for user, item, *_ in found}) == len(rows)
    return found


def quarantine(lake: Lake) -> list[tuple[str, int, str]]:
    version = tables.current_version(lake, "quarantine")
    rows = [row for batch in tables.read_table(lake, "quarantine", version or 0) for row in batch.to_pylist()]
    return sorted((row["raw"], row["source_line"], row["reason"]) for row in rows)


FIRST: Rows = [("a", "x", 1.0, 100), ("a", "y", 2.0, 100), ("b", "x", 3.0, 100), ("c", "z", 4.0, 100)]


@pytest.mark.parametrize(
    ("second", "current", "refused"),
    [
        ([("d", "x", 5.0, 50)], {*FIRST, ("d", "x", 5.0, 50)}, []),
        ([("a", "x", 5.0, 200)], {("a", "x", 5.0, 200), *FIRST[1:]}, []),
        ([("a", "x", 5.0, 50)], set(FIRST), [("a,x,5.0,50", 2, "superseded")]),
        ([("a", "x", 1.0, 100), ("d", "x", 1.0, 1)], {*FIRST, ("d", "x", 1.0, 1)}, [("a,x,1.0,100", 2, "duplicate")]),
        ([("a", "x", 4.5, 100)], {("a", "x", 4.5, 100), *FIRST[1:]}, []),
    ],
    ids=["a new pair", "a later rating", "an earlier rating", "the very same", "a correction"],
)
@pytest.mark.parametrize(("n_first", "n_second"), [(1, 1), (4, 1), (1, 4), (4, 4)])
def test_a_second_batch(
    fresh_lake: Lake,
    tmp_path: Path,
    second: Rows,
    current: set[tuple[str, str, float, int]],
    refused: list[tuple[str, int, str]],
    n_first: int,
    n_second: int,
) -> None:
    accept(fresh_lake, prepare(fresh_lake, tmp_path, "first", FIRST, n_first))
    manifest = prepare(fresh_lake, tmp_path, "second", second, n_second)
    accepted = accept(fresh_lake, manifest)
    assert ratings(fresh_lake) == current
    assert quarantine(fresh_lake) == refused
    assert accepted.n_superseded == len(refused)
    assert ratings(fresh_lake, 0) == set(FIRST)  # history stays readable
    version = accepted.versions["ratings"]
    assert tables.batches(fresh_lake, "ratings", version)[-1] == manifest.batch
    assert tables.n_buckets(fresh_lake, "ratings", version) == max(n_first, n_second)


def test_the_same_batch_again_and_again_changes_nothing(fresh_lake: Lake, tmp_path: Path) -> None:
    manifest = prepare(fresh_lake, tmp_path, "first", FIRST)
    first = accept(fresh_lake, manifest)
    assert [accept(fresh_lake, manifest) for _ in range(2)] == [first, first]
    assert acceptance.is_accepted(fresh_lake, manifest.batch, "append")
    assert acceptance.is_accepted(fresh_lake, manifest.batch, "replace")


def test_replace_is_all_there_is_and_what_was_before_may_come_again(fresh_lake: Lake, tmp_path: Path) -> None:
    first = prepare(fresh_lake, tmp_path, "first", FIRST)
    second = prepare(fresh_lake, tmp_path, "second", [("d", "x", 5.0, 50)])
    accept(fresh_lake, first)
    accept(fresh_lake, second, "replace")
    assert ratings(fresh_lake) == {("d", "x", 5.0, 50)}
    assert not acceptance.is_accepted(fresh_lake, first.batch, "append")
    accept(fresh_lake, first)
    assert ratings(fresh_lake) == {*FIRST, ("d", "x", 5.0, 50)}


def test_many_batches_at_once_lose_nothing(fresh_lake: Lake, tmp_path: Path) -> None:
    manifests = [
        prepare(fresh_lake, tmp_path, f"b{n}", [("a", "x", 1.0 + n / 2, 100 + n), (f"u{n}", "y", 2.0, 1)], 2)
        for n in range(6)
    ]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda manifest: accept(fresh_lake, manifest), [*manifests, *manifests]))
    assert len(done) == 12
    assert ratings(fresh_lake) == {("a", "x", 3.5, 105), *((f"u{n}", "y", 2.0, 1) for n in range(6))}
    # every earlier rating of the pair was either in the table before, or is in quarantine
    version = tables.current_version(fresh_lake, "ratings")
    assert version == 5
    assert sorted(tables.batches(fresh_lake, "ratings", version)) == sorted(one.batch for one in manifests)


def test_a_killed_accept_is_taken_up(fresh_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept(fresh_lake, prepare(fresh_lake, tmp_path, "first", FIRST))
    manifest = prepare(fresh_lake, tmp_path, "second", [("a", "x", 5.0, 50), ("e", "x", 5.0, 50)])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(acceptance, "superseded_rows", killed)
        accept(fresh_lake, manifest)
    assert ratings(fresh_lake) == {*FIRST, ("e", "x", 5.0, 50)}
    assert not acceptance.is_accepted(fresh_lake, manifest.batch, "append")
    accept(fresh_lake, manifest)
    assert acceptance.is_accepted(fresh_lake, manifest.batch, "append")
    assert quarantine(fresh_lake) == [("a,x,5.0,50", 2, "superseded")]


def test_sums_add_up(fresh_lake: Lake, tmp_path: Path) -> None:
    accept(fresh_lake, prepare(fresh_lake, tmp_path, "first", FIRST))
    second = prepare(fresh_lake, tmp_path, "second", [("a", "x", 2.5, 300)])
    prepared = tables.load_prepared(fresh_lake, "ratings", second.batch)
    current_view.merge(
        fresh_lake,
        prepared,
        SCHEMAS["ratings"],
        mode="append",
        repeated="sum",
        metadata={},
        before_commit=lambda *_: None,
    )
    assert ratings(fresh_lake) == {("a", "x", 3.5, 300), *FIRST[1:]}


def test_a_catalogue_keeps_its_titles_when_an_item_is_only_rated(fresh_lake: Lake, tmp_path: Path) -> None:
    first = prepare(fresh_lake, tmp_path, "first", FIRST)
    listed = pa.Table.from_pylist(
        [{"item_id": "x", "title": "The X", "genres": [], "is_listed": True, "source_sha256": first.sha256,
          "source_file": "movies.csv", "source_line": 2}],
        SCHEMAS["items"],
    )  # fmt: skip
    part = tables.write_part(fresh_lake, "items", first.batch, listed)
    tables.save_prepared(fresh_lake, tables.Prepared("items", first.batch, (part,)))
    accept(fresh_lake, first)
    accept(fresh_lake, prepare(fresh_lake, tmp_path, "second", [("q", "x", 1.0, 1), ("q", "new", 1.0, 1)]))
    version = tables.current_version(fresh_lake, "items") or 0
    rows = [row for batch in tables.read_table(fresh_lake, "items", version) for row in batch.to_pylist()]
    assert {row["item_id"]: (row["title"], row["is_listed"]) for row in rows} == {
        "x": ("The X", True),
        "new": ("new", False),
    }


def test_hashes_never_change() -> None:
    """FNV-1a, folded: tables in use are divided by it."""

    def slow(text: str) -> int:
        value = 0xCBF29CE484222325
        for byte in text.encode():
            value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
        return (value ^ (value >> 32)) & 0xFFFFFFFF

    ids = ["", "1", "a@b.example", "日本", "x" * 256, *(str(n) for n in range(200))]
    assert bucket_of(pa.array(ids), 1024).tolist() == [slow(text) % 1024 for text in ids]
    assert bucket_of(pa.array(ids)[3:7], 8).tolist() == [slow(text) % 8 for text in ids[3:7]]


def test_what_is_not_prepared_is_refused(fresh_lake: Lake, tmp_path: Path) -> None:
    source = tmp_path / "ratings.csv"
    source.write_text(HEADER + "1,2,3,4\n")
    manifest = stage(fresh_lake, recognise(locate(str(source), tmp_path / "cache")), "2020-01-01T00:00:00+00:00")
    with pytest.raises(LakeError, match="no prepared parts"):
        accept(fresh_lake, manifest)


def test_a_bucket_of_many_parts_becomes_one(fresh_lake: Lake, tmp_path: Path) -> None:
    for n in range(current_view.PARTS_OF_A_BUCKET + 2):
        accept(fresh_lake, prepare(fresh_lake, tmp_path, f"b{n}", [(f"u{n}", "x", 1.0, 1)]))
    version = tables.current_version(fresh_lake, "ratings")
    assert len(tables.parts_of(tables.open_table(fresh_lake, "ratings", version))) < current_view.PARTS_OF_A_BUCKET
    assert len(ratings(fresh_lake)) == current_view.PARTS_OF_A_BUCKET + 2
