"""Compiled selection: tiles of scores that stay in the cache, a threshold for each user, a heap behind it.

Float32 finds, float64 decides. A float32 product depends on the shape of the block that it is computed in. Its error is
at most rank 2^-24 / (1 - rank 2^-24) |u| |v| (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, eq. 3.5).
So a score that comes within this of the k-th best is computed again by `dot`, in float64 and in a fixed order of
summation; only that is compared, and equals fall by the item's index. What a tile holds, or who else is asked for,
changes no bit of a list.

Vectors are scaled on their way into the products, users by powers of two, so that their norms are at most 1: no finite
factor overflows, and the bound holds as it is.
"""

from __future__ import annotations

import math

import numpy as np
from numba import boolean, float32, float64, int32, int64, types, uint8

from marquee.top_k.blas import call_sgemm
from marquee.top_k.compiled import compiled
from marquee.top_k.vectors import CHUNK, dot, hits, lowest_bit

#: What a kernel says of its input.
FINE, NOT_FINITE, BAD_ITEM, BAD_LIST = 0, 1, 2, 3

#: float32 that no finite score is below.
LOWEST = np.float32(-3.4028234663852886e38)

_floats32 = types.Array(float32, 1, "C", readonly=True)
_floats32_2d = types.Array(float32, 2, "C", readonly=True)
_floats64 = types.Array(float64, 1, "C", readonly=True)
_ints32 = types.Array(int32, 1, "C", readonly=True)
_ints64 = types.Array(int64, 1, "C", readonly=True)
_marks = types.Array(uint8, 1, "C")


@compiled(float64(int64, int64, int64, float64, float64, boolean))
def exact_score(user, item, rank, user_square, item_square, is_cosine):  # type: ignore[no-untyped-def]
    """What decides: the product, or that by the norms, 0 where one of them is 0. Of two addresses."""
    product = dot(user, item, rank)
    if not is_cosine:
        return product
    if user_square == 0.0 or item_square == 0.0:
        return 0.0
    return product / math.sqrt(user_square * item_square)


@compiled(types.Array(float64, 1, "C")(_floats32_2d))
def squares(factors):  # type: ignore[no-untyped-def]
    """Squared norms, float64 of shape (n,), of the rows of float32 (n, rank); not finite where a factor is not."""
    found = np.empty(len(factors), np.float64)
    first, rank = factors.ctypes.data, factors.shape[1]
    for row in range(len(factors)):
        address = first + row * rank * 4
        found[row] = dot(address, address, rank)
    return found


@compiled()
def _is_worse(score, item, other_score, other_item):  # type: ignore[no-untyped-def]
    return score < other_score or (score == other_score and item > other_item)


@compiled()
def _sift_down(scores, items, row, n, score, item):  # type: ignore[no-untyped-def]
    """Put an entry into the place of the root, which is the worst of the n in the heap of a row."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        other = child + 1
        if other < n and _is_worse(scores[row, other], items[row, other], scores[row, child], items[row, child]):
            child = other
        if not _is_worse(scores[row, child], items[row, child], score, item):
            break
        scores[row, at], items[row, at] = scores[row, child], items[row, child]
        at = child
    scores[row, at], items[row, at] = score, item


@compiled()
def _offer(scores, items, row, n, score, item):  # type: ignore[no-untyped-def]
    """Offer an entry to a row's heap, which holds n and has room for a row's length; how many it holds then."""
    if n == scores.shape[1]:
        if _is_worse(scores[row, 0], items[row, 0], score, item):
            _sift_down(scores, items, row, n, score, item)
        return n
    at = n
    while at > 0:
        parent = (at - 1) // 2
        if not _is_worse(score, item, scores[row, parent], items[row, parent]):
            break
        scores[row, at], items[row, at] = scores[row, parent], items[row, parent]
        at = parent
    scores[row, at], items[row, at] = score, item
    return n + 1


@compiled()
def _sort(scores, items, row, n):  # type: ignore[no-untyped-def]
    """Turn a row's heap of n entries into a list, best first; -1 and NaN behind it."""
    for last in range(n - 1, 0, -1):
        score, item = scores[row, 0], items[row, 0]
        _sift_down(scores, items, row, last, scores[row, last], items[row, last])
        scores[row, last], items[row, last] = score, item
    for at in range(n, scores.shape[1]):
        scores[row, at], items[row, at] = np.nan, np.int32(-1)


