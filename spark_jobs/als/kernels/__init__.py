"""Alternating least squares without Spark: half-steps, objectives and Gram matrices on numpy arrays, compiled by numba.

Factors are float32; sums over many rows are float64. `solve` takes one side's ratings as sparse `Rows` over the other
side's factors, so a task needs to hold no more than its own rows, the fixed factors, and two factors' product of rank
times rank.
"""

from spark_jobs.als.kernels.gramian import counts_of, gram
from spark_jobs.als.kernels.half_step import SOLVERS, cg_steps_of, choose_solver, solve
from spark_jobs.als.kernels.objective import objective, rmse_sum
from spark_jobs.als.kernels.problem import Problem, Rows, regularization_of, regularization_weights

__all__ = [
    "SOLVERS",
    "Problem",
    "Rows",
    "cg_steps_of",
    "choose_solver",
    "counts_of",
    "gram",
    "objective",
    "regularization_of",
    "regularization_weights",
    "rmse_sum",
    "solve",
]
