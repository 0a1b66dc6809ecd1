"""The score job: the published lists are those of the registered model, computed by Spark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from expectations.contracts import RECOMMENDATIONS
from marquee import registry
from marquee.lake import outcome, tables
from marquee.lake.objects import Lake
from marquee.recommender_files import RecommenderFiles
from spark_jobs import score

MODEL = "score-job"
N_USERS, N_ITEMS = 30, 25
PROBLEM = {
    "implicit": True, "regularization": 0.05, "alpha": 0.3, "unobserved_weight": 0.5, "regularization_exponent": None,
}  # fmt: skip


def solved(item_factors: np.ndarray, items: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """The factors of a user that training would come to (Hu, Koren and Volinsky 2008, equation 4)."""
    Y, wide = item_factors.astype(float), item_factors[items].astype(float)
    n = int((ratings > 0).sum())
    A = 0.5 * Y.T @ Y + wide.T * (0.3 * np.abs(ratings)) @ wide + 0.05 * max(n, 1) * np.eye(5)
    return np.linalg.solve(A, wide.T @ np.where(ratings > 0, 0.5 + 0.3 * ratings, 0.0)).astype(np.float32)


def model(*, is_popular: bool) -> RecommenderFiles:
    """Random items, and the users that follow from them; the last user has seen all but three items, the first none.

    The second user has rated nothing above 0: the model has no factors of these two but zeros.
    """
    rng = np.random.default_rng(3)
    n_seen = [0, *rng.integers(1, 12, N_USERS - 2), N_ITEMS - 3]
    seen = [np.sort(rng.choice(N_ITEMS, n, replace=False)) for n in n_seen]
    item_ids = sorted(str(item) for item in rng.permutation(1000)[:N_ITEMS])
    item_factors = rng.normal(size=(N_ITEMS, 5)).astype(np.float32)
    ratings = [rng.integers(1, 6, n).astype(np.float32) * (-1 if user == 1 else 1) for user, n in enumerate(n_seen)]
    files = RecommenderFiles(
        user_ids=pa.array(sorted(f"u{user}" for user in range(N_USERS))),
        item_ids=pa.array(item_ids),
        titles=pa.array([f"Title of {item}" for item in item_ids]),
        n_ratings=rng.integers(0, 6, N_ITEMS),  # many are equal
        user_factors=np.stack([solved(item_factors, *own) for own in zip(seen, ratings, strict=True)]),
        item_factors=item_factors,
        seen_indptr=np.cumsum([0, *n_seen]).astype(np.int64),
        seen_indices=np.concatenate(seen).astype(np.int32),
        source="als",
        problem=PROBLEM,
        seen_ratings=np.concatenate(ratings),
    )
    return replace(files, user_factors=None, item_factors=None, source="popular") if is_popular else files


@pytest.fixture
def versions(tracked: None) -> dict[str, str]:
    """Registered versions by source; the second test finds the first one's."""
    found = {}
    for source in ("als", "popular"):
        run_id = registry.log_candidate(
            experiment="score job",
            key=f"score-{source}",
            name=source,
            params={},
            metrics={},
            figures={},
            tags={},
            files=model(is_popular=source == "popular"),
        )
        found[source] = registry.register(run_id, MODEL)
    return found


@pytest.fixture
def run(spark: SparkSession, lake: Lake, versions: dict[str, str]) -> Callable[..., tuple[int, outcome.Outcome, Any]]:
    """Run the job; gives the exit code, the outcome, and the rows that it has prepared."""

    def run(version: str, k: int) -> tuple[int, outcome.Outcome, pd.DataFrame]:
        batch, where = f"score-{version}-{k}", outcome.key("test", f"score-{version}-{k}")
        words = ["--model", MODEL, "--version", versions.get(version, version), "--k", str(k), "--batch", batch]
        code = score.main([*words, "--outcome", where])
        left = outcome.load(lake, where)
        assert left is not None
        if code:
            return code, left, pd.DataFrame()
        rows = pa.concat_tables(tables.read_parts(lake, tables.load_prepared(lake, "recommendations", batch)))
        assert rows.column_names == RECOMMENDATIONS.column_names
        return code, left, rows.to_pandas()

    return run


