"""What the gate knows of a candidate: its figures on this training's exam, and those of each judged user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Contender:
    """A candidate that was trained and judged, or one that failed.

    Attributes:
        name: of the candidate.
        run_id: its MLflow run; empty where it failed.
        users: a row a judged user, as `spark_jobs.evaluation.Evaluation.users` has it; the same users in the same order
            for all. None where it failed.
        figures: means and what has no users, by name: `coverage_at_10`, `model_mb`, `cold_lists` (share of the unknown
            users who get a full list), `last_trained_at` (of its latest rating, microseconds since 1970).
        is_floor: whether it is popularity.
        is_champion: whether it is the champion's configuration, trained afresh on this split.
        failure: why it could not be judged, in words; empty where it was.
    """

    name: str
    run_id: str = ""
    users: pa.Table | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    is_floor: bool = False
    is_champion: bool = False
    failure: str = ""

    def values(self, metric: str) -> np.ndarray:
        """float64 (n_users,): the metric of each judged user; NaN everywhere where there is none."""
        if self.users is None or metric not in self.users.column_names:
            return np.full(0 if self.users is None else self.users.num_rows, np.nan)
        return np.asarray(self.users[metric].to_numpy(), np.float64)

    def mean(self, metric: str) -> float:
        """Mean over the users who have a value; NaN where nobody has."""
        values = self.values(metric)
        return float(np.nanmean(values)) if np.any(~np.isnan(values)) else float("nan")

    def of_segment(self, segment: str) -> np.ndarray:
        """bool (n_users,): which judged users are in a segment."""
        return np.zeros(0, bool) if self.users is None else np.asarray(self.users["segment"].to_pylist()) == segment


def failed(name: str, error: str, **known: Any) -> Contender:
    """A candidate whose task ended without a result."""
    return Contender(name, failure=error or "its task ended without a result: read its log", **known)