@compiled()
def _is_list(indptr, indices, user):  # type: ignore[no-untyped-def]
    return user + 1 < len(indptr) and 0 <= indptr[user] <= indptr[user + 1] <= len(indices)


@compiled()
def _is_within(indptr, indices, user, n_items):  # type: ignore[no-untyped-def]
    n_outside = 0
    for at in range(indptr[user], indptr[user + 1]):
        n_outside += indices[at] < 0 or indices[at] >= n_items
    return n_outside == 0


@compiled()
def _mark(indptr, indices, user, marks, value):  # type: ignore[no-untyped-def]
    for at in range(indptr[user], indptr[user + 1]):
        marks[indices[at]] = value


@compiled()
def _count(indptr, indices, user, place, tile, ends):  # type: ignore[no-untyped-def]
    """Count a user's items by their tile, one further on."""
    for at in range(indptr[user], indptr[user + 1]):
        where = place[indices[at]]
        if where >= 0:
            ends[where // tile + 1] += 1


@compiled()
def _put(indptr, indices, user, place, tile, base, nexts, cells):  # type: ignore[no-untyped-def]
    """Put a user's items among the cells of their tiles."""
    for at in range(indptr[user], indptr[user + 1]):
        where = place[indices[at]]
        if where >= 0:
            number = where // tile
            cells[nexts[number]] = base + where - number * tile
            nexts[number] += 1


@compiled()
def _threshold(score, unit, slack):  # type: ignore[no-untyped-def]
    """The lowest scaled float32 product that may belong to at least this score."""
    scaled = score * unit
    return np.float32(scaled - 1.001 * slack - abs(scaled) * 2.0**-22)


_shared = (
    _floats32_2d,  # user_factors
    _floats32_2d,  # item_factors
    _floats64,  # item_squares
    boolean,  # is_cosine
    _ints64,  # users
)
_lists = (_ints64, _ints32)
_buffers = (types.Array(float32, 2, "C"),) * 3
_results = (types.Array(int32, 2, "C"), types.Array(float64, 2, "C"))


@compiled(
    types.UniTuple(int64, 2)(
        int64,
        *_shared,
        _ints32,
        _ints32,
        _floats64,
        _floats64,
        float64,
        *_lists,
        *_lists,
        int64,
        _marks,
        *_buffers,
        *_results,
    )
)
def best_of_all(  # type: ignore[no-untyped-def]
    sgemm,
    user_factors,
    item_factors,
    item_squares,
    is_cosine,
    users,
    order,
    place,
    scales,
    norms,
    scale,
    seen_indptr,
    seen_items,
    denied_indptr,
    denied_items,
    tile,
    marks,
    packed,
    gathered,
    product,
    items,
    scores,
):
    """Fill the lists of one block of users, from all items of `order`, tile after tile.

    Args:
        sgemm: address of BLAS's sgemm.
        user_factors, item_factors: float32 (n, rank).
        item_squares: squared norms of the items, float64.
        users: int64 (n,): rows of `user_factors`.
        order: int32: the items to choose from, by falling scaled norm.
        place: int32 (n_items,): each item's place in `order`; -1 where it is not to be chosen.
        scales: float64, by place: what an item's factors are multiplied by, so that its norm is at most 1.
        norms: float64, by place: the scaled norms.
        scale: the one scale of all items; 1 where `is_cosine`.
        seen_..., denied_...: CSR by rows of `user_factors`; items that a user does not get.
        tile: items of a tile, a multiple of CHUNK.
        marks: uint8 (n_items,), zeros, and zeros again afterwards.
        packed, gathered, product: float32 buffers of shape (n, rank), (tile, rank) and (n, tile), or of more rows:
            the scaled factors of those users whose lists may still change, those of a tile's items, and the scores.
        items, scores: int32 and float64 of shape (n, k), filled.

    Returns:
        What is wrong with the input, if it is, and the row of `user_factors`.
    """
    n, n_items, rank = len(users), len(order), user_factors.shape[1]
    n_tiles = (n_items + tile - 1) // tile
    k = items.shape[1]
    gamma = (rank + 8) * 2.0**-24
    gamma = gamma / (1.0 - min(gamma, 0.5))

    rows = np.empty(n, np.int64)  # whose factors a slot of `packed` has
    slots = np.full(n, -1, np.int64)  # and the other way round
    user_squares = np.empty(n, np.float64)
    user_norms = np.empty(n, np.float64)
    units = np.empty(n, np.float64)
    slacks = np.empty(n, np.float64)
    thresholds = np.full(n, LOWEST, np.float32)
    held = np.zeros(n, np.int64)
    ends = np.zeros(n_tiles + 1, np.int64)
    n_alive = 0
    for row in range(n):
        user = users[row]
        address = user_factors.ctypes.data + user * rank * 4
        square = dot(address, address, rank)
        if not square < np.inf:
            return NOT_FINITE, user
        if not (_is_list(seen_indptr, seen_items, user) and _is_list(denied_indptr, denied_items, user)):
            return BAD_LIST, user
        user_squares[row] = square
        norm = math.sqrt(square)
        user_scale = 1.0
        if is_cosine:
            user_scale = 1.0 / norm if norm > 0.0 else 0.0
        elif norm > 0.0:
            user_scale = math.ldexp(1.0, -math.frexp(norm)[1])
        user_norms[row] = norm * user_scale
        units[row] = 1.0 if is_cosine else user_scale * scale
        slacks[row] = gamma * user_norms[row] * (norms[0] if n_items > 0 else 0.0) + (rank + 8) * 2.0**-120
        if not _is_within(seen_indptr, seen_items, user, len(place)):
            return BAD_ITEM, user
        if not _is_within(denied_indptr, denied_items, user, len(place)):
            return BAD_ITEM, user
        if square == 0.0:  # all scores are 0: the first items
            _mark(seen_indptr, seen_items, user, marks, 1)
            _mark(denied_indptr, denied_items, user, marks, 1)
            for item in range(len(place)):
                if held[row] == k:
                    break
                if place[item] >= 0 and not marks[item]:
                    held[row] = _offer(scores, items, row, held[row], 0.0, item)
            _mark(seen_indptr, seen_items, user, marks, 0)
            _mark(denied_indptr, denied_items, user, marks, 0)
            continue
        for at in range(rank):
            packed[n_alive, at] = np.float32(float64(user_factors[user, at]) * user_scale)
        rows[n_alive], slots[row] = row, n_alive
        n_alive += 1
        _count(seen_indptr, seen_items, user, place, tile, ends)
        _count(denied_indptr, denied_items, user, place, tile, ends)

    # The cells that nobody gets, tile after tile, as row * tile + column: a counting sort.
    for at in range(n_tiles):
        ends[at + 1] += ends[at]
    cells = np.empty(ends[n_tiles], np.int32)
    nexts = ends[:n_tiles].copy()
    for slot in range(n_alive):
        row = rows[slot]
        _put(seen_indptr, seen_items, users[row], place, tile, row * tile, nexts, cells)
        _put(denied_indptr, denied_items, users[row], place, tile, row * tile, nexts, cells)

    for number in range(n_tiles):
        first, width = number * tile, min(tile, n_items - number * tile)
        # No score of this tile or a later one is above |u| |v| (Cauchy and Schwarz): who has better ones is through.
        n_left = 0
        for slot in range(n_alive):
            row = rows[slot]
            n_left += thresholds[row] <= user_norms[row] * norms[first] * (1.0 + 1e-9)
        if n_left == 0:
            break
        if n_left <= n_alive - max(1, n_alive // 8):
            n_left = 0
            for slot in range(n_alive):
                row = rows[slot]
                slots[row] = -1
                if thresholds[row] <= user_norms[row] * norms[first] * (1.0 + 1e-9):
                    packed[n_left] = packed[slot]
                    rows[n_left] = row
                    slots[row] = n_left
                    n_left += 1
            n_alive = n_left
        for column in range(width):
            item = order[first + column]
            if scales[first + column] == 1.0:
                for at in range(rank):
                    gathered[column, at] = item_factors[item, at]
            else:
                for at in range(rank):
                    gathered[column, at] = np.float32(float64(item_factors[item, at]) * scales[first + column])
        call_sgemm(sgemm, width, n_alive, rank, gathered.ctypes.data, packed.ctypes.data, product.ctypes.data, tile)
        for at in range(ends[number], ends[number + 1]):
            slot = slots[cells[at] // tile]
            if slot >= 0:
                product[slot, cells[at] % tile] = -np.inf
        for slot in range(n_alive):
            row = rows[slot]
            line = product.ctypes.data + slot * tile * 4
            user_address = user_factors.ctypes.data + users[row] * rank * 4
            threshold = thresholds[row]
            for start in range(0, width, CHUNK):
                bits = hits(line + start * 4, threshold)
                while bits != 0:
                    column = start + lowest_bit(bits)
                    bits &= bits - np.uint64(1)
                    if product[slot, column] < threshold or column >= width:
                        continue  # the threshold has risen since
                    item = order[first + column]
                    score = exact_score(
                        user_address, item_factors.ctypes.data + item * rank * 4, rank,
                        user_squares[row], item_squares[item], is_cosine,
                    )  # fmt: skip
                    held[row] = _offer(scores, items, row, held[row], score, item)
                    if held[row] == k:
                        threshold = _threshold(scores[row, 0], units[row], slacks[row])
            thresholds[row] = threshold
    for row in range(n):
        _sort(scores, items, row, held[row])
    return FINE, 0


@compiled(types.UniTuple(int64, 2)(*_shared, _ints32, *_lists, *_lists, *_lists, _marks, *_results))
def best_of_some(  # type: ignore[no-untyped-def]
    user_factors,
    item_factors,
    item_squares,
    is_cosine,
    users,
    place,
    allowed_indptr,
    allowed_items,
    seen_indptr,
    seen_items,
    denied_indptr,
    denied_items,
    marks,
    items,
    scores,
):
    """Fill the lists of users, each from a list of its own: `allowed_...`, CSR by rows of `user_factors`.

    Args:
        marks: as there.

    All else as in `best_of_all`.
    """
    rank = user_factors.shape[1]
    for row in range(len(users)):
        user = users[row]
        address = user_factors.ctypes.data + user * rank * 4
        square = dot(address, address, rank)
        if not square < np.inf:
            return NOT_FINITE, user
        if not (
            _is_list(allowed_indptr, allowed_items, user)
            and _is_list(seen_indptr, seen_items, user)
            and _is_list(denied_indptr, denied_items, user)
        ):
            return BAD_LIST, user
        if not (
            _is_within(allowed_indptr, allowed_items, user, len(place))
            and _is_within(seen_indptr, seen_items, user, len(place))
            and _is_within(denied_indptr, denied_items, user, len(place))
        ):
            return BAD_ITEM, user
        _mark(seen_indptr, seen_items, user, marks, 1)
        _mark(denied_indptr, denied_items, user, marks, 1)
        held = 0
        for at in range(allowed_indptr[user], allowed_indptr[user + 1]):
            item = allowed_items[at]
            if place[item] < 0 or marks[item]:
                continue
            marks[item] = 1  # it may be listed twice
            item_address = item_factors.ctypes.data + item * rank * 4
            score = exact_score(address, item_address, rank, square, item_squares[item], is_cosine)
            held = _offer(scores, items, row, held, score, item)
        _mark(allowed_indptr, allowed_items, user, marks, 0)
        _mark(seen_indptr, seen_items, user, marks, 0)
        _mark(denied_indptr, denied_items, user, marks, 0)
        _sort(scores, items, row, held)
    return FINE, 0
