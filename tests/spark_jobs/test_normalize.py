"""The normalize job on real Spark and a real S3 server: every row is accounted for."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from expectations.contracts import TABLES
from expectations.prepared import load_profile, load_witnesses
from marquee import buckets
from marquee.lake import outcome, pieces, tables
from marquee.lake.objects import Lake
from marquee.lake.raw import Redaction, manifest_key, stage
from marquee.sources import locate, recognise
from marquee.sources.reading import RatingsReading, Source
from spark_jobs import normalize

RECEIVED_AT = "2020-01-01T00:00:00+00:00"
HEADER = "userId,movieId,rating,timestamp\n"


def run(lake: Lake, source: Path, *arguments: str) -> tuple[int, outcome.Outcome, str]:
    manifest = stage(lake, recognise(locate(str(source), source.parent / "cache")), RECEIVED_AT)
    where = outcome.key("test", manifest.batch)
    code = normalize.main(["--batch", manifest.batch, "--outcome", where, *arguments])
    left = outcome.load(lake, where)
    assert left is not None
    return code, left, manifest.batch


def prepared(lake: Lake, table: str, batch: str) -> list[dict[str, Any]]:
    parts = list(tables.read_parts(lake, tables.load_prepared(lake, table, batch)))
    rows = pa.concat_tables(parts).to_pylist() if parts else []
    assert not rows or list(rows[0]) == TABLES[table].column_names
    return rows


def write(folder: Path, ratings: str, movies: str | None = None) -> Path:
    folder.mkdir()
    (folder / "ratings.csv").write_text(HEADER + ratings)
    if movies is not None:
        (folder / "movies.csv").write_text("movieId,title,genres\n" + movies)
    return folder


def test_every_row_is_in_exactly_one_table(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    source = write(
        tmp_path / "mixed",
        "1,10,4.0,100\n1,11,3.0,100\n2,10,9.0,100\n1,10,2.0,200\n2,12,2.5,100\n2,10\n",
        "10,Alien,Horror|Sci-Fi\n11,Heat,Crime\n10,Alien (1979),Horror\n",
    )
    code, left, batch = run(lake, source, "--max-quarantined", "0.5")
    assert (code, left.error) == (0, "")
    assert left.result["reasons"] == {"rating_out_of_range": 1, "superseded": 2, "wrong_field_count": 1}
    assert left.result["read"] == 9 == left.result["accepted"] + left.result["quarantined"]
    assert left.result["accepted"] == left.result["ratings"] + left.result["items"]
    ratings = {(row["user_id"], row["item_id"]): row for row in prepared(lake, "ratings", batch)}
    assert {pair: (row["rating"], row["source_line"]) for pair, row in ratings.items()} == {
        ("1", "10"): (2.0, 5),
        ("1", "11"): (3.0, 3),
        ("2", "12"): (2.5, 6),
    }
    assert {row["item_id"]: (row["title"], row["genres"]) for row in prepared(lake, "items", batch)} == {
        "10": ("Alien (1979)", ["Horror"]),
        "11": ("Heat", ["Crime"]),
        "12": ("12", []),
    }
    quarantine = sorted(
        (row["source_file"], row["source_line"], row["reason"], row["raw"])
        for row in prepared(lake, "quarantine", batch)
    )
    assert [(line, reason, raw) for _, line, reason, raw in quarantine] == [
        (2, "superseded", "10,Alien,Horror|Sci-Fi"),
        (2, "superseded", "1,10,4.0,100"),
        (4, "rating_out_of_range", "2,10,9.0,100"),
        (7, "wrong_field_count", "2,10"),
    ]


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        (
            "1,10,bad,100\n1,11,4.0,100\n",
            "1 of 2 ratings (50.0%) break a rule, more than the 1.0% allowed (1 rating_not_a_number): ",
        ),
        ("", "holds no ratings"),
    ],
)
def test_a_batch_that_is_mostly_bad_is_refused(
    spark: SparkSession, lake: Lake, tmp_path: Path, ratings: str, words: str
) -> None:
    code, left, _ = run(lake, write(tmp_path / "bad", ratings))
    assert code == 1
    assert words in left.error
    assert not left.is_transient


def test_an_executors_sentence_arrives(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    source = tmp_path / "stars.csv"
    source.write_text("who,what,stars\n1,2,3\n")
    reading = Source(name="stars", ratings=RatingsReading(columns={"user_id": "who", "item_id": "what", "rating": "r"}))
    manifest = stage(lake, recognise(locate(str(source), tmp_path / "cache"), reading), RECEIVED_AT)
    assert normalize.main(["--batch", manifest.batch, "--outcome", "runs/stars"]) == 1
    left = outcome.load(lake, "runs/stars")
    assert left is not None
    assert left.error.startswith("stars.csv, line 1: no column 'r'. The first line has to name ")
    assert not left.is_transient


def test_the_real_data_as_folder_and_as_archive(
    spark: SparkSession, lake: Lake, shared_data: Path, tmp_path: Path
) -> None:
    small = shared_data / "ml-latest-small"
    _, folder, of_folder = run(lake, small)
    _, archive, of_archive = run(lake, small / "ml-latest-small.zip")
    for left in (folder, archive):
        assert (left.result["read"], left.result["ratings"], left.result["items"], left.result["quarantined"]) == (
            110_578,
            100_836,
            9_742,
            0,
        )
    key = ("user_id", "item_id", "rating", "rated_at", "source_line")
    assert {tuple(row[name] for name in key) for row in prepared(lake, "ratings", of_folder)} == {
        tuple(row[name] for name in key) for row in prepared(lake, "ratings", of_archive)
    }
    with zipfile.ZipFile(small / "ml-latest-small.zip") as file:
        lines = file.read("ml-latest-small/ratings.csv").decode().splitlines()
    row = prepared(lake, "ratings", of_archive)[12_345]
    assert lines[row["source_line"] - 1].split(",")[:2] == [row["user_id"], row["item_id"]]
    profile = load_profile(lake, of_archive)
    assert (profile.n_rows, profile.n_users, profile.n_items, profile.n_repeated) == (100_836, 610, 9_724, 0)
    assert len(load_witnesses(lake, "ratings", of_archive)) > 0


def test_movielens_100k_with_its_published_folds(spark: SparkSession, lake: Lake, shared_data: Path) -> None:
    _, left, batch = run(lake, shared_data / "ml-100k")
    assert (left.result["ratings"], left.result["items"], left.result["quarantined"]) == (100_000, 1_682, 0)
    titles = {row["item_id"]: row["title"] for row in prepared(lake, "items", batch)}
    assert titles["1"] == "Toy Story (1995)"
    splits = prepared(lake, "splits", batch)
    # the five test sides are disjoint, and together all there is
    assert {row["split"] for row in splits} == {"u1", "u2", "u3", "u4", "u5"}
    assert len({(row["user_id"], row["item_id"]) for row in splits}) == len(splits) == 100_000


def test_groceries(spark: SparkSession, lake: Lake, shared_data: Path) -> None:
    _, left, batch = run(lake, shared_data / "groceries" / "groceries.basket.csv")
    assert (left.result["read"], left.result["ratings"], left.result["quarantined"]) == (43_367, 43_367, 0)
    ratings = prepared(lake, "ratings", batch)
    assert {row["rated_at"] for row in ratings} == {None}
    assert len({row["item_id"] for row in ratings}) == 169 == len(prepared(lake, "items", batch))


def test_a_file_in_pieces_and_buckets_is_the_same_as_in_one(
    spark: SparkSession, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many pieces in many tasks, many buckets; some rows bad, some twice, across pieces."""
    rows = [f"u{n % 53},i{n % 47},{(n % 10 + 1) / 2},{1000 + n % 7}\n" for n in range(4_000)]
    rows[1_234] = "u1,i2,9,100\n"
    rows[2_345] = "u1,i2\n"
    source = write(tmp_path / "pieces", "".join(rows))
    manifest = stage(lake, recognise(locate(str(source), tmp_path / "cache")), RECEIVED_AT, cut_bytes=5_000)
    assert len(manifest.files[0].index) > 10
    arguments = ["--batch", manifest.batch, "--outcome", "runs/pieces", "--max-quarantined", "1"]
    found = []
    for group, bucket in ((10_000_000, 10_000_000), (8_000, 4_000)):
        monkeypatch.setattr(pieces, "BYTES_OF_A_GROUP", group)
        monkeypatch.setattr(buckets, "BYTES_OF_A_BUCKET", bucket)
        assert normalize.main(arguments) == 0
        left = outcome.load(lake, "runs/pieces")
        assert left is not None
        tables_of = {
            name: sorted(map(str, prepared(lake, name, manifest.batch))) for name in ("ratings", "quarantine", "items")
        }
        found.append((left.result, tables_of, load_profile(lake, manifest.batch)))
    assert found[0] == found[1]
    assert tables.load_prepared(lake, "ratings", manifest.batch).n_buckets == 32
    result = found[0][0]
    assert result["read"] == 4_000 == result["ratings"] + result["quarantined"]
    assert {"rating_out_of_range", "wrong_field_count", "superseded"} <= set(result["reasons"])


