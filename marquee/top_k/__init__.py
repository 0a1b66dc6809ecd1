"""The k best items for each user, and the k most similar for each item, by their factors, at the speed of the product.

    items, scores = top_k(user_factors, item_factors, seen_indptr, seen_indices, k=10)
    items, scores = similar_items(item_factors, k=10)

    catalogue = catalogue_of(item_factors, deny=sold_out)             once, then any number of blocks of users:
    items, scores = best_of(catalogue, user_factors, 10, users=block, seen=ItemLists(indptr, indices))

Lists are the same to the last bit whatever the number of threads, the block that a user comes in, or the order of the
seen items: see `marquee.top_k.kernels`. Beyond the factors, the lists and the results, memory is 1 byte an item and the
buffers of a block, for each thread; never anything of size users x items.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marquee.top_k import blas, kernels
from marquee.top_k.catalogue import Catalogue as Catalogue
from marquee.top_k.catalogue import Measure, as_factors, not_finite
from marquee.top_k.catalogue import catalogue_of as catalogue_of

#: Users and items of a tile of scores. Its 1 MB stays in a core's second cache, or near it; of the shapes of that size
#: this one reads an item's factors most seldom. Items are a multiple of `vectors.CHUNK`.
USERS_OF_A_BLOCK = 1024
ITEMS_OF_A_TILE = 256

Found = tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class ItemLists:
    """A list of items for each user, as the index arrays of a CSR matrix of shape (n_users, n_items); in any order.

    Attributes:
        indptr: int64 of shape (n_users + 1,): user u has `indices[indptr[u]:indptr[u + 1]]`.
        indices: int32, item indexes.
    """

    indptr: np.ndarray
    indices: np.ndarray


def top_k(
    user_factors: np.ndarray,
    item_factors: np.ndarray,
    seen_indptr: np.ndarray,
    seen_indices: np.ndarray,
    k: int,
    *,
    threads: int | None = None,
) -> Found:
    """The k items with the highest score that a user has not seen, best first; equal scores in the order of the items.

    Args:
        user_factors: float32 of shape (n_users, rank).
        item_factors: float32 of shape (n_items, rank).
        seen_indptr: int64 of shape (n_users + 1,): user u has seen `seen_indices[seen_indptr[u]:seen_indptr[u + 1]]`.
        seen_indices: int32, item indexes, in any order.
        k: length of a list.
        threads: as in `best_of`.

    Returns:
        Item indexes, int32 of shape (n_users, k), and scores, float64 of the same shape; -1 and NaN where a user has
        fewer than k unseen items.

    Raises:
        ValueError: as `catalogue_of` and `best_of`.
    """
    seen = ItemLists(seen_indptr, seen_indices)
    return best_of(catalogue_of(item_factors), user_factors, k, seen=seen, threads=threads)


def similar_items(
    item_factors: np.ndarray,
    k: int,
    *,
    items: np.ndarray | None = None,
    allow: np.ndarray | None = None,
    deny: np.ndarray | None = None,
    measure: Measure = "cosine",
    threads: int | None = None,
) -> Found:
    """The k other items most similar to each, best first; equals in the order of the items.

    Args:
        item_factors: float32 of shape (n_items, rank).
        k: length of a list.
        items: int, shape (n,): whose lists; None: those of all items.
        allow, deny, measure: as in `catalogue_of`.
        threads: as in `best_of`.

    Returns:
        Item indexes, int32 of shape (n, k), and similarities, float64 of the same shape; -1 and NaN where there are
        fewer than k others.

    Raises:
        ValueError: as `catalogue_of` and `best_of`.
    """
    catalogue = catalogue_of(item_factors, allow=allow, deny=deny, measure=measure)
    return similar_of(catalogue, k, items=items, threads=threads)


def similar_of(catalogue: Catalogue, k: int, *, items: np.ndarray | None = None, threads: int | None = None) -> Found:
    """As `similar_items`, from a catalogue."""
    n_items = len(catalogue.factors)
    itself = ItemLists(np.arange(n_items + 1, dtype=np.int64), np.arange(n_items, dtype=np.int32))
    return best_of(catalogue, catalogue.factors, k, users=items, seen=itself, threads=threads)


def best_of(
    catalogue: Catalogue,
    user_factors: np.ndarray,
    k: int,
    *,
    users: np.ndarray | None = None,
    seen: ItemLists | None = None,
    deny: ItemLists | None = None,
    allow: ItemLists | None = None,
    threads: int | None = None,
) -> Found:
    """The k items of the catalogue with the highest score for each user, best first; equals in the order of the items.

    Args:
        catalogue: the items, and what a score is.
        user_factors: float32 of shape (n_users, rank).
        k: length of a list.
        users: int, shape (n,): rows of `user_factors` and of the lists below; None: all of them.
        seen, deny: items that a user does not get; None: none.
        allow: items that a user may get, if the catalogue has them; None: all of the catalogue.
        threads: how many; None: as many as this process may use cores. BLAS has one in each.

    Returns:
        Item indexes, int32 of shape (n, k), and scores, float64 of the same shape; -1 and NaN where there are fewer.

    Raises:
        ValueError: a user's factor is not finite, a list does not fit the users or names an item that is not there, a
            user is not there, the ranks differ, or k or `threads` is less than 1.
    """
    factors = as_factors(user_factors, "user_factors")
    wanted = np.arange(len(factors)) if users is None else np.ascontiguousarray(users, np.int64)
    _check(catalogue, factors, wanted, k, threads)
    width = min(k, len(catalogue.order))
    items = np.full((len(wanted), k), -1, np.int32)
    scores = np.full((len(wanted), k), np.nan, np.float64)
    if width == 0 or len(wanted) == 0:
        return items, scores
    n_threads = threads or _cores()
    starts = itertools.count(0, USERS_OF_A_BLOCK)
    address = blas.sgemm_address()
    shared = (factors, catalogue.factors, catalogue.squares, catalogue.measure == "cosine")
    filters = (*_arrays(seen, len(factors)), *_arrays(deny, len(factors)))

    n_block, rank = min(USERS_OF_A_BLOCK, len(wanted)), factors.shape[1]
    shapes = ((n_block, rank), (ITEMS_OF_A_TILE, rank), (n_block, ITEMS_OF_A_TILE))

    def work() -> tuple[int, int]:
        marks = np.zeros(len(catalogue.factors), np.uint8)
        buffers = [np.empty(shape, np.float32) for shape in shapes]
        while (start := next(starts)) < len(wanted):
            rows = slice(start, start + USERS_OF_A_BLOCK)
            given = (*shared, wanted[rows])
            if allow is None:
                code, row = kernels.best_of_all(
                    address, *given, catalogue.order, catalogue.place, catalogue.scales, catalogue.norms,
                    catalogue.scale, *filters, ITEMS_OF_A_TILE, marks, *buffers, items[rows], scores[rows],
                )  # fmt: skip
            else:
                code, row = kernels.best_of_some(
                    *given, catalogue.place, *_arrays(allow, len(factors)), *filters, marks, items[rows], scores[rows]
                )
            if code != kernels.FINE:
                return code, row
        return kernels.FINE, 0

    with blas.one_thread(), ThreadPoolExecutor(n_threads) as pool:
        found = [thread.result() for thread in [pool.submit(work) for _ in range(n_threads)]]
    for code, row in sorted(found, key=lambda problem: problem[1]):
        if code != kernels.FINE:
            raise ValueError(_sentence(code, row, factors, len(catalogue.factors)))
    return items, scores


def _cores() -> int:
    """Cores that this process may use; all of the machine's where the system tells no more."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check(catalogue: Catalogue, factors: np.ndarray, wanted: np.ndarray, k: int, threads: int | None) -> None:
    if k < 1:
        raise ValueError(f"k is {k}: ask for lists of at least 1 item.")
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}: give at least 1, or none for all cores.")
    if factors.shape[1] != catalogue.factors.shape[1]:
        raise ValueError(
            f"Users have {factors.shape[1]} factors and items {catalogue.factors.shape[1]}: give those of one fit."
        )
    if len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(factors):
        outside = wanted[(wanted < 0) | (wanted >= len(factors))][0]
        raise ValueError(f"User {outside} is not there: the {len(factors):,} users are numbered from 0.")


def _arrays(lists: ItemLists | None, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """A CSR's arrays as the kernels take them."""
    if lists is None:
        return np.zeros(n_users + 1, np.int64), np.empty(0, np.int32)
    return np.ascontiguousarray(lists.indptr, np.int64), np.ascontiguousarray(lists.indices, np.int32)


def _sentence(code: int, user: int, factors: np.ndarray, n_items: int) -> str:
    if code == kernels.NOT_FINITE:
        return not_finite("user", factors, user)
    if code == kernels.BAD_ITEM:
        return (
            f"A list of user {user} names an item that is not there: the {n_items:,} items are numbered from 0, and "
            "lists have the numbers of the same fit."
        )
    return (
        f"A list of user {user} lies outside of its array: indptr must have {len(factors) + 1:,} rising values, from "
        "0 to the number of indices."
    )
