"""Shares of a score: they add up to it, and are those of a dense computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marquee.explanations import Explainer, gram_of, reasons
from tests.marquee.problems import IMPLICIT, PROBLEMS

N_USERS, N_ITEMS, RANK, K = 40, 60, 8, 5


def explainer(problem: dict[str, Any], n_items: int = N_ITEMS, share: float = 0.2) -> Explainer:
    """Random items and histories; the first user has none, ratings reach from -2 to 5."""
    rng = np.random.default_rng(3)
    is_rated = rng.random((N_USERS, n_items)) < share
    is_rated[0] = False
    item_factors = rng.normal(0, 0.5, (n_items, RANK)).astype(np.float32)
    return Explainer(
        item_factors,
        gram_of(item_factors),
        problem,
        np.concatenate(([0], is_rated.sum(axis=1).cumsum())),
        np.nonzero(is_rated)[1].astype(np.int32),
        rng.integers(-2, 6, int(is_rated.sum())).astype(np.float32),
    )


def dense(one: Explainer, user: int, item: int) -> dict[int, float]:
    """The paper's formula with a diagonal matrix over all items, one share after the other."""
    Y, problem = one.item_factors.astype(float), one.problem
    row = slice(one.indptr[user], one.indptr[user + 1])
    r = np.zeros(len(Y))
    r[one.indices[row]] = one.ratings[row]
    is_known = np.isin(np.arange(len(Y)), one.indices[row])
    if problem["implicit"]:
        C = problem["unobserved_weight"] + problem["alpha"] * np.abs(r)
        p, n = (r > 0).astype(float), int((r > 0).sum())
    else:
        C, p, n = is_known.astype(float), r, int(is_known.sum())
    exponent = problem["regularization_exponent"]
    weight = n if exponent is None else (n + problem["unobserved_weight"] * len(Y)) ** exponent
    W = np.linalg.inv(Y.T @ np.diag(C) @ Y + problem["regularization"] * weight * np.eye(RANK))
    return {int(j): float(Y[item] @ W @ Y[j] * C[j] * p[j]) for j in np.flatnonzero(is_known)}


def factors_of(one: Explainer) -> np.ndarray:
    """Users as the training's own kernel solves for them, float32."""
    from spark_jobs.als.kernels import Problem, counts_of, gram, solve
    from spark_jobs.als.kernels.problem import Rows

    rows = Rows(one.indptr, one.indices, one.ratings)
    asked = Problem(
        one.problem["implicit"], one.problem["regularization"], one.problem["alpha"],
        unobserved_weight=one.problem["unobserved_weight"],
        regularization_exponent=one.problem["regularization_exponent"],
    )  # fmt: skip
    users = np.zeros((N_USERS, RANK), np.float32)
    solve(rows, one.item_factors, users, asked, "cholesky", gram=gram(one.item_factors), counts=counts_of(rows, asked))
    return users


@pytest.mark.parametrize("name", PROBLEMS)
def test_shares_are_those_of_the_dense_formula(name: str) -> None:
    one, rng = explainer(PROBLEMS[name]), np.random.default_rng(1)
    users = rng.permutation(N_USERS)
    items = rng.integers(0, N_ITEMS, (N_USERS, K)).astype(np.int32)
    for user, wanted, (history, shares) in zip(users, items, one.shares(users, items), strict=True):
        for place, item in enumerate(wanted):
            expected = dense(one, user, item) if len(history) else {}
            assert history.tolist() == list(expected)
            np.testing.assert_allclose(shares[:, place], list(expected.values()), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", PROBLEMS)
def test_shares_add_up_to_the_model_s_score(name: str) -> None:
    one = explainer(PROBLEMS[name])
    users, everything = np.arange(N_USERS), np.tile(np.arange(N_ITEMS, dtype=np.int32), (N_USERS, 1))
    scores = factors_of(one).astype(float) @ one.item_factors.T.astype(float)
    sums = np.stack([shares.sum(axis=0) for _, shares in one.shares(users, everything)])
    # Users are float32: a score near 0 is known to what its terms are rounded to.
    np.testing.assert_allclose(sums, scores, rtol=1e-4, atol=1e-4 * float(np.abs(scores).max()))


def test_many_small_blocks_are_one_large(monkeypatch: pytest.MonkeyPatch) -> None:
    one = explainer(IMPLICIT)
    users, items = np.arange(N_USERS), np.tile(np.arange(K, dtype=np.int32), (N_USERS, 1))
    whole = [shares for _, shares in one.shares(users, items)]
    monkeypatch.setattr("marquee.explanations.VALUES_OF_A_BLOCK", 3 * RANK**2)
    for large, (_, small) in zip(whole, one.shares(users, items), strict=True):
        np.testing.assert_allclose(small, large, rtol=1e-12)


def test_a_fit_without_regularization_is_explained_too() -> None:
    one = explainer(PROBLEMS["explicit"] | {"regularization": 0.0}, share=0.05)
    assert (np.diff(one.indptr) < RANK).any()
    users, items = np.arange(N_USERS), np.tile(np.arange(K, dtype=np.int32), (N_USERS, 1))
    for user, (history, shares) in zip(users, one.shares(users, items), strict=True):
        Y = one.item_factors[history].astype(float)
        ratings = one.ratings[one.indptr[user] : one.indptr[user + 1]]
        expected = np.linalg.lstsq(Y, ratings.astype(float))[0] if len(history) else np.zeros(RANK)
        scores = one.item_factors[:K].astype(float) @ expected
        np.testing.assert_allclose(shares.sum(axis=0), scores, rtol=1e-4, atol=1e-4)


def test_the_reasons_are_the_three_highest_shares_as_parts_of_the_score() -> None:
    one = explainer(IMPLICIT)
    scores_of_all = factors_of(one).astype(float) @ one.item_factors.T.astype(float)
    users = np.arange(N_USERS)
    items = np.argsort(-scores_of_all, axis=1)[:, :K].astype(np.int32)
    scores = np.take_along_axis(scores_of_all, items, axis=1)
    items[7, 4:], scores[7, 4:] = -1, np.nan
    found, parts = reasons(one, users, items, scores)
    assert found.shape == parts.shape == (N_USERS, K, 3)
    n_named = 0
    for user in users:
        for place, item in enumerate(items[user]):
            named = found[user, place][found[user, place] >= 0]
            told = parts[user, place][: len(named)]
            if item < 0 or not len(named):
                assert not parts[user, place].any()
                assert item < 0 or scores[user, place] <= 0 or one.indptr[user] == one.indptr[user + 1]
                continue
            expected = dense(one, user, int(item))
            best = sorted((j for j in expected if expected[j] > 0), key=lambda j: -expected[j])[:3]
            assert named.tolist() == best
            np.testing.assert_allclose(told, [expected[j] / scores[user, place] for j in best], rtol=1e-3)
            n_named += len(named)
    assert n_named > 2 * N_USERS * K  # nearly every row has three


def test_users_without_a_history_or_without_a_score_above_0_have_no_reason() -> None:
    one = explainer(IMPLICIT)
    found, parts = reasons(one, np.array([0, 1]), np.array([[3], [3]], np.int32), np.array([[1.0], [-1.0]]))
    assert (found == -1).all() and not parts.any()
