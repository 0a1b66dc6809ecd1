"""The recommenders, one a file, by the name that a candidate's configuration gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marquee.errors import TrainingError
from spark_jobs.models.als import MarqueeALS
from spark_jobs.models.base import Recommender
from spark_jobs.models.popular import Popular
from spark_jobs.models.spark_als import SparkALS

RECOMMENDERS: dict[str, Callable[..., Recommender]] = {"als": MarqueeALS, "popular": Popular, "spark-als": SparkALS}


def recommender(name: str, params: dict[str, Any]) -> Recommender:
    """The recommender of that name with these parameters.

    Raises:
        TrainingError: there is no such recommender, or it has no such parameter.
    """
    if name not in RECOMMENDERS:
        raise TrainingError(f"There is no recommender {name!r}: choose one of {', '.join(sorted(RECOMMENDERS))}.")
    try:
        return RECOMMENDERS[name](**params)
    except TypeError as error:
        raise TrainingError(
            f"Recommender {name!r} does not take these parameters ({error}): mend the candidate."
        ) from None