def test_events_add_up(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    source = tmp_path / "events.csv"
    source.write_text("who,what,times,at\na,x,2,100\na,x,3,50\nb,x,1,10\n")
    reading = Source(
        name="events",
        ratings=RatingsReading(
            columns={"user_id": "who", "item_id": "what", "rating": "times", "rated_at": "at"}, repeated="sum"
        ),
    )
    manifest = stage(lake, recognise(locate(str(source), tmp_path / "cache"), reading), RECEIVED_AT)
    assert normalize.main(["--batch", manifest.batch, "--outcome", "runs/events"]) == 0
    left = outcome.load(lake, "runs/events")
    assert left is not None
    counts = [left.result[name] for name in ("read", "ratings", "merged", "quarantined")]
    assert counts == [3, 2, 1, 0]
    rows = prepared(lake, "ratings", manifest.batch)
    assert {(row["user_id"], row["rating"], row["source_line"]) for row in rows} == {("a", 5.0, 2), ("b", 1.0, 4)}


def test_a_batch_that_rows_are_taken_out_of_waits(spark: SparkSession, lake: Lake, tmp_path: Path) -> None:
    source = write(tmp_path / "edited", "1,10,4.0,100\n")
    manifest = stage(lake, recognise(locate(str(source), tmp_path / "cache")), RECEIVED_AT)
    redaction = Redaction(request="r", at=RECEIVED_AT, rows=1, before="0" * 64, is_done=False)
    files = tuple(replace(file, redactions=(redaction,)) for file in manifest.files)
    lake.write_json(manifest_key(manifest.batch), replace(manifest, files=files).to_json())
    assert normalize.main(["--batch", manifest.batch, "--outcome", "runs/edited"]) == 1
    left = outcome.load(lake, "runs/edited")
    assert left is not None
    assert "are being forgotten" in left.error
    assert left.is_transient
