"""Factors of the other side in parts: what a stretch of a task's rows needs, fetched from the tasks that own it.

A part's rows name at most as many ratings as make its copy of factors about as large as the task's own share, so that
memory is bounded by shares and by the longest single row, whatever the number of users and items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_jobs.als.exchange import Exchange
from spark_jobs.als.indexing import Side
from spark_jobs.als.kernels import Rows
from spark_jobs.als.plan import Plan

#: Fewer rows of factors are not worth a question.
LEAST = 4096


@dataclass(frozen=True)
class Part:
    """A stretch of a task's rows.

    Attributes:
        start, stop: which rows.
        rows: them; their indices are places among `wanted`.
        wanted: for each task the places, among its own, of the factors that are needed; int64, rising.
    """

    start: int
    stop: int
    rows: Rows
    wanted: tuple[np.ndarray, ...]

    def fetch(self, exchange: Exchange, rank: int) -> np.ndarray:
        """The factors that this part needs: float32 of shape (n_wanted, rank)."""
        got = [exchange.rows(task, at) for task, at in enumerate(self.wanted) if len(at)]
        return np.concatenate(got) if got else np.empty((0, rank), np.float32)


def parts_of(rows: Rows, other: Side, plan: Plan, *, whole: bool = False) -> list[Part]:
    """Cut a task's rows into parts; `whole`: into a single one."""
    n_rows = len(rows.indptr) - 1
    n_tasks = len(other.borders) - 1
    budget = max(LEAST, other.n // n_tasks, plan.memory // (4 * plan.rank * n_tasks))
    parts: list[Part] = []
    start = 0
    while start < n_rows or not parts:
        stop = n_rows if whole else int(np.searchsorted(rows.indptr, rows.indptr[start] + budget, side="right")) - 1
        stop = min(max(stop, start + 1), n_rows)
        parts.append(_part(rows, other, start, stop))
        start = stop
        if n_rows == 0:
            break
    return parts


def _part(rows: Rows, other: Side, start: int, stop: int) -> Part:
    first, last = int(rows.indptr[start]), int(rows.indptr[stop])
    wanted, places = np.unique(rows.indices[first:last], return_inverse=True)
    cuts = np.searchsorted(wanted, other.borders)
    by_task = tuple(
        wanted[cuts[task] : cuts[task + 1]].astype(np.int64) - other.borders[task] for task in range(len(cuts) - 1)
    )
    own = Rows(rows.indptr[start : stop + 1] - first, places.astype(np.int32), rows.values[first:last])
    return Part(start, stop, own, by_task)
