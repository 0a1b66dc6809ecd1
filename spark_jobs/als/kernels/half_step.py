"""One half-step of alternating least squares: all rows of one side, with the other side's factors fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marquee.errors import TrainingError
from spark_jobs.als.kernels.by_cg import solve_by_cg
from spark_jobs.als.kernels.by_cholesky import solve_by_cholesky
from spark_jobs.als.kernels.by_nnls import solve_by_nnls
from spark_jobs.als.kernels.by_subspace import solve_by_subspace
from spark_jobs.als.kernels.gather import whole_tiles
from spark_jobs.als.kernels.gramian import counts_of
from spark_jobs.als.kernels.lanes import LANES
from spark_jobs.als.kernels.pieces import pieces, work_off
from spark_jobs.als.kernels.problem import Problem, Rows, regularization_weights

SOLVERS = ("cholesky", "cg", "subspace", "nnls")
#: Above this rank the steps of conjugate gradients cost less than the products that a factorisation needs.
MAX_RANK_OF_CHOLESKY = 32
#: Implicit and above this rank, a pass of blocks gains more than the steps of conjugate gradients that it costs.
MAX_RANK_OF_CG = 256
#: Bytes of gathered rows that are multiplied while they lie in the first-level cache.
NEAREST_BYTES = 32 * 1024
#: Bytes of gathered rows that a row's steps go over again. Read in order they come fast enough from memory too.
NEAR_BYTES = 64 * 1024 * 1024


def choose_solver(problem: Problem, rank: int, asked: str = "auto") -> str:
    """The solver of a fit: `asked`, or where that is "auto" the fastest for the rank. TrainingError if not allowed."""
    if asked != "auto" and asked not in SOLVERS:
        raise TrainingError(f"Solver {asked!r} of ALS is unknown; choose one of auto, {', '.join(SOLVERS)}.")
    if problem.nonnegative:
        if asked not in ("auto", "nnls"):
            raise TrainingError(
                f"Solver {asked!r} of ALS can't keep factors nonnegative; choose auto or nnls, or unset nonnegative."
            )
        return "nnls"
    if asked == "nnls":
        raise TrainingError("Solver 'nnls' of ALS is for nonnegative factors; set nonnegative, or choose auto.")
    if asked != "auto":
        return asked
    if rank <= MAX_RANK_OF_CHOLESKY:
        return "cholesky"
    return "subspace" if problem.implicit and rank > MAX_RANK_OF_CG else "cg"


def cg_steps_of(problem: Problem, iteration: int) -> int:
    """Steps of conjugate gradients in an iteration (from 1), from the last solution.

    Implicit: 3 (Takacs, Pilaszy and Tikk, RecSys 2011). Explicit rows have no Gram matrix of all others that holds them
    together, and need 4, and 8 in the two iterations that begin with next to nothing: so the objective after ten
    iterations is that of exact solutions to .05 % (docs/als.md).
    """
    if problem.implicit:
        return 3
    return 8 if iteration <= 2 else 4


@dataclass(frozen=True)
class _Workspace:
    """What a thread writes to between gathering and solution: flat float32 arrays."""

    near: NDArray[np.float32]
    targets: NDArray[np.float32]
    matrix: NDArray[np.float32]
    vectors: NDArray[np.float32]

    @classmethod
    def of(cls, stride: int, n_near: int, block: int) -> _Workspace:
        return cls(
            near=_aligned(n_near * stride),
            targets=_aligned(n_near),
            matrix=_aligned(2 * stride * stride + block * block + stride * LANES),
            vectors=_aligned(8 * (stride + LANES)).reshape(8, stride + LANES),
        )


def _aligned(size: int) -> NDArray[np.float32]:
    """Float32 (size,) that begins at a cache line."""
    room = np.empty(size + 16, np.float32)
    skipped = -room.ctypes.data % 64 // 4
    return room[skipped : skipped + size]


def _check(
    rows: Rows, fixed: NDArray[np.float32], solution: NDArray[np.float32], problem: Problem, solver: str, gram: object
) -> None:
    rank = fixed.shape[1]
    if solution.shape != (len(rows), rank):
        raise TrainingError(f"The solution has shape {solution.shape}, its rows and rank ask for {(len(rows), rank)}.")
    for name, array, dtype in (
        ("indptr", rows.indptr, np.int64),
        ("indices", rows.indices, np.int32),
        ("values", rows.values, np.float32),
        ("fixed", fixed, np.float32),
        ("solution", solution, np.float32),
    ):
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise TrainingError(
                f"Array {name} of ALS is {array.dtype}; it has to be {np.dtype(dtype)}, contiguous: convert it."
            )
    if problem.implicit and gram is None:
        raise TrainingError("An implicit half-step needs the Gram matrix of the fixed factors: pass gram.")
    if choose_solver(problem, rank, solver) != solver:
        raise TrainingError(f"Solver {solver!r} is no solver of this problem: ask choose_solver.")


def solve(
    rows: Rows,
    fixed: NDArray[np.float32],
    solution: NDArray[np.float32],
    problem: Problem,
    solver: str,
    *,
    gram: NDArray[np.floating] | None = None,
    n_fixed_total: int | None = None,
    counts: NDArray[np.int64] | None = None,
    threads: int = 1,
    cg_steps: int = 3,
    block: int = 64,
) -> float:
    """Solve all rows of one side; returns their part of the objective, float64, after the step.

    fixed: float32 (n_fixed, rank), the factors that rows.indices mean. solution: float32 (n_rows, rank), read as the
    start by all solvers but Cholesky's, and overwritten; rows without a rating (implicit: without one above 0)
    become 0. gram: (rank, rank), Y'Y of the whole other side, needed where implicit. n_fixed_total: rows of the whole
    other side, len(fixed) if left out, for the regularization by exponent. counts: `counts_of(rows, problem)`, counted
    here if left out. cg_steps: steps of conjugate gradients. block: unknowns that the subspace solver takes at once.

    The part of the objective is the data term of the rows' ratings (implicit: of all pairs of the rows) and the rows'
    own regularization, not the other side's: add `regularization_of` that. Raises TrainingError where shapes, types or
    the solver don't fit. The indices are not checked here, on the fast path: `Rows.check` does, once.
    """
    _check(rows, fixed, solution, problem, solver, gram)
    n_fixed, rank = fixed.shape
    if counts is None:
        counts = counts_of(rows, problem, threads)
    weights = regularization_weights(counts, problem, n_fixed if n_fixed_total is None else n_fixed_total)
    penalties = (problem.regularization * weights).astype(np.float32)
    stride = int(whole_tiles(rank))
    base = np.zeros((stride, stride), np.float32)
    if problem.implicit and gram is not None:
        base[:rank, :rank] = problem.unobserved_weight * gram
    beyond = np.arange(rank, stride)
    base[beyond, beyond] = 1

    block = min(stride, int(whole_tiles(max(1, block))))
    at_once = max(LANES, NEAREST_BYTES // (4 * stride) // LANES * LANES)
    capacity = max(at_once, NEAR_BYTES // (4 * stride) // LANES * LANES)
    longest = int(whole_tiles(int(np.diff(rows.indptr).max(initial=0))))
    n_near = max(2 * stride, at_once, min(longest, capacity))
    flat = fixed.reshape(-1)

    def worker() -> Callable[[int, int], float]:
        space = _Workspace.of(stride, n_near, block)

        def solve_piece(first: int, last: int) -> float:
            common = (
                first,
                last,
                rows.indptr,
                rows.indices,
                rows.values,
                counts,
                penalties,
                flat,
                base.reshape(-1),
                solution,
                rank,
                stride,
                problem.implicit,
                float(problem.alpha),
                float(problem.unobserved_weight),
                at_once,
                space.near,
                space.targets,
                space.matrix,
                space.vectors,
            )
            if solver == "cg":
                return float(solve_by_cg(*common, capacity, cg_steps))
            if solver == "subspace":
                return float(solve_by_subspace(*common, capacity, block))
            return float((solve_by_nnls if solver == "nnls" else solve_by_cholesky)(*common))

        return solve_piece

    return float(sum(work_off(pieces(rows.indptr, 2.0 * stride), worker, threads)))
