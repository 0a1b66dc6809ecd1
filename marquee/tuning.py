"""Searching for parameters: Optuna, seeded, within a budget, beginning with what is known to work.

Regularization and the weight of what was not observed are searched together first, all else fixed, since most of what
implicit ALS can gain lies there (Rendle, Krichene, Zhang and Koren, "Revisiting the performance of iALS", RecSys 2022);
then rank and the regularization's exponent join them. alpha stays 1: confidence, weight and regularization could all be
multiplied by one number, and the solution would be the same.

A trial tells its figure after a few iterations; one below the median of the others there is given up (pruned).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from marquee.errors import TrainingError

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

#: Share of the budget that goes to regularization and unobserved weight alone.
FIRST_SHARE = 0.6
#: Iterations after which a trial is compared with the others, and iterations of a whole one.
EARLY_ITERATIONS, ITERATIONS = 4, 16
FIRST = {"rank": 32, "regularization_exponent": 1.0}

#: Gets the parameters of a model; its figure, of which more is better.
Judge = Callable[[dict[str, Any]], float]


@dataclass(frozen=True)
class Budget:
    """How long to search: trials, or minutes, whichever is over first; 0 is no limit, and both 0 is no search."""

    trials: int = 0
    minutes: float = 0.0

    @property
    def is_none(self) -> bool:
        return self.trials <= 0 and self.minutes <= 0


@dataclass(frozen=True)
class Trial:
    """A trial that ran.

    Attributes:
        number: from 0.
        params: of the model.
        value: its figure; None where it failed.
        early: its figure after the first iterations; None where it failed before.
        state: "complete", "pruned" or "fail".
        seconds: that it took.
    """

    number: int
    params: dict[str, Any]
    value: float | None
    early: float | None
    state: str
    seconds: float


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        params: of the best trial.
        value: its figure.
        trials: all, in order.
        pictures: history and importance, by file name.
    """

    params: dict[str, Any]
    value: float
    trials: tuple[Trial, ...]
    pictures: Mapping[str, Figure]


def search(
    judge: Judge,
    *,
    implicit: bool,
    budget: Budget,
    seed: int,
    max_rank: int = 128,
    metric: str = "figure",
    known: Sequence[Mapping[str, Any]] = (),
    tell: Callable[[Trial], None] = lambda _: None,
) -> Found:
    """Search within the budget.

    Args:
        judge: fits a model with these parameters, and returns its figure; called with `EARLY_ITERATIONS` first. A
            `TrainingError` of its, or NaN, fails the trial, and the search goes on.
        implicit: whether feedback is.
        seed: the same seed, budget in trials and figures: the same parameters.
        max_rank: the largest rank that is tried.
        metric: name of the figure, for the pictures.
        known: parameters to begin with, as the champion's; those that are not searched are passed over.
        tell: is told of each trial when it ends.

    Raises:
        ValueError: the budget is none, or no trial came to a figure.
    """
    import optuna

    if budget.is_none:
        raise ValueError("A search needs a budget: name trials, or minutes.")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    whole = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=8)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=6)
    study = optuna.create_study(direction="maximize", sampler=whole, pruner=pruner)
    for params in known:
        study.enqueue_trial({name: value for name, value in params.items() if name in names_of(implicit)})

    def objective(trial: optuna.Trial) -> float:
        params = {**suggested(trial, implicit=implicit, max_rank=max_rank), "implicit": implicit, "seed": seed}
        trial.set_user_attr("params", params | {"iterations": ITERATIONS})
        early = judge(params | {"iterations": EARLY_ITERATIONS})
        trial.report(early, EARLY_ITERATIONS)
        if trial.should_prune():
            raise optuna.TrialPruned
        return judge(params | {"iterations": ITERATIONS})

    def told(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        tell(_trial(trial))

    ends = time.monotonic() + 60 * budget.minutes
    for sampler, share in ((_first(whole, implicit), FIRST_SHARE), (whole, 1.0)):
        study.sampler = sampler
        trials = max(0, round(budget.trials * share) - len(study.trials)) if budget.trials > 0 else None
        left = ends - time.monotonic() - (1 - share) * 60 * budget.minutes if budget.minutes > 0 else None
        if trials != 0 and (left is None or left > 0):
            study.optimize(objective, n_trials=trials, timeout=left, callbacks=[told], catch=(TrainingError,))
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if not done:
        raise ValueError("No trial came to a figure: look at the errors above, or give the search a larger budget.")
    best = study.best_trial
    return Found(
        dict(best.user_attrs["params"]),
        float(study.best_value),
        tuple(map(_trial, study.trials)),
        pictures(study, metric),
    )


def names_of(implicit: bool) -> tuple[str, ...]:
    """Parameters that are searched."""
    return ("regularization", "rank", *(("unobserved_weight", "regularization_exponent") if implicit else ()))


def suggested(trial: optuna.Trial, *, implicit: bool, max_rank: int) -> dict[str, Any]:
    """A model's parameters by a trial."""
    params: dict[str, Any] = {"rank": trial.suggest_int("rank", 8, max_rank, log=True)}
    params["regularization"] = trial.suggest_float("regularization", 1e-4, 1.0, log=True)
    if implicit:
        params["unobserved_weight"] = trial.suggest_float("unobserved_weight", 1e-3, 1.0, log=True)
        params["regularization_exponent"] = trial.suggest_float("regularization_exponent", 0.0, 1.0)
        params["alpha"] = 1.0
    return params


def pictures(study: optuna.Study, metric: str) -> dict[str, Figure]:
    """The search's history, and how much each parameter matters (fANOVA: Hutter et al., ICML 2014)."""
    import optuna
    from optuna.visualization import matplotlib as drawing

    drawn = {"tuning_history.png": cast("Figure", drawing.plot_optimization_history(study, target_name=metric).figure)}
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if len({trial.value for trial in done}) > 1:
        drawn["tuning_importance.png"] = cast(
            "Figure", drawing.plot_param_importances(study, target_name=metric).figure
        )
    for figure in drawn.values():
        figure.set_size_inches(8, 4.5)
        figure.tight_layout()
    return drawn


def _first(whole: optuna.samplers.BaseSampler, implicit: bool) -> optuna.samplers.BaseSampler:
    """All but regularization and unobserved weight fixed."""
    import optuna

    fixed = {name: value for name, value in FIRST.items() if name in names_of(implicit)}
    return optuna.samplers.PartialFixedSampler(fixed, whole)


def _trial(trial: optuna.trial.FrozenTrial) -> Trial:
    lasted = trial.duration.total_seconds() if trial.duration else 0.0
    is_complete = trial.state.name == "COMPLETE"
    return Trial(
        trial.number,
        dict(trial.user_attrs.get("params", trial.params)),
        float(trial.value) if is_complete and trial.value is not None else None,
        trial.intermediate_values.get(EARLY_ITERATIONS),
        trial.state.name.lower(),
        lasted,
    )
