"""What holds for any ratings: the objective falls, threads and the order of rows change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_jobs.als.kernels import Problem, Rows, counts_of, gram, objective, regularization_of, rmse_sum, solve
from tests.spark_jobs.als.kernels.dense import random_ratings, rows_of

SOLVERS = ["cholesky", "cg", "subspace", "nnls"]


def problem_for(solver: str, implicit: bool, regularization: float = 0.1) -> Problem:
    return Problem(implicit, regularization, alpha=2.0, nonnegative=solver == "nnls")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    solver=st.sampled_from(SOLVERS),
    implicit=st.booleans(),
    rank=st.integers(1, 20),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    regularization=st.floats(0.001, 10),
)
def test_the_objective_never_rises(
    seed: int, solver: str, implicit: bool, rank: int, shape: tuple[int, int], regularization: float
) -> None:
    rng = np.random.default_rng(seed)
    R = rng.normal(1, 2, shape).astype(np.float32)
    is_rated = rng.random(shape) < rng.random()
    problem = problem_for(solver, implicit, regularization)
    sides = [rows_of(R, is_rated), rows_of(R.T, is_rated.T)]
    factors = [np.abs(rng.normal(0, 0.5, (n, rank))).astype(np.float32) for n in shape]
    before = None
    for half_step in range(6):
        mine, other = half_step % 2, 1 - half_step % 2
        fixed = factors[other]
        part = solve(sides[mine], fixed, factors[mine], problem, solver, gram=gram(fixed), block=16)
        whole = part + regularization_of(fixed, counts_of(sides[other], problem), problem, shape[mine])
        assert part == pytest.approx(objective(sides[mine], factors[mine], fixed, problem), rel=1e-4, abs=1e-4)
        if before is not None:
            assert whole <= before * (1 + 1e-5) + 1e-4
        before = whole


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_threads_pieces_and_the_order_of_rows_change_nothing(solver: str, implicit: bool) -> None:
    rng = np.random.default_rng(3)
    R, is_rated = random_ratings(rng, 500, 80, implicit)
    problem = problem_for(solver, implicit)
    Y = np.abs(rng.normal(0, 0.4, (80, 10))).astype(np.float32)
    start = np.abs(rng.normal(0, 0.1, (500, 10))).astype(np.float32)

    def solved(at: np.ndarray, threads: int) -> tuple[np.ndarray, float]:
        X = start[at].copy()
        part = solve(rows_of(R[at], is_rated[at]), Y, X, problem, solver, gram=gram(Y, threads), threads=threads)
        return X, part

    everything, order = np.arange(500), rng.permutation(500)
    X, whole = solved(everything, 1)
    by_threads, same = solved(everything, 3)
    assert np.array_equal(X, by_threads)
    assert whole == same
    shuffled, reordered = solved(order, 2)
    assert np.array_equal(X[order], shuffled)
    assert reordered == pytest.approx(whole, rel=1e-12)
    halves = [solved(everything[:200], 1), solved(everything[200:], 1)]
    assert np.array_equal(X, np.concatenate([part for part, _ in halves]))
    assert sum(part for _, part in halves) == pytest.approx(whole, rel=1e-12)


def test_the_whole_objective_is_both_sides_parts() -> None:
    """From either side: the data term once, and the regularization of each."""
    rng = np.random.default_rng(4)
    R, is_rated = random_ratings(rng, 30, 50, True)
    problem = Problem(True, 0.1, alpha=2.0, unobserved_weight=0.5, regularization_exponent=0.7)
    users, items = rows_of(R, is_rated), rows_of(R.T, is_rated.T)
    X = rng.normal(0, 0.3, (30, 9)).astype(np.float32)
    Y = rng.normal(0, 0.3, (50, 9)).astype(np.float32)
    from_users = objective(users, X, Y, problem) + regularization_of(Y, counts_of(items, problem), problem, 30)
    from_items = objective(items, Y, X, problem) + regularization_of(X, counts_of(users, problem), problem, 50)
    assert from_users == pytest.approx(from_items, rel=1e-9)


def test_a_part_of_the_other_side_needs_the_gram_of_all_of_it() -> None:
    """A task that holds only the fixed rows that its ratings name gets the same as with all of them."""
    rng = np.random.default_rng(5)
    R, is_rated = random_ratings(rng, 6, 40, True)
    is_rated[:, 20:] = False
    problem = Problem(True, 0.1, regularization_exponent=0.6)
    Y = rng.normal(0, 0.3, (40, 5)).astype(np.float32)
    rows, whole, part = rows_of(R, is_rated), np.zeros((6, 5), np.float32), np.zeros((6, 5), np.float32)
    expected = solve(rows, Y, whole, problem, "cholesky", gram=gram(Y))
    held = solve(rows, Y[:20].copy(), part, problem, "cholesky", gram=gram(Y), n_fixed_total=40)
    assert np.array_equal(whole, part)
    assert held == expected
    other = objective(rows, part, Y[:20].copy(), problem, gram_of_fixed=gram(Y), n_fixed_total=40)
    assert other == pytest.approx(expected, rel=1e-5)


def test_gram_and_counts() -> None:
    rng = np.random.default_rng(7)
    Y = rng.normal(0, 1, (3001, 33)).astype(np.float32)
    np.testing.assert_allclose(gram(Y), Y.T.astype(float) @ Y, atol=1e-2)
    assert np.array_equal(gram(Y), gram(Y, threads=3))
    assert np.array_equal(gram(Y[:0]), np.zeros((33, 33)))
    rows = Rows(np.array([0, 3, 3, 4]), np.array([0, 1, 2, 0], np.int32), np.array([1, -1, 0, 2], np.float32))
    assert counts_of(rows, Problem(False, 0.1)).tolist() == [3, 0, 1]
    assert counts_of(rows, Problem(True, 0.1)).tolist() == [1, 0, 1]


def test_no_rows_and_no_ratings() -> None:
    empty = Rows(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    Y = np.ones((4, 3), np.float32)
    assert solve(empty, Y, np.zeros((0, 3), np.float32), Problem(False, 0.1), "cholesky") == 0
    unrated = Rows(np.zeros(3, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    X = np.ones((2, 3), np.float32)
    assert solve(unrated, Y, X, Problem(True, 0.1), "cg", gram=gram(Y)) == 0
    assert not X.any()


def test_squared_errors_of_held_out_pairs() -> None:
    x, y = np.array([[1.0, 2.0], [0.0, 1.0]], np.float32), np.array([[1.0, 1.0], [2.0, 0.0]], np.float32)
    users, items = np.array([0, 0, 1]), np.array([0, 1, 0])
    # predictions 3, 2, 1
    total, count = rmse_sum(users, items, np.array([4.0, 2.0, 3.0], np.float32), x, y, threads=2)
    assert (total, count) == (5.0, 3)