@pytest.mark.parametrize(("source", "k"), [("als", 3), ("popular", 3), ("als", 10)])
def test_the_lists_are_those_of_the_model(
    run: Callable[..., Any], versions: dict[str, str], source: str, k: int
) -> None:
    import mlflow

    code, left, rows = run(source, k)
    assert (code, left.error) == (0, "")
    users = model(is_popular=False).user_ids.to_pylist()
    expected = mlflow.pyfunc.load_model(f"models:/{MODEL}/{versions[source]}").predict(
        pd.DataFrame({"user_id": users}), params={"k": k}
    )
    ours = rows.sort_values(["user_id", "position"], ignore_index=True)
    expected = expected.sort_values(["user_id", "position"], ignore_index=True)
    pd.testing.assert_frame_equal(ours[["user_id", "position"]], expected[["user_id", "position"]])
    np.testing.assert_array_equal(ours["score"], expected["score"])  # to the last bit
    pd.testing.assert_frame_equal(ours[["item_id", "title", "source"]], expected[["item_id", "title", "source"]])
    due = sum(min(k, N_ITEMS - n) for n in np.diff(model(is_popular=False).seen_indptr))
    assert left.result == {
        "rows": due, "users": N_USERS, "items": N_ITEMS, "source": source,
        "k": k if k <= 3 else None,  # somebody has three unseen items: a list of ten is shorter there
    }  # fmt: skip
    assert len(rows) == due


def test_nobody_gets_what_they_have_seen(run: Callable[..., Any]) -> None:
    files = model(is_popular=False)
    _, _, rows = run("als", N_ITEMS)
    ids, users = files.item_ids.to_pylist(), files.user_ids.to_pylist()
    for at, user in enumerate(users):
        seen = {ids[item] for item in files.seen_indices[files.seen_indptr[at] : files.seen_indptr[at + 1]]}
        listed = rows[rows["user_id"] == user].sort_values("position")
        assert set(listed["item_id"]) == set(ids) - seen
        assert listed["position"].tolist() == list(range(1, len(listed) + 1))
        assert (np.diff(listed["score"]) <= 0).all()


def test_each_row_says_because_of_what(run: Callable[..., Any]) -> None:
    """Up to three items of the user's history, by the share of the score that a dense computation finds."""
    files = model(is_popular=False)
    _, _, rows = run("als", N_ITEMS)
    assert files.item_factors is not None and files.seen_ratings is not None
    Y = files.item_factors.astype(float)
    ids, users, titles = (array.to_pylist() for array in (files.item_ids, files.user_ids, files.titles))
    n_named = 0
    for row in rows.itertuples():
        user, item = users.index(row.user_id), ids.index(row.item_id)
        part = slice(files.seen_indptr[user], files.seen_indptr[user + 1])
        history, ratings = files.seen_indices[part], files.seen_ratings[part]
        if row.source == "popular" or row.score <= 0:
            assert list(row.because) == []
            continue
        diagonal = np.zeros(N_ITEMS)
        diagonal[history] = 0.3 * ratings
        W = np.linalg.inv(Y.T @ np.diag(diagonal + 0.5) @ Y + 0.05 * len(history) * np.eye(5))
        shares = Y[item] @ W @ Y[history].T * (0.5 + 0.3 * ratings)
        assert shares.sum() == pytest.approx(row.score, rel=1e-4, abs=1e-5)
        expected = sorted((share, at) for at, share in zip(history, shares, strict=True) if share > 0)[::-1][:3]
        assert [one["item_id"] for one in row.because] == [ids[at] for _, at in expected]
        assert [one["title"] for one in row.because] == [titles[at] for _, at in expected]
        told = [one["share"] for one in row.because]
        assert told == pytest.approx([share / row.score for share, _ in expected], rel=1e-2, abs=2e-4)
        n_named += len(told)
    assert n_named > len(rows) / 2


def test_users_whom_the_model_can_t_serve_get_popular_items(run: Callable[..., Any]) -> None:
    _, _, rows = run("als", 3)
    files = model(is_popular=False)
    cold = {user for user, is_cold in zip(files.user_ids.to_pylist(), files.is_cold, strict=True) if is_cold}
    assert len(cold) == 2 and set(rows[rows["source"] == "popular"]["user_id"]) == cold
    assert (rows.groupby("user_id").size() == 3).all() and rows["user_id"].nunique() == N_USERS
    (nothing_rated, *_) = sorted(cold)
    best = np.lexsort((np.arange(N_ITEMS), -files.n_ratings))[:3]
    assert rows[rows["user_id"] == nothing_rated].sort_values("position")["item_id"].tolist() == [
        files.item_ids[int(item)].as_py() for item in best
    ]


def test_a_version_that_is_not_there_is_a_sentence(run: Callable[..., Any]) -> None:
    code, left, _ = run("999", 3)
    assert code == 1 and "version 999" in left.error and not left.is_transient
