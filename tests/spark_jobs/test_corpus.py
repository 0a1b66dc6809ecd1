"""Bad and odd files through the real job: what becomes of each is as the table says, and no row is ever lost."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from marquee.errors import SourceError
from marquee.lake import outcome, tables
from marquee.lake.objects import Lake
from marquee.lake.raw import stage
from marquee.sources import locate, recognise
from spark_jobs import normalize
from tests.corpus.expected import CASES, RECEIVED_AT, Accepted, Case, Place, Refused


def ingest(lake: Lake, case: Case, source: str, cache: Any) -> tuple[str, outcome.Outcome]:
    """Stage and normalize, as the DAG does: the batch and what the job left, or the sentence that refuses it."""
    try:
        batch = stage(lake, recognise(locate(source, cache), case.reading), RECEIVED_AT).batch
    except SourceError as error:
        return "", outcome.Outcome(error=str(error))
    where = outcome.key("corpus", case.name)
    code = normalize.main(["--batch", batch, "--outcome", where, "--max-quarantined", str(case.max_quarantined)])
    left = outcome.load(lake, where)
    assert left is not None and (code == 0) == (left.error == "")
    return batch, left


def prepared(lake: Lake, table: str, batch: str) -> list[dict[str, Any]]:
    parts = list(tables.read_parts(lake, tables.load_prepared(lake, table, batch)))
    return pa.concat_tables(parts).to_pylist() if parts else []


def place_of(row: dict[str, Any], like: Place | None) -> Place:
    """The row's line; with the file's own name before it, where the table of cases names files."""
    file = PurePosixPath(row["source_file"].replace("!/", "/")).name
    return f"{file}:{row['source_line']}" if isinstance(like, str) else int(row["source_line"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_becomes_of_it(
    spark: SparkSession, lake: Lake, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str],
    case: Case,
) -> None:  # fmt: skip
    version = tables.current_version(lake, "ratings")
    folder = tmp_path_factory.mktemp("case")
    batch, left = ingest(lake, case, str(case.make(folder)), folder / "cache")
    assert "Traceback" not in capfd.readouterr().err
    assert tables.current_version(lake, "ratings") == version
    if isinstance(case.outcome, Refused):
        assert case.outcome.words in left.error
        assert "\n" not in left.error and left.error.endswith(".") and not left.is_transient
        return
    assert left.error == ""
    check(lake, batch, left.result, case.outcome)


def check(lake: Lake, batch: str, counts: dict[str, Any], expected: Accepted) -> None:
    """The prepared tables are as expected, and the counts are theirs."""
    like = next((place for *_, place in expected.ratings), None)
    like = next((place for place, _ in expected.quarantined), like)
    ratings = [
        (
            row["user_id"],
            row["item_id"],
            row["rating"],
            row["rated_at"] and row["rated_at"].isoformat(),
            place_of(row, like),
        )
        for row in prepared(lake, "ratings", batch)
    ]
    quarantine = prepared(lake, "quarantine", batch)
    items = [
        (row["item_id"], row["title"], tuple(row["genres"]), row["is_listed"]) for row in prepared(lake, "items", batch)
    ]
    splits = [(row["split"], row["user_id"], row["item_id"]) for row in prepared(lake, "splits", batch)]
    expected_items = expected.items
    if expected_items is None:
        expected_items = {(item, item, (), False) for _, item, *_ in expected.ratings}

    assert sorted((place_of(row, like), row["reason"]) for row in quarantine) == sorted(expected.quarantined)
    assert sorted(ratings, key=str) == sorted(expected.ratings, key=str)
    assert sorted(items) == sorted(expected_items)
    assert sorted(splits) == sorted(expected.splits)
    assert all(row["sentence"] and "\n" not in row["sentence"] for row in quarantine)

    n_listed = sum(is_listed for *_, is_listed in expected_items)
    accepted = {"ratings": len(ratings), "items": n_listed, "splits": len(splits), "merged": expected.merged}
    assert {name: counts[name] for name in accepted} == accepted
    assert counts["read"] == sum(accepted.values()) + counts["quarantined"]
    assert counts["quarantined"] == len(quarantine) == sum(counts["reasons"].values())
