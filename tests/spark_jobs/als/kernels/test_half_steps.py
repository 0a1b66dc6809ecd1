"""Each solver against the dense solution of the same problem."""

from __future__ import annotations

import numpy as np
import pytest

from spark_jobs.als.kernels import Problem, gram, half_step, objective, solve
from tests.spark_jobs.als.kernels.dense import dense_objective, dense_solution, random_ratings, rows_of

RANKS = (1, 2, 7, 16, 33, 64, 100)
N_ROWS, N_COLUMNS = 12, 700

EXPLICIT = Problem(implicit=False, regularization=0.05)
IMPLICIT = Problem(implicit=True, regularization=0.05)
PROBLEMS = {
    "explicit": EXPLICIT,
    "explicit, exponent": Problem(implicit=False, regularization=2.0, regularization_exponent=0.5),
    "implicit": IMPLICIT,
    "implicit, w0, exponent": Problem(
        implicit=True, regularization=0.02, alpha=3.0, unobserved_weight=0.3, regularization_exponent=0.8
    ),
    "implicit, alpha 0": Problem(implicit=True, regularization=0.05, alpha=0.0),
}
NONNEGATIVE = {
    "explicit": Problem(implicit=False, regularization=0.05, nonnegative=True),
    "implicit": Problem(implicit=True, regularization=0.05, alpha=3.0, nonnegative=True),
}
#: Passes and steps that take the inexact solvers to the minimum.
TO_THE_END = {"cholesky": (1, 3), "cg": (1, 500), "subspace": (100, 3), "nnls": (1, 3)}


def check(problem: Problem, solver: str, rank: int) -> None:
    rng = np.random.default_rng(rank)
    R, is_rated = random_ratings(rng, N_ROWS, N_COLUMNS, problem.implicit)
    Y = (rng.normal(0, 1, (N_COLUMNS, rank)) / np.sqrt(rank)).astype(np.float32)
    if problem.nonnegative:
        Y = np.abs(Y)
    expected = dense_solution(R, is_rated, Y, problem)
    rows = rows_of(R, is_rated)
    X = np.full((N_ROWS, rank), 0.1, np.float32)
    passes, steps = TO_THE_END[solver]
    for _ in range(passes):
        part = solve(rows, Y, X, problem, solver, gram=gram(Y), cg_steps=steps, block=16)
    np.testing.assert_allclose(X, expected, atol=1e-4 * max(1.0, float(np.abs(expected).max())))
    assert part == pytest.approx(dense_objective(R, is_rated, X, Y, problem), rel=1e-5)
    assert objective(rows, X, Y, problem) == pytest.approx(dense_objective(R, is_rated, X, Y, problem), rel=1e-7)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("solver", ["cholesky", "cg", "subspace"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_solver_reaches_the_dense_solution_and_says_its_objective(name: str, solver: str, rank: int) -> None:
    check(PROBLEMS[name], solver, rank)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("name", NONNEGATIVE)
def test_nonnegative_factors_are_those_of_the_dense_solution(name: str, rank: int) -> None:
    check(NONNEGATIVE[name], "nnls", rank)


@pytest.mark.parametrize(("problem", "solver"), [(IMPLICIT, "cg"), (EXPLICIT, "cg"), (IMPLICIT, "subspace")])
def test_few_steps_say_the_objective_of_what_they_reach(problem: Problem, solver: str) -> None:
    rng = np.random.default_rng(5)
    R, is_rated = random_ratings(rng, N_ROWS, N_COLUMNS, problem.implicit)
    Y = rng.normal(0, 0.3, (N_COLUMNS, 40)).astype(np.float32)
    X = rng.normal(0, 0.3, (N_ROWS, 40)).astype(np.float32)
    before = dense_objective(R, is_rated, X, Y, problem)
    part = solve(rows_of(R, is_rated), Y, X, problem, solver, gram=gram(Y), cg_steps=2, block=16)
    assert part == pytest.approx(dense_objective(R, is_rated, X, Y, problem), rel=1e-5)
    assert part < before
    assert np.abs(X - dense_solution(R, is_rated, Y, problem)).max() > 1e-3, "two steps aren't the end"


@pytest.mark.parametrize("n_held", [100, 100_000])
@pytest.mark.parametrize("solver", ["cg", "subspace", "cholesky"])
@pytest.mark.parametrize("problem", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_a_row_of_more_ratings_than_are_held(
    problem: Problem, solver: str, n_held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of 48 float32: of the 9,000 ratings some 8,000 are gathered at once, or none of them twice."""
    monkeypatch.setattr(half_step, "NEAR_BYTES", n_held * 48 * 4)
    rng = np.random.default_rng(6)
    R = rng.normal(1, 1, (2, 9000)).astype(np.float32)
    is_rated = rng.random((2, 9000)) < np.array([[0.9], [0.01]])
    Y = rng.normal(0, 0.2, (9000, 40)).astype(np.float32)
    expected = dense_solution(R, is_rated, Y, problem)
    X = np.zeros((2, 40), np.float32)
    passes, steps = TO_THE_END[solver]
    for _ in range(passes):
        part = solve(rows_of(R, is_rated), Y, X, problem, solver, gram=gram(Y), cg_steps=steps, block=16)
    np.testing.assert_allclose(X, expected, atol=1e-4)
    assert part == pytest.approx(dense_objective(R, is_rated, X, Y, problem), rel=1e-5)


def test_rows_without_a_positive_rating_are_zero_where_implicit() -> None:
    R = np.array([[-1.0, -2.0, 0.0], [1.0, -2.0, 0.0]], np.float32)
    Y = np.array([[1.0], [2.0], [3.0]], np.float32)
    X = np.full((2, 1), 7.0, np.float32)
    solve(rows_of(R, R != 0), Y, X, IMPLICIT, "cg", gram=gram(Y))
    # 14 + 1 * 1 + 2 * 4 + 0.05 on the left, 1 + 1 on the right
    np.testing.assert_allclose(X, [[0.0], [2 / 23.05]], rtol=1e-5)


def test_ratings_that_determine_less_than_the_rank_without_regularization() -> None:
    """The shortest of the solutions, so that nothing becomes infinite."""
    Y = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0]], np.float32)
    R = np.array([[4.0, 6.0]], np.float32)
    X = np.zeros((1, 3), np.float32)
    part = solve(rows_of(R, R != 0), Y, X, Problem(implicit=False, regularization=0.0), "cholesky")
    np.testing.assert_allclose(Y @ X[0], [4.0, 6.0], rtol=1e-5)
    assert part == pytest.approx(0, abs=1e-5)


def test_equal_columns_without_regularization_stay_finite() -> None:
    rng = np.random.default_rng(8)
    Y = np.repeat(rng.normal(0, 1, (60, 1)), 5, axis=1).astype(np.float32)
    R = (Y[:, 0] * 3)[None, :]
    X = np.zeros((1, 5), np.float32)
    solve(rows_of(R, R != 0), Y, X, Problem(implicit=False, regularization=0.0), "cholesky")
    np.testing.assert_allclose(Y @ X[0], R[0], rtol=1e-4)
