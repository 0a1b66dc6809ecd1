"""The three problems of alternating least squares, as Spark ML states them, and the weight of their regularization.

Explicit (Zhou et al. 2008, "Large-scale Parallel Collaborative Filtering for the Netflix Prize"):
    sum over ratings (r - x.y)^2 + reg (sum_u m_u |x_u|^2 + sum_i m_i |y_i|^2)
Implicit (Hu, Koren and Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets"):
    sum over all pairs c (p - x.y)^2 + the same regularization, with
    c = w0 + alpha |r| (r = 0 where there is no rating) and p = 1 where r > 0, else 0
Nonnegative: either, with x, y >= 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marquee.errors import TrainingError


@dataclass(frozen=True)
class Rows:
    """The ratings of some rows (users or items), sparse, over the rows of the other side."""

    #: int64 (n_rows + 1,): the ratings of row u are those from indptr[u] up to indptr[u + 1]
    indptr: NDArray[np.int64]
    #: int32 (n_ratings,): rows of the other side's factors
    indices: NDArray[np.int32]
    #: float32 (n_ratings,): ratings, any number
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def check(self, n_fixed: int) -> None:
        """TrainingError unless indptr and indices fit each other and `n_fixed` rows of the other side."""
        n_ratings = len(self.indices)
        if self.indptr[0] != 0 or self.indptr[-1] != n_ratings or np.any(np.diff(self.indptr) < 0):
            raise TrainingError(f"Row borders run from {self.indptr[0]} to {self.indptr[-1]} for {n_ratings} ratings.")
        if len(self.values) != n_ratings:
            raise TrainingError(f"{len(self.values)} values for {n_ratings} indices of ratings: give one for each.")
        if n_ratings and not 0 <= self.indices.min() <= self.indices.max() < n_fixed:
            raise TrainingError(
                f"Indices of ratings run from {self.indices.min()} to {self.indices.max()}; rows of the other side are "
                f"0 to {n_fixed - 1}: number them anew."
            )


@dataclass(frozen=True)
class Problem:
    """What is minimised. Raises TrainingError where a parameter is outside its range."""

    #: confidence and preference instead of the ratings themselves
    implicit: bool
    #: reg, 0 or more
    regularization: float
    #: confidence of a rating of 1, 0 or more; implicit only
    alpha: float = 1.0
    #: w0, the confidence of every pair, 0 or more; implicit only
    unobserved_weight: float = 1.0
    #: None: m = n, as in Spark ML; a number nu: see `regularization_weights`
    regularization_exponent: float | None = None
    #: factors are 0 or more
    nonnegative: bool = False

    def __post_init__(self) -> None:
        for name in ("regularization", "alpha", "unobserved_weight", "regularization_exponent"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise TrainingError(f"Parameter {name} of ALS is {value}; it may be any number from 0: mend it.")


def regularization_weights(counts: NDArray[np.int64], problem: Problem, n_other: int) -> NDArray[np.float64]:
    """m of each row, float64 (n_rows,), for its `counts`; `n_other` is the number of rows of the other side.

    m = n in Spark ML. With an exponent nu, m = (n + w0 n_other)^nu where implicit (Rendle et al. 2022, "Revisiting the
    Performance of iALS on Item Recommendation Benchmarks", eq. 5) and m = n^nu where explicit.
    """
    n = counts.astype(np.float64)
    if problem.regularization_exponent is None:
        return n
    if problem.implicit:
        n += problem.unobserved_weight * n_other
    weights: NDArray[np.float64] = n**problem.regularization_exponent
    return weights


def regularization_of(factors: NDArray[np.float32], counts: NDArray[np.int64], problem: Problem, n_other: int) -> float:
    """reg sum_u m_u |x_u|^2 of one side's factors, float32 (n_rows, rank), summed in float64."""
    weights = regularization_weights(counts, problem, n_other)
    lengths = np.einsum("ij,ij->i", factors, factors, dtype=np.float64)
    return float(problem.regularization * (weights @ lengths))
