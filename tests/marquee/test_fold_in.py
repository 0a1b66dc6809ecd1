"""New users by fold-in: what training would have come to, refusals, and the lists that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from marquee import factor_model
from marquee.recommender_files import RecommenderFiles
from spark_jobs.als.kernels import Problem, counts_of, gram, solve
from spark_jobs.als.kernels.problem import Rows
from tests.marquee.problems import IMPLICIT, PROBLEMS

N_USERS, N_ITEMS, RANK = 40, 60, 8


@pytest.fixture(scope="module")
def rated() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and ratings, some of them below 0."""
    rng = np.random.default_rng(3)
    user, item = np.nonzero(rng.random((N_USERS, N_ITEMS)) < 0.2)
    return user, item, rng.integers(-2, 6, len(user)).astype(np.float32)


def trained(rated: tuple[np.ndarray, np.ndarray, np.ndarray], problem: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Random items, and the users that the training's own kernel solves for."""
    user, item, rating = rated
    items = np.random.default_rng(4).normal(0, 0.5, (N_ITEMS, RANK)).astype(np.float32)
    indptr = np.concatenate(([0], np.bincount(user, minlength=N_USERS).cumsum()))
    rows = Rows(indptr, item.astype(np.int32), rating)
    asked = Problem(
        problem["implicit"], problem["regularization"], problem["alpha"],
        unobserved_weight=problem["unobserved_weight"], regularization_exponent=problem["regularization_exponent"],
    )  # fmt: skip
    users = np.zeros((N_USERS, RANK), np.float32)
    solve(rows, items, users, asked, "cholesky", gram=gram(items), counts=counts_of(rows, asked))
    return users, items


def loaded(
    folder: Path, rated: tuple[np.ndarray, np.ndarray, np.ndarray], problem: dict[str, Any] | None
) -> factor_model.Recommender:
    user, item, _ = rated
    users, items = trained(rated, problem or IMPLICIT)
    ids = [f"i{number:02d}" for number in np.random.default_rng(5).permutation(N_ITEMS)]
    RecommenderFiles(
        user_ids=pa.array([f"u{number}" for number in range(N_USERS)]),
        item_ids=pa.array(ids),
        titles=pa.array([f"Title of {one}" for one in ids]),
        n_ratings=np.bincount(item, minlength=N_ITEMS),
        user_factors=users,
        item_factors=items,
        seen_indptr=np.concatenate(([0], np.bincount(user, minlength=N_USERS).cumsum())),
        seen_indices=item.astype(np.int32),
        source="als",
        problem=problem,
    ).save(folder)
    (folder / "ids.txt").write_text(" ".join(ids), encoding="utf-8")
    return factor_model.read_folder(folder)


def history_of(
    folder: Path, rated: tuple[np.ndarray, np.ndarray, np.ndarray], one: int
) -> tuple[list[str], list[float]]:
    ids = (folder / "ids.txt").read_text(encoding="utf-8").split()
    user, item, rating = rated
    return [ids[number] for number in item[user == one]], rating[user == one].tolist()


@pytest.mark.parametrize("name", PROBLEMS)
def test_it_is_the_training_s_solution(name: str, rated: Any, tmp_path: Path) -> None:
    model = loaded(tmp_path, rated, PROBLEMS[name])
    assert model.user_factors is not None
    for user in range(N_USERS):
        items, ratings = history_of(tmp_path, rated, user)
        columns = model.items.get_indexer(pd.Index(items))
        found = factor_model.fold_in(model, columns, np.array(ratings))
        np.testing.assert_allclose(found, model.user_factors[user], atol=1e-4, rtol=1e-4)


def test_a_history_makes_the_list_that_its_user_has(rated: Any, tmp_path: Path) -> None:
    model = loaded(tmp_path, rated, IMPLICIT)
    histories, ratings = zip(*(history_of(tmp_path, rated, user) for user in range(N_USERS)), strict=True)
    known = factor_model.recommend(model, np.array([f"u{user}" for user in range(N_USERS)], object), 5)
    folded = factor_model.answer(model, np.full(N_USERS, None, object), histories, ratings, 5)
    assert set(folded["source"]) == {"fold_in"} and set(known["source"]) == {"als"}
    assert folded["item_id"].tolist() == known["item_id"].tolist()
    np.testing.assert_allclose(folded["score"], known["score"], atol=1e-4)


def test_each_answer_says_where_it_comes_from(rated: Any, tmp_path: Path) -> None:
    model = loaded(tmp_path, rated, IMPLICIT)
    users = np.array(["u3", "nobody", None, None, "u3"], object)
    histories = [None, None, ["i01", "i07", "no such item"], ["no such item"], ["i01"]]
    told = factor_model.answer(model, users, histories, [None, None, [5.0, 3.0, 1.0], None, None], 4)
    sources = told.groupby(np.repeat(range(5), 4))["source"].first().tolist()
    assert sources == ["als", "popular", "fold_in", "popular", "fold_in"]
    assert not {"i01", "i07"} & set(told["item_id"][8:12]) and "i01" not in set(told["item_id"][16:])
    twice = factor_model.answer(model, users[:1], [["i01", "i01"]], [[1.0, 5.0]], 4)
    once = factor_model.answer(model, users[:1], [["i01"]], [[5.0]], 4)
    pd.testing.assert_frame_equal(twice, once)


def test_a_model_that_can_fold_in_nobody_gives_popular_items_without_the_history(rated: Any, tmp_path: Path) -> None:
    model = loaded(tmp_path, rated, None)
    best = factor_model.answer(model, np.array([None], object), [None], [None], 3)["item_id"].tolist()
    told = factor_model.answer(model, np.array([None], object), [best[:1]], [None], 2)
    assert told["item_id"].tolist() == best[1:] and set(told["source"]) == {"popular"}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"items": ["i01", "i02"], "ratings": [1.0]}, "Row 0 has 2 items and 1 ratings: give one rating an item"),
        ({"items": ["i01"], "ratings": [float("inf")]}, "Row 0 has a rating that is no finite number: inf"),
        ({"user_id": None, "items": None}, "Row 0 names neither a user_id nor items: give one of them"),
    ],
)
def test_what_can_t_be_answered_is_a_sentence(row: dict[str, Any], said: str, rated: Any, tmp_path: Path) -> None:
    served = factor_model.FactorModel()
    served.model = loaded(tmp_path, rated, IMPLICIT)
    with pytest.raises(mlflow.exceptions.MlflowException, match=said):
        served.predict(None, pd.DataFrame([row]))
    told = served.predict(None, pd.DataFrame([{"items": np.array(["i01", "i02"])}]), {"k": 2})
    assert told["source"].tolist() == ["fold_in"] * 2 and told["user_id"].tolist() == [None, None]
