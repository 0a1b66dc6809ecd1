"""Popularity: every user gets the items with most ratings. The floor that other models have to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pyspark.sql import functions as F

from spark_jobs.models.base import Fitted, Interactions


@dataclass(frozen=True)
class Popular:
    """Scores an item by its number of ratings: a model of rank 1 in which every user has the factor 1."""

    def fit(self, interactions: Interactions) -> Fitted:
        counted = interactions.frame.groupBy("item_index").agg(F.count(F.lit(1)).alias("n_ratings")).toArrow()
        item_factors = np.zeros((interactions.n_items, 1), np.float32)
        item_factors[counted["item_index"].to_numpy(), 0] = counted["n_ratings"].to_numpy()
        return Fitted("popular", np.ones((interactions.n_users, 1), np.float32), item_factors)
