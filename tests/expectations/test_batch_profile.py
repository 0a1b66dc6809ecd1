"""The profile of a batch is what counting by hand gives, whatever the order of rows and buckets."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations.batch_profile import RatingsProfile, merge, profile_part
from expectations.contracts import RATINGS
from expectations.prepared import (
    keep_profile,
    kept_profiles,
    load_profile,
    load_witnesses,
    save_profile,
    save_witnesses,
)
from expectations.schema import arrow_schema
from expectations.witnesses import witnesses
from marquee.errors import LakeError
from marquee.lake.objects import Lake

START = datetime(2020, 1, 1, tzinfo=UTC)
Row = tuple[str | None, str, float | None, int | None]
ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.sampled_from("xyz"),
        st.sampled_from([0.5, 1.0, 3.0, -0.0, 0.0, 12.0, 12.4, -7.0, 1234.0, 0.00123, math.nan, math.inf, None]),
        st.none() | st.integers(-5, 5),
    ),
    max_size=30,
)


def ratings(rows: list[Any], *, is_coded: bool = False) -> pa.Table:
    """Rows of user, item, rating and day (of 2020, from 0)."""
    table = pa.Table.from_pylist(
        [
            {
                "user_id": user, "item_id": item, "rating": rating,
                "rated_at": None if day is None else START + timedelta(days=day),
                "source_sha256": "a" * 64, "source_file": "ratings.csv", "source_line": line,
            }
            for line, (user, item, rating, day) in enumerate(rows, 1)
        ],
        schema=arrow_schema(RATINGS),
    )  # fmt: skip
    if is_coded:
        for position in (0, 1):
            ids = table.column(position).dictionary_encode()
            table = table.set_column(position, table.column_names[position], ids)
    return table


def by_hand(rows: list[Any]) -> dict[str, Any]:
    users = Counter(user for user, *_ in rows)
    pairs = Counter((user, item) for user, item, *_ in rows)
    finite = [rating for _, _, rating, _ in rows if rating is not None and math.isfinite(rating)]
    days = [day for *_, day in rows if day is not None]
    return {
        "n_rows": len(rows),
        "n_users": len(users),
        "n_repeated": sum(count > 1 for count in pairs.values()),
        "n_single_users": sum(count == 1 for count in users.values()),
        "rating_min": min(finite, default=None),
        "rating_max": max(finite, default=None),
        "n_without_time": len(rows) - len(days),
        "first_time": micros(min(days)) if days else None,
        "last_time": micros(max(days)) if days else None,
        "histogram": dict(Counter(f"{rating + 0.0:.2g}" for rating in finite)),
    }


def micros(day: int) -> int:
    return int((START + timedelta(days=day)).timestamp() * 1e6)


@settings(max_examples=300, deadline=None)
@given(rows=ROWS, is_sorted=st.booleans(), is_coded=st.booleans())
def test_the_profile_as_counted_by_hand(rows: list[Any], is_sorted: bool, is_coded: bool) -> None:
    if is_sorted:
        rows = sorted(rows, key=lambda row: row[:2])
    profile = profile_part(ratings(rows, is_coded=is_coded))
    assert {name: getattr(profile, name) for name in by_hand(rows)} == by_hand(rows)
    finite = [rating for _, _, rating, _ in rows if rating is not None and math.isfinite(rating)]
    assert profile.rating_sum == pytest.approx(math.fsum(finite))
    assert profile.rating_sum_squares == pytest.approx(math.fsum(value * value for value in finite))
    assert profile.n_rated == len(finite)
    assert RatingsProfile.from_json(json.loads(json.dumps(profile.to_json()))) == profile


@settings(max_examples=100, deadline=None)
@given(rows=ROWS)
def test_buckets_add_up(rows: list[Any]) -> None:
    buckets = [[row for row in rows if row[0] in users] for users in ("ab", "cd", "e")]
    profiles = [profile_part(ratings(bucket, is_coded=True)) for bucket in buckets]
    merged, whole = merge(profiles), profile_part(ratings(rows))
    assert replace(merged, rating_sum=0, rating_sum_squares=0) == replace(whole, rating_sum=0, rating_sum_squares=0)
    assert merged.rating_sum == pytest.approx(whole.rating_sum)
    assert merge(profiles[::-1]) == merged


def test_nulls_are_an_id_of_their_own_and_chunks_may_have_dictionaries_of_their_own() -> None:
    first, second = (
        ratings([("a", "x", 1.0, 0), (None, "x", 1.0, 0)], is_coded=True),
        ratings([("b", "y", 1.0, 0), ("a", "x", 1.0, 0), (None, "x", 2.0, 0)], is_coded=True),
    )
    profile = profile_part(pa.concat_tables([first, second]))
    assert (profile.n_users, profile.n_repeated, profile.n_single_users) == (3, 2, 1)


def test_a_bucket_without_rows() -> None:
    assert profile_part(ratings([])) == merge([]) == RatingsProfile()
    assert math.isnan(RatingsProfile().rating_mean)
    assert math.isnan(RatingsProfile().rating_deviation)


def test_mean_deviation_and_shares() -> None:
    profile = profile_part(ratings([("a", "x", 1.0, 0), ("a", "y", 3.0, 0)]))
    assert (profile.rating_mean, profile.rating_deviation) == (2.0, 1.0)
    read = replace(profile, n_read=10, n_merged=1, quarantined={"superseded": 3, "bad_time": 2, "missing_user_id": 1})
    assert (read.n_quarantined, read.n_faults, read.share_of_faults, read.n_lost) == (6, 3, 0.3, 1)
    assert merge([read, read]).quarantined == {"superseded": 6, "bad_time": 4, "missing_user_id": 2}


def test_numbers_beyond_a_double_do_not_end_it() -> None:
    profile = profile_part(ratings([("a", "x", 1e300, 0), ("a", "y", 5e-324, 0), ("a", "z", -1e300, 0)]))
    assert (profile.rating_min, profile.rating_max, profile.rating_sum_squares) == (-1e300, 1e300, math.inf)


def test_witnesses_and_profiles_are_kept(lake: Lake) -> None:
    part = ratings([("a", "x", 1.0, 0), ("b", "y", 3.0, None)], is_coded=True)
    save_witnesses(lake, "ratings", "one", witnesses(part, RATINGS))
    assert load_witnesses(lake, "ratings", "one").equals(witnesses(part, RATINGS))
    profile = replace(profile_part(part), n_items=2, n_read=2)
    save_profile(lake, "one", profile)
    assert load_profile(lake, "one") == profile
    keep_profile(lake, "one", profile)
    assert kept_profiles(lake, ["one", "none"]) == {"one": profile}
    with pytest.raises(LakeError, match="none"):
        load_profile(lake, "none")
    lake.write_json("prepared/ratings/odd.profile.json", {"rows": 1})
    with pytest.raises(LakeError, match="no profile of ratings"):
        load_profile(lake, "odd")
