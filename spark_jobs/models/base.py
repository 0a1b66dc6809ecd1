"""What every recommender takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from pyspark.sql import DataFrame

from marquee.errors import TrainingError


@dataclass(frozen=True)
class Interactions:
    """Ratings with dense indexes.

    Attributes:
        frame: columns `user_index` int (0 to n_users - 1), `item_index` int (0 to n_items - 1), `rating` double; each
            pair at most once.
        n_users, n_items: sizes of the index spaces; some indexes may have no rating.
    """

    frame: DataFrame
    n_users: int
    n_items: int


@dataclass(frozen=True)
class Fitted:
    """A fitted model as arrays: the score of an item for a user is the product of their factors.

    Attributes:
        source: what a published row says it came from, "als" or "popular".
        user_factors: float32 of shape (n_users, rank); a row of zeros where the user was not in the data.
        item_factors: float32 of shape (n_items, rank); a row of zeros where the item was not in the data.
        problem: what the factors minimize, as `RecommenderFiles.problem`; None where nobody can be folded in.
        history: what each iteration came to, by name; empty where there are none.

    Raises:
        TrainingError: a factor is no finite number.
    """

    source: str
    user_factors: np.ndarray
    item_factors: np.ndarray
    problem: dict[str, Any] | None = None
    history: tuple[dict[str, float], ...] = ()

    def __post_init__(self) -> None:
        for side, factors in (("users", self.user_factors), ("items", self.item_factors)):
            n_wrong = len(factors) - int(np.isfinite(factors).all(axis=1).sum())
            if n_wrong:
                raise TrainingError(
                    f"The fit came to factors that are no finite numbers, for {n_wrong:,} of {len(factors):,} {side}: "
                    "its sums overflow, or have no solution. Lower alpha, or raise the regularization."
                )


class Recommender(Protocol):
    """A configured model; `fit` may be called any number of times, and does not change it."""

    def fit(self, interactions: Interactions) -> Fitted:
        """Learn from the interactions.

        Raises:
            TrainingError: this data can't be learned from.
        """
        ...
