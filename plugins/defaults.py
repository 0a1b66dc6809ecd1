"""What all tasks of all DAGs share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from marquee.settings import settings
from plugins.retries import RetryWhatPasses

OWNER = "marquee"

DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RetryWhatPasses(),
    "execution_timeout": timedelta(minutes=15),
}

#: A Spark job on a large data set takes its time.
SPARK_TIMEOUT = timedelta(hours=6)

#: A laptop trains one candidate after the other; a cluster as many as the setting says.
SPARK_JOBS_AT_ONCE = settings().spark.jobs_at_once
