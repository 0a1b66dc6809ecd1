"""The rows of the other side's factors that belong to one row's ratings, gathered side by side and scaled.

Every problem becomes least squares with unit weights: with weight w and coefficient c of a rating,
    A = base + m reg I + sum_t w_t y_t y_t',  b = sum_t c_t y_t,  constant = sum_t (c_t p_t)
the scaled row is s y, s = sqrt(w), its target c / s. Explicit: w = 1, c = r. Implicit: base = w0 Y'Y, w = alpha |r|,
c = w0 + alpha |r| where r > 0, else 0 (Hu, Koren and Volinsky 2008, section 4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from spark_jobs.als.kernels.compiled import kernel
from spark_jobs.als.kernels.lanes import LANES, copy_scaled, prefetch

#: w is at least this share of w0 where c is not 0, so that c / s exists: an error far below float32's in A.
SMALLEST_WEIGHT = 2.0**-22
#: Gathered rows are asked for so many ratings ahead, also those of the next row and the next call.
AHEAD = 24
#: float32 numbers in a cache line.
_LINE = 16


@kernel
def gather(
    indices: Any,
    values: Any,
    start: int,
    stop: int,
    fixed: Any,
    rank: int,
    stride: int,
    implicit: bool,
    alpha: float,
    unobserved: float,
    near: Any,
    targets: Any,
) -> float:
    """near[t] = s y, targets[t] = c / s for the ratings start .. stop - 1; returns their part of the constant.

    fixed: flat (n_fixed * rank,); near: flat, rows of `stride` (rank, with zeros up to a multiple of LANES); zeros also
    up to a multiple of LANES rows.
    """
    constant = 0.0
    n_vectors = rank // LANES
    whole = n_vectors * LANES
    scale = np.float32(1.0)
    at = 0
    for t in range(start, stop):
        if t + AHEAD < len(indices):
            following = np.int64(indices[t + AHEAD]) * rank
            for line in range(0, rank, _LINE):
                prefetch(fixed, following + line)
        target = values[t]
        if implicit:
            weight = alpha * abs(values[t])
            if target > 0:
                coefficient = unobserved + weight
                constant += coefficient
                weight = max(weight, SMALLEST_WEIGHT * unobserved)
            else:
                coefficient = 0.0
            root = math.sqrt(weight)
            scale = np.float32(root)
            target = np.float32(coefficient / root) if coefficient > 0 else np.float32(0)
        else:
            constant += np.float64(target) * np.float64(target)
        targets[at] = target
        row = np.int64(indices[t]) * rank
        copy_scaled(near, at * stride, fixed, row, n_vectors, scale)
        for j in range(whole, rank):
            near[at * stride + j] = scale * fixed[row + j]
        for j in range(rank, stride):
            near[at * stride + j] = 0
        at += 1
    while at % LANES:
        near[at * stride : (at + 1) * stride] = 0
        targets[at] = 0
        at += 1
    return constant


@kernel
def whole_tiles(count: int) -> int:
    """`count`, up to the next multiple of LANES."""
    return (count + LANES - 1) // LANES * LANES
