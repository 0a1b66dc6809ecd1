"""What a fit is to do, and what it comes to: plain values that travel between driver and tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_jobs.als.kernels import Problem

#: Bytes that a copy of one side's factors may have in a task, unless told otherwise.
FACTORS_MEMORY = 4 << 30


@dataclass(frozen=True)
class Plan:
    """What a fit is to do.

    Attributes:
        problem: the objective.
        rank: number of factors.
        iterations: how many at most; each solves for the items, then for the users, as Spark ML does.
        seed: of the directions that the iterations begin with.
        solver: "auto", or one of `kernels.SOLVERS`.
        threads: of this task.
        tolerance: the fit ends where an iteration improves by less than this share; 0: it never does so.
        checkpoint_interval: iterations between two checkpoints; less than 1: none.
        biases: explicit: whether users and items have a bias beside their factors, and all ratings a mean.
        exact_users: whether a solver that only nears the solution is followed by one exact half-step of the users.
        memory: bytes that a copy of one whole side's factors may have in each task; what is larger is sharded.
    """

    problem: Problem
    rank: int
    iterations: int
    seed: int
    solver: str = "auto"
    threads: int = 1
    tolerance: float = 0.0
    checkpoint_interval: int = 10
    biases: bool = False
    exact_users: bool = False
    memory: int = FACTORS_MEMORY

    @property
    def width(self) -> int:
        """Unknowns of a row: its factors, and its bias where there are such."""
        return self.rank + int(self.biases)


@dataclass(frozen=True)
class Iteration:
    """What an iteration came to.

    Attributes:
        number: from 1.
        objective: the sum that is minimized, over all tasks, after it.
        validation: the error on the ratings put aside (see `validation_error`); None where there are none.
        seconds: of this iteration.
        received_bytes: what the first task got from the others in it.
    """

    number: int
    objective: float
    validation: float | None
    seconds: float
    received_bytes: int = 0


@dataclass(frozen=True)
class Factors:
    """A task's own factors, float32 of shapes (n_own_users, rank) and (n_own_items, rank)."""

    users: np.ndarray
    items: np.ndarray


@dataclass(frozen=True)
class Progress:
    """How far a fit is.

    Attributes:
        factors: as they are.
        best: those that met the ratings put aside best; where there are none, `factors`.
        history: the iterations that are done.
    """

    factors: Factors
    best: Factors
    history: tuple[Iteration, ...] = ()


@dataclass(frozen=True)
class Fit:
    """What the iterations led to: the factors to keep, and all iterations."""

    factors: Factors
    iterations: tuple[Iteration, ...]
    solver: str
