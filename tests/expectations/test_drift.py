"""Drift: numbers that hand and other libraries agree on, honest batches that pass, and wrong ones that don't."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expectations.batch_profile import RatingsProfile, profile_part
from expectations.contracts import DRIFTS, ITEMS, RATINGS
from expectations.drift import Newcomers, aligned, drift, js_distance, psi
from expectations.newcomers import new_items, new_users
from expectations.prepared import keep_profile
from expectations.report import Report
from expectations.schema import arrow_schema
from expectations.validation import validate
from marquee.lake import tables
from marquee.lake.objects import Lake

PrepareRatings = Callable[..., RatingsProfile]

DAY = 86_400_000_000
NOBODY = Newcomers(0.0, 0.0)
COUNTS = st.dictionaries(st.sampled_from("12345"), st.integers(0, 50), min_size=1).filter(lambda c: sum(c.values()) > 0)


def profile(histogram: dict[str, int], first: int = 0, last: int = 10, **changes: int) -> RatingsProfile:
    """Of these ratings, between two days."""
    values = np.array([float(bar) for bar in histogram])
    counts = np.array(list(histogram.values()))
    return replace(
        RatingsProfile(),
        n_rows=int(counts.sum()), n_users=1000, n_items=1000, histogram=histogram, first_time=first * DAY,
        last_time=last * DAY, rating_sum=float(values @ counts), rating_sum_squares=float(values**2 @ counts),
        **changes,
    )  # fmt: skip


def numbers(new: RatingsProfile, *earlier: RatingsProfile, is_added: bool = True) -> dict[str, float]:
    named = {str(number): one for number, one in enumerate(earlier)}
    return drift(new, named, Newcomers(0.25, 0.5), is_added=is_added)


BEFORE = profile({"1": 500, "5": 500})


def test_numbers_by_hand() -> None:
    new = profile({"1": 250, "5": 750}, first=5, last=25, n_without_time=100)
    found = numbers(new, BEFORE)
    assert found == pytest.approx({
        "volume_factor": 1.0,
        "share_of_new_users": 0.25,
        "share_of_new_items": 0.5,
        "rating_mean_shift": 0.5,  # from 3 to 4, and the deviation is 2
        "rating_psi": 0.25 * math.log(0.5 / 0.25) + 0.25 * math.log(0.75 / 0.5),
        "rating_js_distance": 0.22089591,  # scipy.spatial.distance.jensenshannon([.5, .5], [.25, .75], 2)
        "shift_without_time": 0.1,
        "time_gap_days": 0.0,
        "time_overlap": 0.25,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "earlier", "factor"),
    [(1000, [1000], 1), (10, [1000], 100), (5000, [1000], 5), (1000, [1000, 2000, 90000], 2), (1000, [1000, 3000], 2)],
)
def test_volume_against_the_median(rows: int, earlier: Sequence[int], factor: float) -> None:
    found = numbers(profile({"1": rows}), *(profile({"1": n}) for n in earlier))
    assert found["volume_factor"] == pytest.approx(factor)


@pytest.mark.parametrize(
    ("first", "last", "gap", "overlap"),
    [(0, 10, 0, 1), (10, 20, 0, 0), (5, 10, 0, 1), (20, 30, 10, 0), (-30, -20, 20, 0), (5, 5, 0, 1), (11, 11, 1, 0)],
)
def test_spans_of_time(first: int, last: int, gap: float, overlap: float) -> None:
    new = profile({"1": 10}, first=first, last=last)
    found = numbers(new, BEFORE)
    assert (found["time_gap_days"], found["time_overlap"]) == (gap, overlap)
    assert "time_overlap" not in numbers(new, BEFORE, is_added=False)


def test_what_says_nothing_is_left_out() -> None:
    assert numbers(BEFORE) == {}
    assert numbers(RatingsProfile(), BEFORE) == {}
    timeless = replace(BEFORE, first_time=None, last_time=None, n_without_time=1000)
    assert not {"time_gap_days", "time_overlap"} & numbers(timeless, BEFORE).keys()
    few = numbers(replace(profile({"5": 999}), n_users=99, n_items=99), BEFORE)
    assert few.keys() == {"volume_factor", "shift_without_time", "time_gap_days", "time_overlap"}
    assert numbers(profile({"5": 1000}), BEFORE).keys() == {one.name for one in DRIFTS}


def test_ratings_that_were_all_alike() -> None:
    ones = profile({"1": 1000})
    assert numbers(ones, ones)["rating_mean_shift"] == 0
    assert 1e6 < numbers(profile({"2": 1000}), ones)["rating_mean_shift"] < math.inf


@given(old=COUNTS, new=COUNTS)
def test_distances_are_symmetric_and_bounded(old: dict[str, int], new: dict[str, int]) -> None:
    there, back = aligned(new, old), aligned(old, new)
    assert psi(*there) == pytest.approx(psi(*back))
    assert psi(*there) >= 0
    assert 0 <= js_distance(*there) <= 1
    assert js_distance(*aligned(old, old)) == psi(*aligned(old, old)) == 0


def test_many_bars_are_put_together_by_deciles() -> None:
    old = {str(bar): 10 for bar in range(100)}
    there, same = aligned(old, old)
    assert there == same == pytest.approx([0.1] * 10)
    shifted = aligned({str(bar + 5): 10 for bar in range(100)}, old)
    assert psi(*shifted) == pytest.approx(0.05 * math.log(0.1 / 0.05) + 0.05 * math.log(0.15 / 0.1), abs=1e-3)


def severities(new: RatingsProfile, *earlier: RatingsProfile) -> set[str]:
    """What the thresholds of the contract make of it."""
    thresholds = {one.name: one for one in DRIFTS}
    found = drift(new, {str(number): one for number, one in enumerate(earlier)}, NOBODY, is_added=True)
    is_fatal = {name for name, value in found.items() if (stop := thresholds[name].stop) is not None and value > stop}
    return {"fatal"} if is_fatal else {name for name, value in found.items() if value > thresholds[name].warn}


def of_movielens(ratings: pa.Table, mask: np.ndarray) -> RatingsProfile:
    part = ratings.filter(pa.array(mask))
    return profile_part(
        pa.table(
            {
                "user_id": part.column("userId").cast(pa.string()),
                "item_id": part.column("movieId").cast(pa.string()),
                "rating": part.column("rating"),
                "rated_at": part.column("timestamp").cast(pa.timestamp("s")).cast(pa.timestamp("us")),
            }
        )
    )


def test_honest_batches_of_movielens_never_stop_and_other_scales_do(shared_data: Path) -> None:
    ratings = csv.read_csv(shared_data / "ml-latest-small" / "ratings.csv")
    years = ratings.column("timestamp").to_numpy() // (365.25 * 86400) + 1970
    for year in sorted(set(years))[1:]:
        assert severities(of_movielens(ratings, years == year), of_movielens(ratings, years < year)) != {"fatal"}
    whole, half = of_movielens(ratings, years < 2003), of_movielens(ratings, years >= 2003)
    assert "rating_psi" in severities(half, whole)
    assert "fatal" not in severities(half, whole) | severities(whole, half)
    everything = of_movielens(ratings, years > 0)
    users = ratings.column("userId").to_numpy()
    for user in (414, 448, 474, 599):  # those with most ratings
        assert severities(of_movielens(ratings, users == user), everything) != {"fatal"}
    one_percent = of_movielens(ratings, np.arange(len(users)) % 100 == 0)
    assert "volume_factor" in severities(one_percent, everything)
    for scale in (lambda r: r * 2, lambda r: r * 20, lambda r: (r > 3) * 1.0, lambda r: r * 0 + 5):
        other = ratings.set_column(2, "rating", pa.array(scale(ratings.column("rating").to_numpy())))
        assert severities(of_movielens(other, years > 0), everything) == {"fatal"}


START = datetime(2020, 1, 1, tzinfo=UTC)


def rows(users: range, *, day: int = 0, scale: float = 1.0) -> pa.Table:
    """Two ratings of each user on a scale of 1 to 5, a user an hour."""
    made = [
        {
            "user_id": f"u{user}", "item_id": f"i{(user + other) % 200}", "rating": ((user + other) % 5 + 1) * scale,
            "rated_at": START + timedelta(days=day, hours=user), "source_sha256": "a" * 64,
            "source_file": "ratings.csv", "source_line": 2 * user + other + 2,
        }
        for user in users
        for other in range(2)
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=arrow_schema(RATINGS))


def catalogue(items: range) -> pa.Table:
    made = [
        {
            "item_id": f"i{item}", "title": f"Title {item}", "genres": [], "is_listed": True,
            "source_sha256": "a" * 64, "source_file": "movies.csv", "source_line": item + 2,
        }
        for item in items
    ]  # fmt: skip
    return pa.Table.from_pylist(made, schema=arrow_schema(ITEMS))


def warned(report: Report) -> dict[str, str]:
    return {one.column: one.observed for one in report.warnings}


@pytest.fixture
def with_first(fresh_lake: Lake, prepare_ratings: PrepareRatings) -> Lake:
    """A lake whose tables hold one validated batch: users 0 to 599, items 0 to 199."""
    first = prepare_ratings(
        fresh_lake, "first", rows(range(600)), items=catalogue(range(200)), n_buckets=4, commits=True
    )
    keep_profile(fresh_lake, "first", first)
    return fresh_lake


def test_a_usual_second_batch(with_first: Lake, prepare_ratings: PrepareRatings) -> None:
    prepare_ratings(with_first, "second", rows(range(300, 900), day=26), items=catalogue(range(200)), n_buckets=2)
    report = validate(with_first, "ratings", "second")
    assert report.success
    assert warned(report) == {}
    assert report.notes == ("Compared with 1 of 1 earlier batches, in version 0 of table ratings.",)
    observed = {one.column: one.observed for one in report.expectations if one.severity == "warning"}
    assert observed.keys() == {one.name for one in DRIFTS}
    assert (observed["share_of_new_users"], observed["share_of_new_items"]) == ("0.5", "0")


def test_a_small_second_batch_of_strangers_is_warned_of(with_first: Lake, prepare_ratings: PrepareRatings) -> None:
    prepare_ratings(with_first, "small", rows(range(5000, 5006)), items=catalogue(range(300, 306)))
    report = validate(with_first, "ratings", "small")
    assert report.success
    assert warned(report) == {"volume_factor": "100"}


def test_another_scale_ends_the_run_unless_it_may(with_first: Lake, prepare_ratings: PrepareRatings) -> None:
    prepare_ratings(with_first, "tenfold", rows(range(600), scale=20), items=catalogue(range(200)))
    report = validate(with_first, "ratings", "tenfold")
    assert {one.column for one in report.failures} == {"rating_mean_shift", "rating_psi", "rating_js_distance"}
    assert "Drift, population stability index" in report.sentence()
    assert "drift=warn" in report.sentence()
    allowed = validate(with_first, "ratings", "tenfold", may_drift=True)
    assert allowed.success
    assert {"rating_mean_shift", "rating_psi", "rating_js_distance"} <= warned(allowed).keys()


def test_a_batch_that_replaces_is_compared_with_what_it_replaces(
    with_first: Lake, prepare_ratings: PrepareRatings
) -> None:
    prepare_ratings(with_first, "again", rows(range(600)), items=catalogue(range(200)))
    assert "time_overlap" in warned(validate(with_first, "ratings", "again"))
    replacing = validate(with_first, "ratings", "again", mode="replace")
    assert warned(replacing) == {}
    assert "rating_psi" in {one.column for one in replacing.expectations}


def test_batches_without_a_profile_are_left_out(with_first: Lake, prepare_ratings: PrepareRatings) -> None:
    prepare_ratings(with_first, "unknown", rows(range(5)), items=catalogue(range(5)), n_buckets=4, commits=True)
    prepare_ratings(with_first, "third", rows(range(600)), items=catalogue(range(200)))
    notes = validate(with_first, "ratings", "third").notes
    assert notes == ("Compared with 1 of 2 earlier batches, in version 1 of table ratings.",)


@pytest.mark.parametrize("of_table", [1, 4, 16])
@pytest.mark.parametrize("of_batch", [1, 4, 16])
def test_newcomers_whatever_the_buckets(
    fresh_lake: Lake, prepare_ratings: PrepareRatings, of_table: int, of_batch: int
) -> None:
    options = {"items": catalogue(range(10)), "n_buckets": of_table}
    prepare_ratings(fresh_lake, "first", rows(range(40)), commits=True, **options)
    prepare_ratings(fresh_lake, "new", rows(range(30, 80)), items=catalogue(range(5, 25)), n_buckets=of_batch)
    assert new_users(fresh_lake, tables.load_prepared(fresh_lake, "ratings", "new"), 0) == 40 / 50
    assert new_items(fresh_lake, tables.load_prepared(fresh_lake, "items", "new")) == 15 / 20
