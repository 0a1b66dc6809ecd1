"""The iterations of a fit, as each of its tasks runs them.

A task solves for its own users and its own items. What it needs of the other side it gets from the tasks that own it:
the whole side at once (`Replicated`), or, where that would not fit, the rows that a part of its own rows needs, part
after part (`Sharded`). Sums over all tasks are formed in the order of the tasks, so that every task comes to the same
figures, and so to the same decisions.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from spark_jobs.als.biases import held, published
from spark_jobs.als.checkpoint import Checkpoints, NoCheckpoints
from spark_jobs.als.exchange import Exchange, all_reduce
from spark_jobs.als.indexing import Side
from spark_jobs.als.kernels import Rows, cg_steps_of, choose_solver, counts_of, gram, regularization_of, solve
from spark_jobs.als.plan import Factors, Fit, Iteration, Plan, Progress
from spark_jobs.als.sharding import Part, parts_of

#: Solvers that leave nothing to solve.
EXACT = ("cholesky", "nnls")


class HalfStep:
    """One side solved for, the other held; what does not change between iterations is computed once.

    Args:
        rows: this task's rows of the side that is solved for.
        other: the side that is held.
        mean: of all ratings, where there are biases.
    """

    def __init__(self, rows: Rows, other: Side, plan: Plan, exchange: Exchange, solver: str, mean: float = 0.0) -> None:
        self.rows, self.other, self.plan, self.exchange, self.solver = rows, other, plan, exchange, solver
        self.mean = mean
        rows.check(other.n)
        self.counts = counts_of(rows, plan.problem, plan.threads)
        is_sharded = exchange.n_tasks > 1 and other.n * plan.width * 4 > plan.memory
        self.parts: list[Part] = parts_of(rows, other, plan) if is_sharded else []

    def __call__(self, held: np.ndarray, solution: np.ndarray, iteration: int) -> float:
        """Solve into `solution` (which is read as well); this task's part of the objective.

        Args:
            held: this task's factors of the other side.
            iteration: from 1.
        """
        steps = cg_steps_of(self.plan.problem, iteration)
        total = all_reduce(self.exchange, gram(held, self.plan.threads)) if self.plan.problem.implicit else None
        if not self.parts:
            gathered = self.exchange.all_gather(held)
            fixed = gathered[0] if len(gathered) == 1 else np.concatenate(gathered)
            return self._solve(self.rows, fixed, solution, total, self.counts, steps)
        self.exchange.offer(held)
        solved = solution.copy()
        loss = 0.0
        for part in self.parts:
            fixed = part.fetch(self.exchange, self.plan.width)
            at = slice(part.start, part.stop)
            loss += self._solve(part.rows, fixed, solved[at], total, self.counts[at], steps)
        solution[:] = solved
        return loss

    def _solve(
        self,
        rows: Rows,
        fixed: np.ndarray,
        solution: np.ndarray,
        total: np.ndarray | None,
        counts: np.ndarray,
        steps: int,
    ) -> float:
        plan = self.plan
        if plan.biases:
            fixed, rows = held(fixed, rows, self.mean)
        return solve(
            rows, fixed, solution, plan.problem, self.solver,
            gram=total, n_fixed_total=self.other.n, counts=counts, threads=plan.threads, cg_steps=steps,
        )  # fmt: skip


def train(
    plan: Plan,
    users: tuple[Side, Rows],
    items: tuple[Side, Rows],
    start: Factors,
    exchange: Exchange,
    *,
    mean: float = 0.0,
    is_warm: bool = False,
    validation: Rows | None = None,
    checkpoints: Checkpoints | None = None,
    report: Callable[[Iteration], None] = lambda _: None,
) -> Fit:
    """Iterate from `start`, or from the last checkpoint.

    Args:
        users, items: each side, and this task's rows of it over the other one.
        mean: of all ratings, where there are biases.
        is_warm: `start` holds a fitted model's items: the users are solved for first.
        validation: ratings put aside: this task's users over all items; the best iteration on them is kept.
        report: is told of each iteration.
    """
    solver = choose_solver(plan.problem, plan.rank, plan.solver)
    for_users = HalfStep(users[1], items[0], plan, exchange, solver, mean)
    for_items = HalfStep(items[1], users[0], plan, exchange, solver, mean)
    kept = checkpoints or NoCheckpoints()
    progress = kept.latest(Progress(start, start))
    factors, best, history = progress.factors, progress.best, list(progress.history)
    if not history and is_warm:
        for_users(factors.items, factors.users, 1)
    aside = None if validation is None else parts_of(validation, items[0], plan, whole=True)[0]
    for number in range(len(history) + 1, plan.iterations + 1):
        began, received = time.monotonic(), exchange.received_bytes
        for_items(factors.users, factors.items, number)
        part = for_users(factors.items, factors.users, number)
        part += regularization_of(factors.items, for_items.counts, plan.problem, users[0].n)
        error = None
        if aside is not None:
            error = validation_error(plan, aside, handed_over(plan, factors, mean), exchange)
        objective = float(all_reduce(exchange, np.array([part]))[0])
        received = exchange.received_bytes - received
        this = Iteration(number, objective, error, time.monotonic() - began, received)
        is_over, is_best = judged(history, this, plan.tolerance)
        history.append(this)
        report(this)
        if validation is not None and is_best:
            best = Factors(factors.users.copy(), factors.items.copy())
        if is_over:
            break
        if plan.checkpoint_interval > 0 and number % plan.checkpoint_interval == 0 and number < plan.iterations:
            kept.save(Progress(factors, best, tuple(history)))
    if plan.exact_users and solver not in EXACT:
        for_users.solver = "cholesky"
        for_users(best.items, best.users, len(history))
    return Fit(handed_over(plan, best, mean), tuple(history), solver)


def handed_over(plan: Plan, factors: Factors, mean: float) -> Factors:
    """Factors whose product is the prediction."""
    return published(factors, mean) if plan.biases else factors


def judged(history: list[Iteration], this: Iteration, tolerance: float) -> tuple[bool, bool]:
    """Whether the fit is over after this iteration, and whether it is the best so far on what was put aside.

    With ratings put aside it is over when they are no better met than by the best iteration before, by more than the
    tolerance's share; without, when the objective fell by less than that share.
    """
    if this.validation is not None:
        before = [one.validation for one in history if one.validation is not None]
        if not before:
            return False, True
        return tolerance > 0 and this.validation > min(before) * (1 - tolerance), this.validation < min(before)
    if not history or tolerance <= 0:
        return False, True
    return history[-1].objective - this.objective < tolerance * abs(history[-1].objective), True


def validation_error(plan: Plan, aside: Part, factors: Factors, exchange: Exchange) -> float:
    """How far predictions are from the ratings put aside, over all tasks; NaN where there are none.

    Explicit: the root of the mean squared error. Implicit: the root of the mean of squared distances between preference
    (1 where the rating is above 0, else 0) and prediction, weighted by confidence.
    """
    rows = aside.rows
    exchange.offer(factors.items)
    fixed = aside.fetch(exchange, factors.items.shape[1])
    weight = np.ones(len(rows.values), np.float64)
    wanted = rows.values.astype(np.float64)
    if plan.problem.implicit:
        weight = plan.problem.unobserved_weight + plan.problem.alpha * np.abs(wanted)
        wanted = (wanted > 0).astype(np.float64)
    user = np.repeat(np.arange(len(rows.indptr) - 1), np.diff(rows.indptr))
    squared, step = 0.0, 1 << 20
    for start in range(0, len(wanted), step):
        at = slice(start, start + step)
        predicted = np.einsum("nk,nk->n", factors.users[user[at]], fixed[rows.indices[at]], dtype=np.float64)
        squared += float(np.sum(weight[at] * (wanted[at] - predicted) ** 2))
    total = all_reduce(exchange, np.array([squared, float(weight.sum())]))
    return float(np.sqrt(total[0] / total[1])) if total[1] > 0 else float("nan")
