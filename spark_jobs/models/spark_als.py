"""Alternating least squares by Spark ML.

Implicit: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM 2008), with confidence
1 + alpha |rating|. Explicit: Zhou et al., "Large-scale Parallel Collaborative Filtering for the Netflix Prize" (2008).
In both the regularization is scaled by the number of ratings of a user or an item, as Spark ML does.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.ml.recommendation import ALS

from marquee.errors import TrainingError
from spark_jobs.factors import factor_matrix
from spark_jobs.models.base import Fitted, Interactions


@dataclass(frozen=True)
class SparkALS:
    """The parameters have Spark ML's meaning; `implicit` is its `implicitPrefs`, `regularization` its `regParam`.

    `blocks` are those of users and of items. They don't follow the number of cores, since the random start depends on
    them: the same data gives the same model on any machine. Spark's own 10 cost a small data set more than it takes.
    """

    rank: int = 16
    iterations: int = 10
    regularization: float = 0.05
    alpha: float = 0.3
    implicit: bool = True
    blocks: int = 4
    seed: int = 42

    def __post_init__(self) -> None:
        for name, value, is_allowed, allowed in (
            ("rank", self.rank, 1 <= self.rank <= 1024, "1 to 1024"),
            ("iterations", self.iterations, 1 <= self.iterations <= 1000, "1 to 1000"),
            ("regularization", self.regularization, self.regularization >= 0, "0 or more"),
            ("alpha", self.alpha, self.alpha >= 0, "0 or more"),
            ("blocks", self.blocks, self.blocks >= 1, "1 or more"),
        ):
            if not is_allowed:
                raise TrainingError(
                    f"Parameter {name} of spark-als is {value}; it may be {allowed}: mend the candidate."
                )

    def fit(self, interactions: Interactions) -> Fitted:
        als = ALS(
            rank=self.rank,
            maxIter=self.iterations,
            regParam=self.regularization,
            alpha=self.alpha,
            implicitPrefs=self.implicit,
            numUserBlocks=self.blocks,
            numItemBlocks=self.blocks,
            seed=self.seed,
            userCol="user_index",
            itemCol="item_index",
            ratingCol="rating",
        )
        model = als.fit(interactions.frame)
        return Fitted(
            "als",
            factor_matrix(model.userFactors, interactions.n_users, self.rank),
            factor_matrix(model.itemFactors, interactions.n_items, self.rank),
            problem={
                "implicit": self.implicit,
                "regularization": self.regularization,
                "alpha": self.alpha,
                "unobserved_weight": 1.0,
                "regularization_exponent": None,
            },
        )
