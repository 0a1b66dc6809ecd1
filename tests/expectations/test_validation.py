"""Validation end to end on a real S3 server: the report, the result that is kept, and the pages that show it."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from expectations.batch_profile import RatingsProfile
from expectations.contracts import ITEMS, RATINGS, Severity
from expectations.data_docs import publish_index
from expectations.prepared import kept_profile_key, kept_profiles
from expectations.report import INDEX_KEY, Outcome, Report, page_key, result_key, suite_key
from expectations.schema import arrow_schema
from expectations.validation import validate
from marquee.errors import DataError, LakeError
from marquee.lake import tables
from marquee.lake.objects import Lake

PrepareTable = Callable[..., tables.Prepared]
PrepareRatings = Callable[..., RatingsProfile]

# "<", "&" and quotes of the data must not become markup of a page.
NASTY = '<script>alert("1")</script>&amp;' * 10


def items(*titles: str | None) -> pa.Table:
    rows = [
        {
            "item_id": str(number), "title": title, "genres": ["Drama"], "source_sha256": "a" * 64,
            "source_file": "movies.csv", "source_line": number + 2, "is_listed": True,
        }
        for number, title in enumerate(titles)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(ITEMS))


def ratings(n: int) -> pa.Table:
    """Of n users, one each, on a scale of 1 to 5."""
    rows = [
        {
            "user_id": f"u{number}", "item_id": f"i{number}", "rating": number % 5 + 1.0,
            "rated_at": datetime(2020, 1, 1, tzinfo=UTC), "source_sha256": "a" * 64,
            "source_file": "ratings.csv", "source_line": number + 2,
        }
        for number in range(n)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(RATINGS))


def page(lake: Lake, key: str) -> str:
    answer = lake.client().get_object(Bucket=lake.bucket, Key=key)
    assert answer["ContentType"] == "text/html; charset=utf-8"
    return str(answer["Body"].read().decode())


def kept(lake: Lake) -> dict[str, datetime]:
    """What validation left, beside the tables and what was prepared."""
    found = lake.client().list_objects_v2(Bucket=lake.bucket).get("Contents", [])
    return {item["Key"]: item["LastModified"] for item in found if item["Key"].startswith(("quality/", "data_docs/"))}


def is_self_contained(html: str) -> bool:
    return not re.search(r"<script|<link(?! rel=\"icon\" href=\"data:,\")|\ssrc=|https?:|@import|url\(", html)


def test_a_good_table(
    fresh_lake: Lake,
    prepare_table: PrepareTable,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run_name = "manual__2026-11-23T19:14:00.123+00:00"
    prepare_table(fresh_lake, "items", run_name, [items("One"), items("Two").set_column(0, "item_id", pa.array(["9"]))])
    with caplog.at_level(logging.WARNING):
        report = validate(fresh_lake, "items", run_name)
    assert report.success
    assert report.sentence() == f"Table items meets all {len(report.expectations)} expectations (2 rows)."
    assert report.docs_key == page_key("items", run_name)
    assert kept(fresh_lake).keys() == {result_key("items", run_name), report.docs_key, suite_key("items"), INDEX_KEY}
    assert [record.getMessage() for record in caplog.records] == []
    assert capfd.readouterr().err == ""  # no progress bar

    result = fresh_lake.read_json(result_key("items", run_name))
    assert result["success"] is True
    assert result["statistics"]["evaluated_expectations"] == len(report.expectations)
    assert result["meta"]["run_id"]["run_name"] == run_name
    for key in (report.docs_key, suite_key("items"), INDEX_KEY):
        assert is_self_contained(page(fresh_lake, key))
    assert f'href="{report.docs_key.removeprefix("data_docs/")}"' in page(fresh_lake, INDEX_KEY)
    assert "Succeeded" in page(fresh_lake, report.docs_key)


def test_a_broken_table(fresh_lake: Lake, prepare_table: PrepareTable, caplog: pytest.LogCaptureFixture) -> None:
    table = items("One", "", None).set_column(0, "item_id", pa.array(["0", NASTY, "0"]))
    prepare_table(fresh_lake, "items", "broken", [table])
    report = validate(fresh_lake, "items", "broken")
    assert not report.success
    start, *failed = report.sentence().split(": ", 1)[0], *report.failures
    assert start == f"Table items breaks 4 of its {len(report.expectations)} expectations (3 rows)"
    assert [outcome.column for outcome in failed] == ["item_id", "title", "title", "n_repeated_item_id"]
    assert report.sentence().endswith("ingest it again; nothing of it was accepted.")
    assert len(report.sentence()) < 1000

    shown = page(fresh_lake, report.docs_key)
    assert is_self_contained(shown)
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;" in shown
    for words in ("movies.csv line 3: (empty)", "movies.csv line 4: null", "item_id 0: 2 rows", "Failed"):
        assert words in shown
    # Great Expectations only logs what it fails to render.
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_pages_of_missing_and_nasty_columns(
    fresh_lake: Lake, prepare_table: PrepareTable, caplog: pytest.LogCaptureFixture
) -> None:
    table = items("One").rename_columns({"title": NASTY})
    prepare_table(fresh_lake, "items", "columns", [table])
    report = validate(fresh_lake, "items", "columns")
    assert "title is missing" in report.sentence()
    assert is_self_contained(page(fresh_lake, report.docs_key))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_same_run_again_replaces_its_pages(fresh_lake: Lake, prepare_table: PrepareTable) -> None:
    prepare_table(fresh_lake, "items", "again", [items(None)])
    assert not validate(fresh_lake, "items", "again").success
    first = kept(fresh_lake)
    prepare_table(fresh_lake, "items", "again", [items("One")])
    assert validate(fresh_lake, "items", "again").success
    assert kept(fresh_lake).keys() == first.keys()
    assert fresh_lake.read_json(result_key("items", "again"))["success"] is True
    assert page(fresh_lake, INDEX_KEY).count("result/index.html") == 2  # run time and run name of one row


def test_the_index_lists_every_run_however_they_meet(fresh_lake: Lake) -> None:
    result = {"success": True, "meta": {"run_id": {"run_time": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}}}

    def end(number: int) -> None:
        fresh_lake.write_json(result_key("ratings", f"run{number}"), result)
        publish_index(fresh_lake)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(end, range(12)))
    listed = page(fresh_lake, INDEX_KEY)
    assert [
        number for number in range(12) if page_key("ratings", f"run{number}").removeprefix("data_docs/") not in listed
    ] == []


def test_the_index_leaves_out_what_is_no_result(
    fresh_lake: Lake, prepare_table: PrepareTable, caplog: pytest.LogCaptureFixture
) -> None:
    fresh_lake.write_json("quality/items/foreign.json", [1, 2])
    fresh_lake.write_json(kept_profile_key("batch"), {})
    prepare_table(fresh_lake, "items", "fine", [items("One")])
    assert validate(fresh_lake, "items", "fine").success
    assert "foreign" not in page(fresh_lake, INDEX_KEY)
    assert caplog.text.count("leaves out") == 1


@pytest.mark.parametrize("run_name", ["", "..", "a/b", "a b", "<b>", "ü", "a" * 251])
def test_names_that_can_name_no_run(lake: Lake, run_name: str) -> None:
    with pytest.raises(DataError, match="can't name a validation run"):
        validate(lake, "items", run_name)


@pytest.mark.parametrize("run_name", ["99999999999999999999999999", "2026-11-23", "1e5", "10:10", "a~"])
def test_names_that_look_like_times_make_pages_too(lake: Lake, prepare_table: PrepareTable, run_name: str) -> None:
    prepare_table(lake, "items", run_name, [items("One")])
    assert run_name in page(lake, validate(lake, "items", run_name).docs_key)


def test_a_bucket_that_is_not_there(lake: Lake) -> None:
    with pytest.raises(LakeError, match="does not exist"):
        validate(replace(lake, bucket="no-such-bucket"), "items", "run")


def test_a_batch_that_nobody_prepared(lake: Lake) -> None:
    with pytest.raises(LakeError, match="Batch none has no prepared parts of table items"):
        validate(lake, "items", "none")


def test_many_failures_are_named_up_to_a_limit() -> None:
    outcomes = tuple(Outcome("e", f"c{n}", "fatal", False, 1, (), "", f"c{n}: bad") for n in range(8))
    sentence = Report("items", 1, outcomes, "data_docs/x.html", "mend it").sentence()
    assert sentence == (
        "Table items breaks 8 of its 8 expectations (1 rows): c0: bad; c1: bad; c2: bad; c3: bad; c4: bad; "
        "and 3 more on the page data_docs/x.html: mend it."
    )


def test_warnings_are_no_failures() -> None:
    kinds: list[tuple[Severity, bool]] = [("fatal", True), ("warning", False), ("warning", True)]
    outcomes = tuple(Outcome("e", "c", severity, success, 0, (), "", "c: far") for severity, success in kinds)
    report = Report("ratings", 5, outcomes, "data_docs/x.html")
    assert (report.success, report.failures, report.warnings) == (True, (), (outcomes[1],))
    assert report.sentence() == "Table ratings meets 2 of its 3 expectations (5 rows)."


def test_importing_it_is_quick_and_light() -> None:
    heavy = "great_expectations pandas duckdb pyarrow matplotlib mlflow pyspark"
    code = f"import sys, expectations.validation; print([name for name in {heavy!r}.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_ratings_whose_job_kept_witnesses_and_profile(fresh_lake: Lake, prepare_ratings: PrepareRatings) -> None:
    profile = prepare_ratings(fresh_lake, "one", ratings(50), items=items("One"))
    report = validate(fresh_lake, "ratings", "one", rating_range=(1, 5))
    assert report.sentence() == f"Table ratings meets all {len(report.expectations)} expectations (50 rows)."
    assert report.notes == ("This is the first batch of ratings: there is no earlier one to compare it with.",)
    assert kept_profiles(fresh_lake, ["one"]) == {"one": profile}
    shown = page(fresh_lake, suite_key("ratings"))
    for words in ("From 1 to 5.", "1 to 256 characters.", "Exactly 64 characters.", "No user_id and item_id twice."):
        assert words in shown
    for words in ("at most 0.25. (Where broken: a warning.)", "at most 5. (Where broken: fatal.)"):
        assert words in shown
    result = fresh_lake.read_json(result_key("ratings", "one"))
    assert {one["expectation_config"]["severity"] for one in result["results"]} == {"critical"}


def test_broken_ratings_are_counted_and_told_with_their_lines(
    fresh_lake: Lake, prepare_ratings: PrepareRatings
) -> None:
    rows = pa.concat_tables([ratings(50), ratings(3)])  # three pairs twice
    prepare_ratings(fresh_lake, "bad", rows, items=items("One"), n_read=60)
    report = validate(fresh_lake, "ratings", "bad", rating_range=(1, 4), max_quarantined=0.1)
    found = {failure.column: failure for failure in report.failures}
    assert found.keys() == {"rating", "n_repeated_user_id_item_id", "n_unaccounted"}
    assert found["rating"].unexpected_count == 10
    assert "broken by 10 of 53 rows (ratings.csv line " in found["rating"].sentence
    repeated = tuple(f"user_id u{number}, item_id i{number}: 2 rows" for number in range(3))
    assert found["n_repeated_user_id_item_id"].examples == repeated
    assert found["n_unaccounted"].sentence.endswith("found 7")
    assert kept_profiles(fresh_lake, ["bad"]) == {}


def test_parts_that_are_not_what_the_job_said(fresh_lake: Lake, prepare_ratings: PrepareRatings) -> None:
    prepare_ratings(fresh_lake, "odd", ratings(50), items=items("One"))
    prepared = tables.load_prepared(fresh_lake, "ratings", "odd")
    numbers = ratings(5).set_column(2, "rating", pa.array(["1"] * 5))
    added = tables.write_part(fresh_lake, "ratings", "odd", numbers, bucket=0)
    tables.save_prepared(fresh_lake, replace(prepared, parts=(*prepared.parts, added)))
    report = validate(fresh_lake, "ratings", "odd")
    assert {failure.column for failure in report.failures} == {"rating", "n_unwritten"}
    assert "rating: The type is double - found str" in report.sentence()
