"""The validating operator as Airflow runs it: what it fails with, logs, returns and records, on a real S3 server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from expectations.batch_profile import profile_part
from expectations.contracts import RATINGS, TABLES
from expectations.prepared import keep_profile, save_profile, save_witnesses
from expectations.schema import arrow_schema
from expectations.witnesses import witnesses
from marquee.errors import DataError
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.raw import stage
from marquee.lake.tables import Prepared
from marquee.settings import settings
from marquee.sources import locate, recognise
from plugins.validate import ValidateOperator

ASKED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def connected(fresh_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake that Airflow's connection leads to."""
    extra = {"endpoint_url": fresh_lake.endpoint, "region_name": fresh_lake.region}
    login = {"login": fresh_lake.access_key, "password": fresh_lake.secret_key}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps({"conn_type": "aws", "extra": extra, **login}))
    monkeypatch.setenv("MARQUEE_S3__BUCKET", fresh_lake.bucket)
    settings.cache_clear()
    yield fresh_lake
    settings.cache_clear()


def run(table: str, batch: str, beside: tuple[str, ...] = (), **arguments: Any) -> dict[str, Any]:
    operator = ValidateOperator(task_id="validate", table=table, batch=batch, beside=beside, arguments=arguments)
    return operator.execute({"run_id": "manual__1", "dag_run": SimpleNamespace(run_after=ASKED_AT)})


def staged(lake: Lake, folder: Path, text: str) -> str:
    """The name of a raw batch on the scale of MovieLens, 0.5 to 5."""
    file = folder / "ratings.csv"
    file.write_text("userId,movieId,rating,timestamp\n" + text)
    return stage(lake, recognise(locate(str(file), folder / "cache")), ASKED_AT.isoformat()).batch


def prepare(lake: Lake, batch: str, ratings: list[float]) -> None:
    """Ratings of as many users, as normalize leaves them."""
    origin = {"source_sha256": batch[:64].ljust(64, "0"), "source_file": "ratings.csv"}
    rows = [
        {"user_id": f"u{n}", "item_id": "1", "rating": rating, "rated_at": ASKED_AT, "source_line": n + 2} | origin
        for n, rating in enumerate(ratings)
    ]
    part = pa.Table.from_pylist(rows, schema=arrow_schema(RATINGS))
    save_witnesses(lake, "ratings", batch, witnesses(part, RATINGS))
    profile = profile_part(part).to_json() | {"n_read": len(ratings), "n_items": 1}
    lake.write_json(f"prepared/ratings/{batch}.profile.json", profile)
    write(lake, "ratings", batch, part, bucket=0)
    item = {"item_id": "1", "title": "One", "genres": [], "is_listed": True, "source_line": 2} | origin
    write(lake, "items", batch, pa.Table.from_pylist([item], schema=arrow_schema(TABLES["items"])))


def write(lake: Lake, table: str, batch: str, part: pa.Table, bucket: int | None = None) -> None:
    written = tables.write_part(lake, table, batch, part, bucket=bucket)
    tables.save_prepared(lake, Prepared(table, batch, (written,), None if bucket is None else 1))


def quality(lake: Lake) -> list[dict[str, Any]]:
    batches = tables.read_table(lake, "data_quality", tables.current_version(lake, "data_quality") or 0)
    rows: list[dict[str, Any]] = pa.Table.from_batches(list(batches)).to_pylist()
    return rows


