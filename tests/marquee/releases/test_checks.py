"""Checks of a built file: each broken list is refused by name, and the file kept for a look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from marquee import releases
from marquee.releases import checks
from marquee.releases.building import RefusedError
from marquee.releases.checks import Report
from marquee.releases.churn import Churn
from tests.marquee.releases import small

WHOLE = small.lists()


def checked(folder: Path, of_users: dict[str, list[str]], before: Path | None = None, **options: Any) -> Report:
    """Build release r1 with these lists, and check it; `expected` and `rule` other than those of `small`."""
    change: Callable[[pa.Table], pa.Table] = options.pop("change", lambda rows: rows)
    rule = options.pop("rule", small.RULE)
    expected = options.pop("expected", small.expected())
    found: list[Report] = []
    given = small.inputs("r1", of_users)
    given["recommendations"] = change(given["recommendations"])

    def check(path: Path) -> None:
        found.append(checks.check(path, before, expected, rule, **options))

    releases.build(folder, "r1", given, small.DDL, check)
    return found[0]


def test_a_whole_release_is_measured(tmp_path: Path) -> None:
    report = checked(tmp_path, WHOLE)
    # Items 1 to 6 of 12 are in lists; item n has 12 - n ratings, and the three most rated have 12, 11 and 10.
    assert report.coverage == 6 / 12
    times = {1: 1, 2: 2, 3: 3, 4: 3, 5: 2, 6: 1}
    assert report.popularity == pytest.approx(sum(n * (12 - item) for item, n in times.items()) / 12 / 11)
    assert report.churn is None and report.warnings == ()


def test_fewer_rows_only_where_the_catalogue_has_no_more(tmp_path: Path) -> None:
    few = {**WHOLE, "u0": WHOLE["u0"][:2]}
    with pytest.raises(RefusedError, match=r"1 users have not their k rows, as u0 \(2 rows, 3 are due\)"):
        checked(tmp_path, few)
    # Where user 0 has seen all items but those two, they are all there is.
    seen = [item for item in range(small.N_ITEMS) if item not in (1, 2)]
    whole = small.expected()
    indptr = np.concatenate(([0], whole.seen_indptr[1:] + len(seen) - 1))
    indices = np.array([*seen, 1, 2, 3], np.int32)
    report = checked(tmp_path, few, expected=replace(whole, seen_indptr=indptr, seen_indices=indices))
    assert report.coverage == 0.5


@pytest.mark.parametrize(
    ("said", "of_users", "change"),
    [
        ("1 users of the model have no list, as u2", {u: i for u, i in WHOLE.items() if u != "u2"}, None),
        ("1 users are not known to the model, as x9", {**WHOLE, "x9": ["i1", "i2", "i3"]}, None),
        ("1 items are not known to the model, as i99", {**WHOLE, "u0": ["i1", "i2", "i99"]}, None),
        ("1 users have an item twice, as u0", {**WHOLE, "u0": ["i1", "i1", "i3"]}, None),
        (r"1 recommended items were seen by their users, as u0 \(item i0\)", {**WHOLE, "u0": ["i1", "i0", "i3"]}, None),
        ("4 users have positions that are not 1, 2, 3", WHOLE, ("position", lambda at: at + 1)),
        ("12 scores are no finite numbers", WHOLE, ("score", lambda score: float("nan"))),
        ("scores are no finite numbers", WHOLE, ("score", lambda score: float("inf"))),
        (r"8 scores rise along a list, as u0 \(position 2\)", WHOLE, ("score", lambda score: -score)),
        ("1 items are not known to the model, as I1", WHOLE, ("item_id", lambda item: item.replace("i1", "I1"))),
    ],
)
def test_what_is_broken_is_named_and_kept(
    tmp_path: Path, said: str, of_users: dict[str, list[str]], change: tuple[str, Callable[[Any], Any]] | None
) -> None:
    def changed(rows: pa.Table) -> pa.Table:
        if change is None:
            return rows
        column, new = change
        at = rows.schema.get_field_index(column)
        return rows.set_column(at, column, pa.array([new(value) for value in rows[column].to_pylist()]))

    with pytest.raises(RefusedError, match=said) as told:
        checked(tmp_path, of_users, change=changed)
    rejected = tmp_path / "releases" / "rejected" / "r1.duckdb"
    assert str(rejected) in str(told.value) and "the current one stays" in str(told.value)
    assert not (tmp_path / "releases" / "r1.duckdb").exists()
    with duckdb.connect(str(rejected), read_only=True) as kept:
        assert kept.execute("SELECT release_id FROM release").fetchone() == ("r1",)
    assert checked(tmp_path, WHOLE).coverage == 0.5, "a rejected file is in nobody's way"


def test_bounds_of_coverage_and_popularity(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"hold 50.00% of the items, where 60.00% is asked for \(publish.min_cov"):
        checked(tmp_path, WHOLE, rule=small.RULE.model_copy(update={"min_coverage": 0.6}))
    with pytest.raises(RefusedError, match=r"publish.max_popularity"):
        checked(tmp_path, WHOLE, rule=small.RULE.model_copy(update={"max_popularity": 0.5}))


def test_churn_warns_then_stops(tmp_path: Path) -> None:
    before = releases.build(tmp_path, "r0", small.inputs("r0", small.lists(1)), small.DDL)
    report = checked(tmp_path, WHOLE, before)
    assert report.churn is not None and report.churn.jaccard == 0.5 and report.warnings == ()
    rule = small.RULE.model_copy(update={"warn_jaccard": 0.6})
    assert "mean Jaccard of 0.5000" in checks.check(
        releases.path_of(tmp_path, "r1"), before, small.expected(), rule
    ).warnings[0]  # fmt: skip
    stop = small.RULE.model_copy(update={"stop_jaccard": 0.6})
    path = releases.path_of(tmp_path, "r1")
    with pytest.raises(RefusedError, match=r"where 0\.6 is asked for"):
        checks.check(path, before, small.expected(), stop)
    by_person = checks.check(path, before, small.expected(), stop, is_by_person=True)
    assert "where 0.6 is asked for" in by_person.warnings[0]


def test_no_users_in_common_says_nothing() -> None:
    assert checks.judged(Churn(None, None, 0), small.RULE) == ([], [])
