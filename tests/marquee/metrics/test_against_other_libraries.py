"""Our metrics beside ranx and scikit-learn, to 1e-9, on random lists. (ranx compiles when it is first used.)"""

from __future__ import annotations

import numpy as np
import pytest
from ranx import Qrels, Run, evaluate
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, root_mean_squared_error

from marquee.metrics import RANKING, mark, rmse

N_USERS, N_ITEMS = 60, 40


@pytest.fixture(scope="module")
def ranked() -> tuple[np.ndarray, np.ndarray]:
    """Relevance, bool (users, items), at least one a user, and a full ranking of all items for each user."""
    random = np.random.default_rng(7)
    is_relevant = random.random((N_USERS, N_ITEMS)) < random.uniform(0.01, 0.6, (N_USERS, 1))
    is_relevant[np.arange(N_USERS), random.integers(0, N_ITEMS, N_USERS)] = True
    return is_relevant, np.argsort(random.random((N_USERS, N_ITEMS)), axis=1)


def judged(is_relevant: np.ndarray, ranking: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    indptr = np.concatenate(([0], is_relevant.sum(axis=1).cumsum()))
    return mark(ranking[:, :k], indptr, np.nonzero(is_relevant)[1])


@pytest.mark.parametrize("k", [1, 3, 10, N_ITEMS])
def test_ranx(ranked: tuple[np.ndarray, np.ndarray], k: int) -> None:
    is_relevant, ranking = ranked
    is_hit, n_relevant = judged(is_relevant, ranking, k)
    users = [f"u{row:03}" for row in range(N_USERS)]
    qrels = Qrels({u: {f"i{i}": 1 for i in np.flatnonzero(row)} for u, row in zip(users, is_relevant, strict=True)})
    run = Run(
        {u: {f"i{i}": float(N_ITEMS - n) for n, i in enumerate(row)} for u, row in zip(users, ranking, strict=True)}
    )
    theirs = evaluate(qrels, run, [f"{name}@{k}" for name in RANKING], return_mean=False)
    # ranx divides average precision by n_relevant, as TREC does; we by min(k, n_relevant): see average_precision.py.
    theirs[f"map@{k}"] = theirs[f"map@{k}"] * n_relevant / np.minimum(k, n_relevant)
    for name, metric in RANKING.items():
        np.testing.assert_allclose(metric(is_hit, n_relevant, k), theirs[f"{name}@{k}"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", [1, 3, 10, N_ITEMS])
def test_ndcg_of_scikit_learn(ranked: tuple[np.ndarray, np.ndarray], k: int) -> None:
    is_relevant, ranking = ranked
    scores = -np.argsort(ranking, axis=1).astype(float)
    ours = RANKING["ndcg"](*judged(is_relevant, ranking, k), k)
    theirs = [ndcg_score([true], [score], k=k) for true, score in zip(is_relevant, scores, strict=True)]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_average_precision_of_scikit_learn(ranked: tuple[np.ndarray, np.ndarray]) -> None:
    is_relevant, ranking = ranked
    scores = -np.argsort(ranking, axis=1).astype(float)
    ours = RANKING["map"](*judged(is_relevant, ranking, N_ITEMS), N_ITEMS)
    assert ours.mean() == pytest.approx(label_ranking_average_precision_score(is_relevant, scores), abs=1e-9)


def test_rmse_of_scikit_learn() -> None:
    true, predicted = np.random.default_rng(3).uniform(0.5, 5.0, (2, 1000))
    assert rmse(true, predicted) == pytest.approx(root_mean_squared_error(true, predicted), abs=1e-9)
