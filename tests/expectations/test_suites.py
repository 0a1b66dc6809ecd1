"""Each suite holds on good rows, and names exactly what is broken on bad ones, wherever the parts are cut."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import ratings, recommendations
from expectations.batch_profile import profile_part
from expectations.contracts import DRIFTS, ITEMS, QUARANTINE, RATINGS, RECOMMENDATIONS, SPLITS, TABLES
from expectations.evaluation import evaluate
from expectations.looks import Look, look_at, look_of_job
from expectations.profile import Profile
from expectations.report import Outcome
from expectations.schema import arrow_schema
from expectations.suite import Suite
from expectations.suites import suite_of
from expectations.tally import Tally
from expectations.witnesses import witnesses
from marquee.errors import DataError

Row = dict[str, Any]
K = 3


def good_ratings() -> list[Row]:
    """Rows of lines 2 to 9: two users, four items each."""
    at = datetime(2020, 1, 1, tzinfo=UTC)
    origin = {"source_sha256": "a" * 64, "source_file": "ratings.csv"}
    rows = [{"user_id": user, "item_id": item, "rating": 0.5} for user in "12" for item in "abcd"]
    return [row | {"rated_at": at} | origin | {"source_line": line} for line, row in enumerate(rows, 2)]


def good_items() -> list[Row]:
    origin = {"source_sha256": "a" * 64, "source_file": "movies.csv"}
    rows = [{"item_id": item, "title": f"Title {item}", "genres": [] if item == "a" else ["Drama"]} for item in "abcd"]
    rows = [row | {"is_listed": row["item_id"] != "d"} for row in rows]
    return [row | origin | {"source_line": line} for line, row in enumerate(rows, 2)]


def good_recommendations() -> list[Row]:
    """K rows for users x and y; two scores of x are equal."""
    rows = [("x", 1, "a", 2.0), ("x", 2, "b", 1.5), ("x", 3, "c", 1.5), ("y", 1, "c", 9.0), ("y", 2, "a", 8.0)]
    rows.append(("y", 3, "d", -1.0))
    names = ("user_id", "position", "item_id", "score")
    return [dict(zip(names, row, strict=True)) | {"title": "Title", "source": "als", "because": []} for row in rows]


GOOD: dict[str, tuple[Callable[[], Suite], Callable[[], list[Row]]]] = {
    "ratings": (lambda: ratings.suite((0.5, 5.0)), good_ratings),
    "items": (lambda: suite_of("items"), good_items),
    "recommendations": (lambda: recommendations.suite(K), good_recommendations),
}


#: What only the job knows, or only earlier batches tell.
NOT_READ = {"n_unaccounted", "n_unwritten", "share_quarantined", *(drift.name for drift in DRIFTS)}


def tallies_of(suite: Suite, parts: list[pa.Table]) -> list[Tally]:
    return evaluate(suite, look_at(suite, parts), lambda: parts)


def broken(tallies: list[Tally]) -> list[Outcome]:
    return [outcome for tally in tallies if not (outcome := tally.outcome()).success]


def failures(suite: Suite, parts: list[pa.Table]) -> list[Outcome]:
    return broken(tallies_of(suite, parts))


def look_of_a_job(parts: list[pa.Table]) -> Look:
    """What normalize keeps of ratings."""
    whole = pa.concat_tables(parts)
    profile = replace(profile_part(whole), n_read=whole.num_rows)
    numbers = ratings.counted(profile, n_written=whole.num_rows)
    found = pa.concat_tables([witnesses(part, RATINGS) for part in parts])
    return look_of_job(found, [part.schema for part in parts], numbers)


def as_table(name: str, rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name]))


@pytest.mark.parametrize("name", GOOD)
def test_good_rows_meet_every_expectation(name: str) -> None:
    suite, rows = GOOD[name]
    tallies = tallies_of(suite(), [as_table(name, rows())])
    assert [tally.outcome().sentence for tally in tallies if not tally.success] == []
    expected = [one for one in suite().expectations if getattr(one, "column", "") not in NOT_READ]
    assert len(tallies) == len(expected)


# table, row to change, change -> column, number of findings, words of the sentence
BROKEN = [
    ("ratings", 0, {"user_id": None}, "user_id", 1, "Never null - broken by 1 of 8 rows (ratings.csv line 2: null)"),
    ("ratings", 1, {"user_id": ""}, "user_id", 1, "1 to 256 characters"),
    ("ratings", 1, {"item_id": "x" * 257}, "item_id", 1, "(257 characters)"),
    ("ratings", 2, {"rating": math.nan}, "rating", 1, "Never null nor NaN"),
    ("ratings", 3, {"rating": math.inf}, "rating", 1, "From 0.5 to 5 - broken by 1 of 8 rows (ratings.csv line 5"),
    ("ratings", 4, {"rating": 5.5}, "rating", 1, "ratings.csv line 6: 5.5"),
    ("ratings", 4, {"rating": 0.0}, "rating", 1, "ratings.csv line 6: 0"),
    ("ratings", 4, {"rating": None}, "rating", 1, "ratings.csv line 6: null"),
    ("ratings", 6, {"source_sha256": "abc"}, "source_sha256", 1, "Exactly 64 characters"),
    ("ratings", 7, {"source_line": 0}, "source_line", 1, "At least 1"),
    ("ratings", 1, {"item_id": "a"}, "n_repeated_user_id_item_id", 1, "(user_id 1, item_id a: 2 rows)"),
    ("items", 0, {"title": ""}, "title", 1, "Not empty - broken by 1 of 4 rows (movies.csv line 2: (empty))"),
    ("items", 1, {"genres": None}, "genres", 1, "movies.csv line 3: null"),
    ("items", 1, {"is_listed": None}, "is_listed", 1, "movies.csv line 3: null"),
    ("items", 2, {"item_id": "a"}, "n_repeated_item_id", 1, "(item_id a: 2 rows)"),
    ("recommendations", 0, {"source": "magic"}, "source", 1, "One of als, popular"),
    ("recommendations", 0, {"score": math.inf}, "score", 1, "Finite - broken by 1 of 6 rows (user_id x, position 1"),
    ("recommendations", 1, {"score": 2.5}, "n_rising_scores", 1, "(user_id x, position 2: 2.0, then 2.5)"),
    ("recommendations", 1, {"item_id": "a"}, "n_repeated_user_id_item_id", 1, "(user_id x, item_id a: 2 rows)"),
]  # fmt: skip


@pytest.mark.parametrize("n_parts", [1, 3])
@pytest.mark.parametrize(("name", "index", "change", "column", "count", "words"), BROKEN)
def test_one_broken_row_breaks_one_expectation(
    name: str, index: int, change: Row, column: str, count: int, words: str, n_parts: int
) -> None:
    suite, rows = GOOD[name]
    changed = rows()
    changed[index] |= change
    cut = -(-len(changed) // n_parts)
    parts = [as_table(name, changed[start : start + cut]) for start in range(0, len(changed), cut)]
    looks = [look_at(suite(), parts)] + ([look_of_a_job(parts)] if name == "ratings" else [])
    for look in looks:
        (failure,) = broken(evaluate(suite(), look, lambda: parts))
        assert (failure.column, failure.unexpected_count, failure.severity) == (column, count, "fatal")
        assert words in failure.sentence
        assert len(failure.examples) == count


def test_rows_are_read_again_only_where_something_is_broken() -> None:
    parts = [as_table("ratings", good_ratings())]
    reads = []

    def read() -> list[pa.Table]:
        reads.append(1)
        return parts

    assert broken(evaluate(ratings.suite(), look_of_a_job(parts), read)) == []
    assert not reads
    assert [one.column for one in broken(evaluate(ratings.suite((1, 5)), look_of_a_job(parts), read))] == ["rating"]
    assert len(reads) == 1


# number -> what is said of it, and how severe it is
NUMBERS = [
    ({"n_unaccounted": 2}, "Every row read is a rating, added to one, or in quarantine", "fatal"),
    ({"n_unwritten": 1}, "As many rows lie in the lake as were accepted - found 1", "fatal"),
    ({"share_quarantined": 0.02}, "At most 0.01 of the ratings read break a rule - found 0.02", "fatal"),
    ({"rating_psi": 0.3}, "at most 0.25 - found 0.3", "warning"),
    ({"time_gap_days": 1e6}, "at most 366 - found 1e+06", "warning"),
]


@pytest.mark.parametrize(("number", "words", "severity"), NUMBERS)
def test_numbers_of_the_job_and_of_drift(number: dict[str, float], words: str, severity: str) -> None:
    parts = [as_table("ratings", good_ratings())]
    look = look_of_a_job(parts)
    other = look_of_job(look.witnesses[0], [], {name: one.count for name, one in look.findings.items()} | number)
    (failure,) = broken(evaluate(ratings.suite(), other, lambda: parts))
    assert (failure.column, failure.severity) == (*number, severity)
    assert words in failure.sentence


def test_beyond_both_thresholds_it_is_a_warning_and_fatal_unless_drift_is_allowed() -> None:
    parts = [as_table("ratings", good_ratings())]
    look = look_of_a_job(parts)
    far = look_of_job(
        look.witnesses[0], [], {name: one.count for name, one in look.findings.items()} | {"rating_psi": 9}
    )
    assert [one.severity for one in broken(evaluate(ratings.suite(), far, lambda: parts))] == ["warning", "fatal"]
    allowed = broken(evaluate(ratings.suite(may_drift=True), far, lambda: parts))
    assert [one.severity for one in allowed] == ["warning"]


def test_a_part_of_another_schema_in_the_lake() -> None:
    part = as_table("ratings", good_ratings())
    odd = part.set_column(2, "rating", pa.array(["1"] * 8))
    look = replace(look_of_a_job([part]), witnesses=(*look_of_a_job([part]).witnesses, odd.schema.empty_table()))
    (failure,) = broken(evaluate(ratings.suite(), look, lambda: [part]))
    assert (failure.column, failure.sentence) == ("rating", "rating: The type is double - found str")


def test_lists_that_are_too_short_too_long_or_have_gaps() -> None:
    rows = good_recommendations()
    rows[2]["position"] = 4  # x: 1, 2, 4
    del rows[5]  # y: 1, 2
    found = {
        failure.column: failure for failure in failures(recommendations.suite(K), [as_table("recommendations", rows)])
    }
    assert found.keys() == {"position", "n_users_with_gaps", "n_users_without_k_rows"}
    assert found["n_users_with_gaps"].examples == ("user_id x: 3 rows, positions 1 to 4",)
    assert found["n_users_without_k_rows"].examples == ("user_id y: 2 rows",)
    no_k = {failure.column for failure in failures(recommendations.suite(), [as_table("recommendations", rows)])}
    assert no_k == {"n_users_with_gaps"}


def test_more_findings_than_examples() -> None:
    rows = [row | {"rating": 7.0, "user_id": str(line)} for line, row in enumerate(good_ratings() * 30)]
    (failure,) = failures(ratings.suite((0.5, 5)), [as_table("ratings", rows[:100]), as_table("ratings", rows[100:])])
    assert failure.unexpected_count == 240
    assert failure.examples == tuple(f"ratings.csv line {line}: 7" for line in (2, 3, 4, 5, 6))


def test_missing_unknown_and_mistyped_columns_are_named_and_the_rest_is_still_checked() -> None:
    rows = good_ratings()
    rows[0]["item_id"] = None
    table = as_table("ratings", rows)
    user_numbers = pa.array(range(8))
    changed = table.drop_columns(["rating"]).set_column(0, "user_id", user_numbers).append_column("mood", user_numbers)
    found = failures(ratings.suite(), [changed])
    assert [(failure.column, failure.examples) for failure in found] == [
        ("", ("rating is missing", "mood is not in the contract")),
        ("user_id", ("int64",)),
        ("item_id", ("ratings.csv line 2: null",)),
    ]
    assert "The type is string - found int64" in found[1].sentence


def test_one_part_of_another_schema_breaks_the_table() -> None:
    table = as_table("ratings", good_ratings())
    odd = table.slice(4).set_column(2, "rating", pa.array(["1"] * 4))
    assert [failure.column for failure in failures(ratings.suite(), [table.slice(0, 4), odd])] == ["rating"]


def test_a_column_that_is_there_twice() -> None:
    table = as_table("items", good_items())
    (failure,) = failures(suite_of("items"), [table.append_column("title", table.column("title"))])
    assert failure.examples == ("title is there twice",)


def test_wider_types_of_strings_hold_too() -> None:
    table = as_table("recommendations", good_recommendations()[:3] * 2)  # each row twice
    large = table.set_column(0, "user_id", table.column("user_id").cast(pa.large_string()))
    columns = {failure.column for failure in failures(recommendations.suite(), [large])}
    assert columns == {"n_repeated_user_id_position", "n_repeated_user_id_item_id", "n_users_with_gaps"}


@pytest.mark.parametrize("parts", [[], [arrow_schema(RATINGS).empty_table()]], ids=["no part", "an empty part"])
def test_a_table_without_rows_is_no_table(parts: list[pa.Table]) -> None:
    (failure,) = failures(ratings.suite(), parts)
    assert failure.sentence == "n_rows: At least 1 row(s) - found 0"


def test_a_rating_scale_that_is_not_known_only_needs_finite_ratings() -> None:
    rows = good_ratings()
    rows[0]["rating"], rows[1]["rating"], rows[2]["rating"] = -1e300, 1e300, -math.inf
    (failure,) = failures(ratings.suite(), [as_table("ratings", rows)])
    assert failure.sentence == "rating: Finite - broken by 1 of 8 rows (ratings.csv line 4: -inf)"


@settings(max_examples=40, deadline=None)
@given(keys=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=12), cut=st.integers(1, 5))
def test_repeated_keys_as_counted_by_hand(keys: list[tuple[str, str]], cut: int) -> None:
    row = good_ratings()[0]
    table = as_table("ratings", [row | {"user_id": user, "item_id": item} for user, item in keys])
    with Profile(ratings.suite()) as profile:
        for start in range(0, len(keys), cut):
            profile.add(table.slice(start, cut), RATINGS.column_names)
        found = profile.answer(examples=5)
    repeated = sorted(f"user_id {user}, item_id {item}: {n} rows" for (user, item), n in Counter(keys).items() if n > 1)
    assert found["n_rows"].count == len(keys)
    assert found["n_repeated_user_id_item_id"].count == len(repeated)
    assert list(found["n_repeated_user_id_item_id"].examples) == repeated[:5]


def test_every_column_of_a_contract_is_expected() -> None:
    for table, suite in (
        (RATINGS, ratings.suite()),
        (ITEMS, suite_of("items")),
        (SPLITS, suite_of("splits")),
        (QUARANTINE, suite_of("quarantine")),
        (RECOMMENDATIONS, recommendations.suite(K)),
    ):
        columns = {expectation.column for expectation in (*suite.schema[1:], *suite.rows)}
        assert columns == set(table.column_names)
        assert all(expectation.description for expectation in suite.expectations)


def test_a_table_without_a_suite() -> None:
    with pytest.raises(DataError, match="Table 'model' has no expectations: name one of ratings, recommendations"):
        suite_of("model")