def test_good_ratings_and_items(connected: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = staged(connected, tmp_path, "u0,1,0.5,9\nu1,1,5,9\n")
    prepare(connected, batch, [0.5, 5.0])
    done = run("ratings", batch, mode="append", max_quarantined="0.01")
    assert (done["rows"], done["warnings"]) == (2, [])
    assert done["data_docs"] == f"data_docs/validations/ratings/{batch}/result/index.html"
    told = capsys.readouterr().out
    assert "ratings: This is the first batch of ratings" in told
    assert "Table ratings meets all" in told
    assert run("items", batch, mode="append")["rows"] == 1
    rows = quality(connected)
    assert {(row["table_name"], row["is_met"], row["run_id"], row["checked_at"]) for row in rows} == {
        ("ratings", True, "manual__1", ASKED_AT),
        ("items", True, "manual__1", ASKED_AT),
    }


def test_the_scale_is_that_of_the_source_and_failures_are_recorded(connected: Lake, tmp_path: Path) -> None:
    batch = staged(connected, tmp_path, "u0,1,5.5,9\n")
    prepare(connected, batch, [5.5])
    with pytest.raises(DataError, match=r"rating: From 0.5 to 5 - broken by 1 of 1 rows \(ratings.csv line 2: 5.5\)"):
        run("ratings", batch)
    broken = [row for row in quality(connected) if not row["is_met"]]
    assert [(row["column_name"], row["severity"], row["unexpected_count"]) for row in broken] == [
        ("rating", "fatal", 1)
    ]


def test_warnings_are_logged_and_told_and_a_drift_may_pass(
    connected: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(connected, "first", [0.5, 1.0] * 600)
    first = tables.load_prepared(connected, "ratings", "first")
    tables.commit(connected, first, arrow_schema(RATINGS), mode="append", metadata={})
    rows = pa.concat_tables(tables.read_parts(connected, first))
    keep_profile(connected, "first", profile_part(rows))
    save_profile(connected, "first", profile_part(rows))
    batch = staged(connected, tmp_path, "".join(f"u{n},1,5,9\n" for n in range(1000)))
    prepare(connected, batch, [5.0] * 1000)
    with pytest.raises(DataError, match="Drift, population stability index"):
        run("ratings", batch)
    capsys.readouterr()
    done = run("ratings", batch, drift="warn")
    assert any(warning.startswith("ratings.rating_psi: ") for warning in done["warnings"])
    assert not any("u0" in warning for warning in done["warnings"])
    assert "ratings: rating_psi: Drift" in capsys.readouterr().out


def test_tables_beside_it_are_validated_too(connected: Lake) -> None:
    prepare(connected, "batch", [1.0])
    pair = {"split": "probe", "user_id": "u0", "item_id": "1", "source_line": 1}
    line = {"kind": "splits", "reason": "missing_user_id", "sentence": "no user", "raw": ",1", "source_line": 2}
    origin = {"source_sha256": "a" * 64, "source_file": "probe.txt"}
    for table, rows in (("splits", [pair]), ("quarantine", [line, line])):
        part = pa.Table.from_pylist([row | origin for row in rows], schema=arrow_schema(TABLES[table]))
        write(connected, table, "batch", part)
    done = run("items", "batch", beside=("splits", "quarantine"))
    assert done["rows"] == 1
    assert {row["table_name"] for row in quality(connected)} == {"items", "splits", "quarantine"}
    odd = pa.Table.from_pylist([line | origin | {"reason": "bad luck"}], schema=arrow_schema(TABLES["quarantine"]))
    write(connected, "quarantine", "batch", odd)
    with pytest.raises(
        DataError, match=r"Table quarantine breaks 1 .* reason: One of .*\(probe.txt line 2: bad luck\)"
    ):
        run("items", "batch", beside=("splits", "quarantine"))


def test_recommendations_need_their_k(connected: Lake) -> None:
    row = {"user_id": "u", "position": 1, "item_id": "1", "title": "One", "score": 1.0, "source": "als",
           "because": []}  # fmt: skip
    schema = arrow_schema(TABLES["recommendations"])
    write(connected, "recommendations", "release", pa.Table.from_pylist([row], schema=schema))
    assert run("recommendations", "release", k="1")["rows"] == 1
    with pytest.raises(DataError, match="Every user has 2 rows"):
        run("recommendations", "release", k=2)
