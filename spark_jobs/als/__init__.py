"""Alternating least squares on Spark, by the names of `pyspark.ml.recommendation`: `ALS` and `ALSModel`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spark_jobs.als.estimator import ALS
    from spark_jobs.als.model import ALSModel

__all__ = ["ALS", "ALSModel"]


def __getattr__(name: str) -> Any:
    """The tasks of a fit import this package's parts, and have no use for Spark ML."""
    if name == "ALS":
        from spark_jobs.als.estimator import ALS

        return ALS
    if name == "ALSModel":
        from spark_jobs.als.model import ALSModel

        return ALSModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
