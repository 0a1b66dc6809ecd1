"""Rows taken out of Delta tables: the others, the batches and the buckets stay; the id is in no byte that is left."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from marquee.buckets import bucket_of
from marquee.errors import LakeError
from marquee.forgetting import logs, rows
from marquee.forgetting.edits import Edit
from marquee.forgetting.objects import keys, read_bytes
from marquee.forgetting.subject import Subject
from marquee.lake import tables
from marquee.lake.objects import Lake

RATINGS = pa.schema([("user_id", pa.string()), ("item_id", pa.string()), ("n", pa.int64())])
ITEMS = pa.schema([("item_id", pa.string()), ("title", pa.string()), ("genres", pa.list_(pa.string()))])
QUARANTINE = pa.schema(
    [("source_sha256", pa.string()), ("source_file", pa.string()), ("source_line", pa.int64()), ("raw", pa.string())]
)
#: An id that is hard to quote, wherever it may be quoted.
WEIRD = 'o\'neil "x" \\ %_ \u00e9\u4e2d; -- anna@example.org'
REQUEST = "11111111-2222-4333-8444-555555555555"
N_BUCKETS = 4


def prepared_ratings(lake: Lake, batch: str, content: list[tuple[str, str]]) -> tables.Prepared:
    data = pa.table({"user_id": [u for u, _ in content], "item_id": [i for _, i in content]})
    data = data.append_column("n", pa.array(range(len(content)), pa.int64())).cast(RATINGS)
    buckets = bucket_of(data["user_id"].combine_chunks(), N_BUCKETS)
    parts = tuple(
        tables.write_part(lake, "ratings", batch, data.filter(pa.array(buckets == bucket)), bucket=bucket)
        for bucket in sorted(set(buckets.tolist()))
    )
    prepared = tables.Prepared("ratings", batch, parts, N_BUCKETS)
    tables.save_prepared(lake, prepared)
    return prepared


def commit(lake: Lake, prepared: tables.Prepared, schema: pa.Schema) -> int:
    return tables.commit(lake, prepared, schema, mode="append", metadata={"marquee.ingest_run_id": "run"})


def content(lake: Lake, table: str, version: int | None = None) -> list[dict[str, Any]]:
    found = tables.current_version(lake, table) if version is None else version
    assert found is not None
    return [row for batch in tables.read_table(lake, table, found) for row in batch.to_pylist()]


def holders(lake: Lake, text: str) -> list[str]:
    """Keys of the objects that hold a text: in their bytes, or in a value of their Parquet columns."""
    found = []
    spelt = {text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}
    for key in keys(lake, ""):
        body = read_bytes(lake, key)
        texts = [body]
        if key.endswith(".parquet"):
            texts.append(repr(pq.read_table(io.BytesIO(body)).to_pylist()).encode())
            spelt.add(repr(text)[1:-1].encode())
        if any(one in of for one in spelt for of in texts):
            found.append(key)
    return found


def take_out(lake: Lake, table: str, subject: Subject, edits: Mapping[str, list[Edit]] | None = None) -> int | None:
    version = rows.take_out(lake, table, rows.cleaner_of(table, subject, edits or {}), REQUEST)
    logs.strip(lake, table, subject)
    return version


@pytest.mark.parametrize("user", [WEIRD, "5", "anna@example.org"])
def test_a_users_rows_leave_their_bucket_and_no_trace(fresh_lake: Lake, user: str) -> None:
    a = [(user, "1"), ("b", user), ("c", "1"), (f"{user}5", "1")]
    b = [(user, "2"), *((f"u{at}", "1") for at in range(20))]
    commit(fresh_lake, prepared_ratings(fresh_lake, "a", a), RATINGS)
    commit(fresh_lake, prepared_ratings(fresh_lake, "b", b), RATINGS)
    subject = Subject("user", user)
    before = set(tables.parts_of(tables.open_table(fresh_lake, "ratings")))

    assert take_out(fresh_lake, "ratings", subject) == 2
    left = sorted((row["user_id"], row["item_id"]) for row in content(fresh_lake, "ratings"))
    assert left == sorted(pair for pair in (*a, *b) if pair[0] != user)
    # what the next ingest and the next training ask a version for
    assert tables.batches(fresh_lake, "ratings", 2) == ["a", "b"]
    assert tables.n_buckets(fresh_lake, "ratings", 2) == N_BUCKETS
    delta = tables.open_table(fresh_lake, "ratings")
    bucket = int(bucket_of(pa.array([user]), N_BUCKETS)[0])
    assert {tables.buckets_of(delta)[path] for path in set(tables.parts_of(delta)) - before} == {bucket}
    for path, of in tables.buckets_of(delta).items():
        users = tables.read_part(fresh_lake, "ratings", path)["user_id"].combine_chunks()
        assert np.all(bucket_of(users, N_BUCKETS) == of)
    assert rows.removed_rows(fresh_lake, "ratings", REQUEST) == (2, 2)
    # the listings of what was prepared name the same parts, so that they can still be read
    for batch in ("a", "b"):
        for part in tables.read_parts(fresh_lake, tables.load_prepared(fresh_lake, "ratings", batch)):
            assert user not in part["user_id"].to_pylist()
    if user != "5":
        kept = {f"tables/ratings/{path}" for path in tables.parts_of(delta)}
        assert set(holders(fresh_lake, user)) <= kept, "the id is an item's in some rows that stay, and nowhere else"


def test_again_nothing_happens(fresh_lake: Lake) -> None:
    commit(fresh_lake, prepared_ratings(fresh_lake, "a", [("x", "1"), ("y", "1")]), RATINGS)
    subject = Subject("user", "x")
    assert take_out(fresh_lake, "ratings", subject) == 1
    before = {key: read_bytes(fresh_lake, key) for key in keys(fresh_lake, "")}
    assert take_out(fresh_lake, "ratings", subject) is None
    assert {key: read_bytes(fresh_lake, key) for key in keys(fresh_lake, "")} == before
    assert rows.removed_rows(fresh_lake, "ratings", REQUEST) == (1, 1)


def test_the_only_user_leaves_an_empty_table(fresh_lake: Lake) -> None:
    commit(fresh_lake, prepared_ratings(fresh_lake, "a", [(WEIRD, "1")]), RATINGS)
    take_out(fresh_lake, "ratings", Subject("user", WEIRD))
    assert content(fresh_lake, "ratings") == [] and holders(fresh_lake, WEIRD) == []
    # and what comes later comes in
    commit(fresh_lake, prepared_ratings(fresh_lake, "b", [("y", "1")]), RATINGS)
    assert [row["user_id"] for row in content(fresh_lake, "ratings")] == ["y"]
    assert tables.batches(fresh_lake, "ratings", 2) == ["a", "b"]


def test_versions_without_the_user_stay_readable(fresh_lake: Lake) -> None:
    commit(fresh_lake, prepared_ratings(fresh_lake, "a", [("y", "1")]), RATINGS)
    commit(fresh_lake, prepared_ratings(fresh_lake, "b", [("x", "1")]), RATINGS)
    take_out(fresh_lake, "ratings", Subject("user", "x"))
    assert [row["user_id"] for row in content(fresh_lake, "ratings", 0)] == ["y"]
    with pytest.raises(LakeError):
        content(fresh_lake, "ratings", 1)


def test_what_is_only_prepared_and_what_is_left_over_loses_its_rows(fresh_lake: Lake) -> None:
    prepared_ratings(fresh_lake, "a", [("x", "1"), ("y", "1")])
    tables.write_part(fresh_lake, "ratings", "dead", pa.table({"user_id": ["x"], "item_id": ["1"], "n": [1]}))
    fresh_lake.client().put_object(
        Bucket=fresh_lake.bucket, Key="tables/ratings/parts/dead/cut-off.parquet", Body=b"PAR1x"
    )
    witnesses = io.BytesIO()
    pq.write_table(pa.table({"user_id": ["x", "y"], "item_id": ["1", "1"], "n": [1, 1]}), witnesses)
    key = "prepared/ratings/a.witnesses.parquet"
    fresh_lake.client().put_object(Bucket=fresh_lake.bucket, Key=key, Body=witnesses.getvalue())
    fresh_lake.write_json("prepared/ratings/a.profile.json", {"n_rows": 2})

    assert take_out(fresh_lake, "ratings", Subject("user", "x")) is None
    assert rows.tables_of(fresh_lake) == ["ratings"]
    listing = tables.load_prepared(fresh_lake, "ratings", "a")
    assert listing.rows == 1 and listing.n_buckets == N_BUCKETS
    assert [row for part in tables.read_parts(fresh_lake, listing) for row in part["user_id"].to_pylist()] == ["y"]
    assert keys(fresh_lake, "tables/ratings/parts/dead/") == []
    assert pq.read_table(io.BytesIO(read_bytes(fresh_lake, key)))["user_id"].to_pylist() == ["y"]
    assert commit(fresh_lake, listing, RATINGS) == 0


def test_a_damaged_part_of_the_table_is_said(fresh_lake: Lake) -> None:
    prepared = prepared_ratings(fresh_lake, "a", [("x", "1")])
    commit(fresh_lake, prepared, RATINGS)
    key = f"tables/ratings/{prepared.parts[0].path}"
    fresh_lake.client().put_object(Bucket=fresh_lake.bucket, Key=key, Body=b"PAR1x")
    with pytest.raises(LakeError, match="is no whole Parquet file"):
        take_out(fresh_lake, "ratings", Subject("user", "x"))
    assert keys(fresh_lake, key) == [key]


def test_an_item_leaves_a_merged_catalogue_and_its_log(fresh_lake: Lake) -> None:
    item = "an item that nobody is to see any more, with a long name"

    def upsert(batch: str, names: list[str]) -> None:
        data = pa.table({"item_id": names, "title": names, "genres": [["x"]] * len(names)}, schema=ITEMS)
        prepared = tables.Prepared("items", batch, (tables.write_part(fresh_lake, "items", batch, data),))
        tables.save_prepared(fresh_lake, prepared)
        tables.upsert(fresh_lake, prepared, ITEMS, key="item_id", metadata={})

    upsert("a", ["b", "c"])
    upsert("b", [item, "d"])
    upsert("c", [item, "zz"])
    tables.open_table(fresh_lake, "items").create_checkpoint()
    assert any("_delta_log" in key for key in holders(fresh_lake, item[:32]))
    take_out(fresh_lake, "items", Subject("item", item))
    assert sorted(row["item_id"] for row in content(fresh_lake, "items")) == ["b", "c", "d", "zz"]
    version = tables.current_version(fresh_lake, "items")
    assert version is not None and tables.batches(fresh_lake, "items", version) == ["a", "b", "c"]
    assert holders(fresh_lake, item[:32]) == []
    upsert("d", ["e"])
    assert len(content(fresh_lake, "items")) == 5


def test_quarantine_by_places_and_sentences_by_words(fresh_lake: Lake) -> None:
    places = [("s1", "a.csv", 2, "x"), ("s1", "b.csv", 2, "y"), ("s2", "a.csv", 2, "z"), ("s1", "a.csv", 7, "x")]
    data = pa.table([pa.array(column) for column in zip(*places, strict=True)], schema=QUARANTINE)
    prepared = tables.Prepared(
        "quarantine", "a+superseded-3", (tables.write_part(fresh_lake, "quarantine", "a", data),)
    )
    tables.save_prepared(fresh_lake, prepared)
    commit(fresh_lake, prepared, QUARANTINE)
    edit = Edit("a.csv", None, "", "a.csv", "delimited", "utf-8", 2, ((2, 3), (6, 9)), is_whole=True)
    take_out(fresh_lake, "quarantine", Subject("user", "whoever"), {"s1": [edit]})
    assert [(row["source_sha256"], row["source_file"]) for row in content(fresh_lake, "quarantine")] == [
        ("s1", "b.csv"),
        ("s2", "a.csv"),
    ]
    assert tables.load_prepared(fresh_lake, "quarantine", "a+superseded-3").rows == 2


def test_sentences_of_data_quality_lose_the_word_only(fresh_lake: Lake) -> None:
    from deltalake import write_deltalake

    told = pa.table({"batch": ["a", "a"], "observed": ["x7", None], "sentence": ["rating of x7 and x77 (x7)", "fine"]})
    write_deltalake(fresh_lake.uri(tables.folder("data_quality")), told, storage_options=fresh_lake.storage_options())
    take_out(fresh_lake, "data_quality", Subject("user", "x7"))
    assert [(row["observed"], row["sentence"]) for row in content(fresh_lake, "data_quality")] == [
        ("(forgotten)", "rating of (forgotten) and x77 ((forgotten))"),
        (None, "fine"),
    ]
    assert holders(fresh_lake, "x7 ") == []
