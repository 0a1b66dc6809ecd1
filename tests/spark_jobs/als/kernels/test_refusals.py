"""What doesn't fit is said in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marquee.errors import TrainingError
from spark_jobs.als.kernels import Problem, Rows, cg_steps_of, choose_solver, solve

EXPLICIT, IMPLICIT = Problem(False, 0.1), Problem(True, 0.1)
NONNEGATIVE = Problem(True, 0.1, nonnegative=True)


@pytest.mark.parametrize(
    ("problem", "rank", "asked", "chosen"),
    [
        (EXPLICIT, 32, "auto", "cholesky"),
        (EXPLICIT, 64, "auto", "cg"),
        (EXPLICIT, 64, "cholesky", "cholesky"),
        (EXPLICIT, 1024, "auto", "cg"),
        (IMPLICIT, 32, "auto", "cholesky"),
        (IMPLICIT, 64, "auto", "cg"),
        (IMPLICIT, 1024, "auto", "subspace"),
        (IMPLICIT, 1024, "cholesky", "cholesky"),
        (NONNEGATIVE, 64, "auto", "nnls"),
        (NONNEGATIVE, 1024, "nnls", "nnls"),
    ],
)
def test_the_solver_for_a_problem_and_rank(problem: Problem, rank: int, asked: str, chosen: str) -> None:
    assert choose_solver(problem, rank, asked) == chosen


def test_explicit_rows_get_more_steps_and_most_where_nothing_is_known_yet() -> None:
    assert [cg_steps_of(EXPLICIT, iteration) for iteration in (1, 2, 3, 10)] == [8, 8, 4, 4]
    assert [cg_steps_of(IMPLICIT, iteration) for iteration in (1, 2, 3, 10)] == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("problem", "asked", "words"),
    [
        (EXPLICIT, "qr", "'qr' of ALS is unknown; choose one of auto, cholesky, cg, subspace, nnls"),
        (EXPLICIT, "nnls", "set nonnegative"),
        (NONNEGATIVE, "cg", "choose auto or nnls"),
    ],
)
def test_a_solver_that_does_not_fit(problem: Problem, asked: str, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        choose_solver(problem, 8, asked)


@pytest.mark.parametrize(
    "changed", [{"regularization": -1.0}, {"alpha": float("nan")}, {"unobserved_weight": float("inf")}]
)
def test_parameters_outside_their_range(changed: dict[str, float]) -> None:
    (name, value), *_ = changed.items()
    with pytest.raises(TrainingError, match=f"Parameter {name} of ALS is {value}"):
        Problem(**{"implicit": True, "regularization": 0.1, **changed})


def one_row(**changed: Any) -> Rows:
    arrays = {"indptr": np.array([0, 2]), "indices": np.array([0, 1], np.int32), "values": np.ones(2, np.float32)}
    return Rows(**{**arrays, **changed})


@pytest.mark.parametrize(
    ("rows", "problem", "X", "words"),
    [
        (one_row(), EXPLICIT, np.zeros((2, 3), np.float32), r"shape \(2, 3\), its rows and rank ask for \(1, 3\)"),
        (one_row(), EXPLICIT, np.zeros((1, 3)), "solution of ALS is float64; it has to be float32"),
        (one_row(values=np.ones(2)), EXPLICIT, np.zeros((1, 3), np.float32), "values of ALS is float64"),
        (one_row(), IMPLICIT, np.zeros((1, 3), np.float32), "pass gram"),
        (one_row(), NONNEGATIVE, np.zeros((1, 3), np.float32), "needs the Gram matrix|choose auto or nnls"),
    ],
)
def test_arrays_that_do_not_fit(rows: Rows, problem: Problem, X: np.ndarray, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        solve(rows, np.ones((2, 3), np.float32), X, problem, "cholesky")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (one_row(indices=np.array([0, 5], np.int32)), "run from 0 to 5; rows of the other side are 0 to 1"),
        (one_row(indices=np.array([-1, 0], np.int32)), "run from -1 to 0"),
        (one_row(indptr=np.array([0, 3])), "run from 0 to 3 for 2 ratings"),
        (one_row(values=np.ones(3, np.float32)), "3 values for 2 indices"),
    ],
)
def test_ratings_of_rows_that_do_not_exist(rows: Rows, words: str) -> None:
    one_row().check(2)
    with pytest.raises(TrainingError, match=words):
        rows.check(2)
