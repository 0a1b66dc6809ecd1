"""Rows in pieces of about the same cost, worked off by threads.

The kernels run without Python's lock, so plain threads use all cores: no threading layer of numba's is needed, whose
simplest can't be entered by two threads at once, and nothing is left behind in a process that forks. The pieces, and
the order in which their results are added, don't depend on the number of threads: the results are the same bit for bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")

#: Pieces of a call: enough that the last ones to finish finish together, each long enough that Python's part is small.
N_PIECES = 192


def pieces(indptr: NDArray[np.int64], cost_of_a_row: float) -> list[tuple[int, int]]:
    """Ranges of rows [first, last), none empty, the most expensive first; a rating costs 1."""
    n_rows = len(indptr) - 1
    cost = (indptr - indptr[0]) + cost_of_a_row * np.arange(n_rows + 1)
    borders = np.searchsorted(cost, np.linspace(0, cost[-1], N_PIECES + 1)[1:-1])
    edges = np.unique(np.concatenate(([0], borders, [n_rows])))
    ranges = [(int(first), int(last)) for first, last in pairwise(edges)]
    return sorted(ranges, key=lambda piece: cost[piece[0]] - cost[piece[1]])


def work_off(
    ranges: list[tuple[int, int]], worker: Callable[[], Callable[[int, int], Result]], threads: int
) -> list[Result]:
    """The results of all ranges, in their order. Each thread makes its own function by `worker()`."""
    results: dict[int, Result] = {}
    waiting = deque(enumerate(ranges))

    def work() -> None:
        solve = worker()
        while True:
            try:
                at, (first, last) = waiting.popleft()
            except IndexError:
                return
            results[at] = solve(first, last)

    n_threads = min(threads, len(ranges))
    if n_threads <= 1:
        work()
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            for future in [pool.submit(work) for _ in range(n_threads)]:
                future.result()
    return [results[at] for at in range(len(ranges))]
