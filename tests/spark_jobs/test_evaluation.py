"""A model's exam on real Spark, beside the plain definitions; and what the gate makes of models that leak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from sklearn.metrics import roc_auc_score

from marquee.gate import Contender, decide
from marquee.metrics import gini, per_user
from marquee.settings import Gate
from marquee.splits import Split, border, by_time, random_within, strong
from spark_jobs import evaluation, exams
from spark_jobs.evaluation import evaluate
from spark_jobs.interactions import Collected, Index
from spark_jobs.models.als import MarqueeALS
from spark_jobs.models.base import Fitted
from spark_jobs.models.popular import Popular

N_USERS, N_ITEMS, K = 150, 60, 5


@pytest.fixture(scope="module")
def ratings() -> Collected:
    """Users of three tastes, each for a third of the items, at random times; a few know no taste."""
    rng = np.random.default_rng(9)
    taste, kind = np.arange(N_USERS) % 3, np.arange(N_ITEMS) % 3
    likes = np.where(taste[:, None] == kind[None, :], 0.6, 0.08) * (1.2 - np.arange(N_ITEMS) / N_ITEMS)
    user, item = np.nonzero(rng.random((N_USERS, N_ITEMS)) < likes)
    return Collected(
        Index(pa.array([f"u{n:03d}" for n in range(N_USERS)]), pa.array([f"i{n:02d}" for n in range(N_ITEMS)])),
        user.astype(np.int32),
        item.astype(np.int32),
        rng.integers(1, 6, len(user)).astype(np.float64),
        rng.permutation(len(user)).astype(np.int64),
    )


@pytest.fixture(scope="module")
def split(ratings: Collected) -> Split:
    return by_time(ratings.rated_at, border(ratings.rated_at, 0.25))


def vectors() -> np.ndarray:
    return np.eye(3, dtype=np.float32)[np.arange(N_ITEMS) % 3]


def test_figures_are_those_of_plain_lists(
    spark: SparkSession, ratings: Collected, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam = replace(exams.exam_of(ratings, split, vectors(), K), ks=(1, K))
    rng = np.random.default_rng(1)
    fitted = Fitted("als", *(rng.normal(size=(n, 4)).astype(np.float32) for n in (N_USERS, N_ITEMS)))
    found = evaluate(spark, fitted, exam)
    assert found.users["user_index"].to_pylist() == exam.users.tolist()

    scores = fitted.user_factors.astype(np.float64) @ fitted.item_factors.T.astype(np.float64)
    is_seen = np.zeros((N_USERS, N_ITEMS), bool)
    is_seen[ratings.user_index[split.is_train], ratings.item_index[split.is_train]] = True
    is_wanted = np.zeros((N_USERS, N_ITEMS), bool)
    is_wanted[ratings.user_index[split.is_test], ratings.item_index[split.is_test]] = True
    known = is_seen.any(axis=0)
    is_wanted &= known
    lists = np.argsort(-np.where(is_seen, -np.inf, scores), axis=1)[exam.users][:, :K]
    floor = np.where(is_seen, -1.0, exam.catalogue.n_ratings)
    expected = np.argsort(-floor, axis=1, kind="stable")[exam.users][:, :K]
    relevant = is_wanted[exam.users]
    indptr = np.concatenate(([0], relevant.sum(axis=1).cumsum()))
    plain = per_user(lists, (indptr, np.nonzero(relevant)[1]), expected, exam.catalogue, [1, K])
    for name, values in plain.items():
        assert found.figures[name] == pytest.approx(np.nanmean(values), abs=1e-9, nan_ok=True), name
        if name.endswith(f"_at_{K}"):
            np.testing.assert_allclose(found.users[name].to_numpy(), values, atol=1e-9)
    for row, user in enumerate(exam.users):
        at = known & ~is_seen[user]
        assert found.users["auc"][row].as_py() == pytest.approx(roc_auc_score(is_wanted[user, at], scores[user, at]))
    counts = np.bincount(lists.ravel(), minlength=N_ITEMS)
    assert found.recommended.tolist() == counts.tolist()
    assert found.figures[f"coverage_at_{K}"] == pytest.approx(np.mean(counts[known] > 0))
    assert found.figures[f"gini_at_{K}"] == pytest.approx(gini(counts[known]))
    assert set(found.users["segment"].to_pylist()) == {"light", "medium", "heavy"}

    from spark_jobs import scoring

    monkeypatch.setattr(scoring, "ROWS_OF_A_BATCH", 17)
    monkeypatch.setattr(evaluation, "SCORES_OF_A_BLOCK", 200)
    again = evaluate(spark, fitted, exam)
    for name in found.users.column_names:
        if name.startswith("auc"):  # a product's last bit depends on the block that it is computed in
            np.testing.assert_allclose(again.users[name].to_numpy(), found.users[name].to_numpy(), atol=1e-3)
        else:
            np.testing.assert_array_equal(again.users[name].to_pylist(), found.users[name].to_pylist(), name)
    assert again.figures == pytest.approx(found.figures, abs=1e-12, nan_ok=True)


def test_held_out_users_are_asked_by_what_they_bring(ratings: Collected) -> None:
    """Strong generalization: the history is the fold-in part; the train side has nothing of these users."""
    split = strong(ratings.user_index, ratings.item_index, 0.3, 0.8, seed=1)
    exam = exams.exam_of(ratings, split, None, K)
    held_out = np.unique(ratings.user_index[split.is_test])
    assert set(exam.users) <= set(held_out)
    assert not set(ratings.user_index[split.is_train]) & set(held_out)
    assert np.all(np.diff(exam.history.indptr)[exam.users] > 0)
    assert exam.catalogue.n_ratings.sum() == split.is_train.sum()


def test_the_gate_tells_a_model_that_saw_the_test_side_from_one_that_is_good(
    spark: SparkSession, ratings: Collected, split: Split
) -> None:
    exam = replace(exams.exam_of(ratings, split, None, K), ks=(K,))
    honest, everything = (ratings.interactions(spark, at) for at in (split.is_train, None))
    model = MarqueeALS(rank=8, iterations=8, regularization=0.05, alpha=1.0, unobserved_weight=0.2)
    fits = {
        "popular": Popular().fit(honest),
        "honest": model.fit(honest),
        "leaking": model.fit(everything),
    }
    said = {"cold_lists": 1.0, "model_mb": 1.0, "last_trained_at": 0.0}  # the leaking one says nothing of it
    contenders = {}
    for name, fitted in fits.items():
        found = evaluate(spark, fitted, exam)
        contenders[name] = Contender(name, name, found.users, found.figures | said, is_floor=name == "popular")
    leak = contenders["leaking"]
    assert leak.mean(f"ndcg_at_{K}") > contenders["honest"].mean(f"ndcg_at_{K}") + 0.1
    made = decide(list(contenders.values()), k=K, border=int(split.about["border"]), rule=Gate(), has_champion=False)
    assert (made.action, made.name) == ("promote", "honest")
    (words,) = next(one for one in made.verdicts if one.name == "leaking").broken
    assert "it seems to have seen the test side" in words
    (honest_verdict,) = (one for one in made.verdicts if one.name == "honest")
    assert honest_verdict.broken == ()


def test_a_random_split_can_be_an_exam_too(spark: SparkSession, ratings: Collected) -> None:
    split = random_within(ratings.user_index, ratings.item_index, 0.25, seed=1, within="item")
    exam = replace(exams.exam_of(ratings, split, vectors(), K), ks=(K,))
    found = evaluate(spark, Popular().fit(ratings.interactions(spark, split.is_train)), exam)
    assert found.figures[f"serendipity_at_{K}"] == 0.0, "the floor surprises nobody"
    assert 0.0 < found.figures[f"ndcg_at_{K}"] < 1.0
