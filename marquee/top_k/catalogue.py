"""The items that lists are made of, prepared once for any number of blocks of users."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from marquee.top_k import kernels

Measure = Literal["product", "cosine"]


@dataclass(frozen=True)
class Catalogue:
    """Item factors, and in which order they are gone through; float32 factors in rows are not copied.

    Attributes:
        factors: float32 (n_items, rank), C-contiguous.
        squares: float64 (n_items,), squared norms.
        measure: what a score is.
        order: int32: the items to choose from, those with the highest norm first, equals by index.
        place: int32 (n_items,): where an item is in `order`, -1 where it is left out.
        scales: float64 (len(order),): what the factors of `order` are multiplied by in float32 products.
        norms: float64 (len(order),): the norms then, at most 1.
        scale: the one scale of all where the measure is the product; else 1.
    """

    factors: npt.NDArray[np.float32]
    squares: npt.NDArray[np.float64]
    measure: Measure
    order: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    scales: npt.NDArray[np.float64]
    norms: npt.NDArray[np.float64]
    scale: float


def catalogue_of(
    item_factors: np.ndarray,
    *,
    allow: np.ndarray | None = None,
    deny: np.ndarray | None = None,
    measure: Measure = "product",
) -> Catalogue:
    """Prepare items.

    Args:
        item_factors: float32 of shape (n_items, rank).
        allow: items that may be in lists, int; None: all.
        deny: items that may not, int; None: none.
        measure: "product" of the factors, or their "cosine": 0 where a vector is zero.

    Raises:
        ValueError: a factor is not finite, an item of a list is not there, or the measure is none.
    """
    if measure not in ("product", "cosine"):
        raise ValueError(f"The measure is {measure!r}: choose 'product' or 'cosine'.")
    factors = as_factors(item_factors, "item_factors")
    n_items = len(factors)
    squares = kernels.squares(factors)
    if not np.isfinite(squares).all():
        raise ValueError(not_finite("item", factors, int(np.flatnonzero(~np.isfinite(squares))[0])))
    is_allowed = np.ones(n_items, bool)
    if allow is not None:
        is_allowed[:] = False
        is_allowed[_items(allow, n_items, "allow")] = True
    if deny is not None:
        is_allowed[_items(deny, n_items, "deny")] = False
    candidates = np.flatnonzero(is_allowed)
    norms = np.sqrt(squares[candidates])
    scale = 1.0
    if measure == "cosine":
        scales = np.divide(1.0, norms, out=np.zeros(len(norms)), where=norms > 0)
        norms = (norms > 0).astype(np.float64)
    else:
        # A power of two, which rounds nothing; 1 for factors of usual size, which are then not even multiplied.
        largest = float(norms.max(initial=0.0))
        if not 2.0**-30 < largest <= 1.0 and largest > 0.0:
            scale = math.ldexp(1.0, -math.frexp(largest)[1])
        scales, norms = np.full(len(norms), scale), norms * scale
    by_norm = np.argsort(-norms, kind="stable")
    order = candidates[by_norm].astype(np.int32)
    place = np.full(n_items, -1, np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return Catalogue(factors, squares, measure, order, place, scales[by_norm], norms[by_norm], scale)


def as_factors(factors: np.ndarray, name: str) -> npt.NDArray[np.float32]:
    """The factors as the kernels take them, a copy only where they are not float32 in rows already.

    Raises:
        ValueError: they are no matrix.
    """
    if np.ndim(factors) != 2:
        raise ValueError(f"{name} has shape {np.shape(factors)}: give a matrix with a row of factors for each.")
    return np.ascontiguousarray(factors, np.float32)


def not_finite(kind: str, factors: np.ndarray, row: int) -> str:
    """The sentence about a row with a factor that is no number."""
    at = int(np.flatnonzero(~np.isfinite(factors[row]))[0])
    return (
        f"Factor {at} of {kind} {row} is {factors[row, at]}: factors must be finite float32, so look at the fit that "
        "they came from."
    )


def _items(items: np.ndarray, n_items: int, name: str) -> np.ndarray:
    given = np.asarray(items).reshape(-1)
    if len(given) == 0:
        return np.empty(0, np.int64)
    outside = (given < 0) | (given >= n_items)
    if outside.any():
        raise ValueError(
            f"Item {given[outside][0]} of the {name} list is not there: the {n_items:,} items are numbered from 0."
        )
    return given
