"""Alternating least squares by `spark_jobs.als`: Marquee's own, with Spark ML's objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marquee.errors import TrainingError
from spark_jobs.als import ALS
from spark_jobs.factors import factor_matrix
from spark_jobs.job import say
from spark_jobs.models.base import Fitted, Interactions


@dataclass(frozen=True)
class MarqueeALS:
    """The parameters are those of `spark_jobs.als.ALS`, by the pipeline's names.

    `unobserved_weight` and `regularization_exponent` are those of Rendle et al. (RecSys 2022); the defaults are Spark
    ML's objective. The same data gives the same model on any machine.
    """

    rank: int = 16
    iterations: int = 10
    regularization: float = 0.05
    alpha: float = 0.3
    implicit: bool = True
    unobserved_weight: float = 1.0
    regularization_exponent: float | None = None
    tolerance: float = 0.0
    seed: int = 42

    def fit(self, interactions: Interactions) -> Fitted:
        als = ALS(
            rank=self.rank,
            maxIter=self.iterations,
            regParam=self.regularization,
            alpha=self.alpha,
            implicitPrefs=self.implicit,
            unobservedWeight=self.unobserved_weight,
            tol=self.tolerance,
            exactUsers=True,  # a known user's list and the fold-in of the same history are one
            seed=self.seed,
            userCol="user_index",
            itemCol="item_index",
            ratingCol="rating",
        ).setListener(tell)
        if self.regularization_exponent is not None:
            als.setRegExponent(self.regularization_exponent)
        try:
            model = als.fit(interactions.frame)
        except ValueError as error:
            raise TrainingError(f"{str(error).rstrip('.')}: mend the candidate.") from error
        users = factor_matrix(model.userFactors, interactions.n_users, self.rank)
        items = factor_matrix(model.itemFactors, interactions.n_items, self.rank)
        model.unpersist()
        return Fitted(
            "als",
            users,
            items,
            problem={
                "implicit": self.implicit,
                "regularization": self.regularization,
                "alpha": self.alpha,
                "unobserved_weight": self.unobserved_weight,
                "regularization_exponent": self.regularization_exponent,
            },
            history=tuple(
                {"objective": one["objective"], "iteration_seconds": one["seconds"]} for one in model.summary.iterations
            ),
        )


def tell(iteration: dict[str, Any]) -> None:
    """A line for the task's log, as soon as an iteration is over."""
    say(f"iteration {iteration['number']}: objective {iteration['objective']:,.0f} in {iteration['seconds']:.1f} s")
