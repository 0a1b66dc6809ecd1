"""A real Spark for the jobs' tests, with the test lake in its environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from marquee.java import java_home
from marquee.lake.objects import Lake


@pytest.fixture(scope="session")
def spark(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session of two cores; its workers reach the lake by the environment, as in production."""
    from spark_jobs.session import session

    folder = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lake.environment().items():
            patch.setenv(name, value)
        patch.setenv("JAVA_HOME", str(java_home(folder)))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent.parent))
        patch.setenv(
            "PYSPARK_SUBMIT_ARGS",
            "--master local[2] --driver-memory 1g --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2 "
            f"--conf spark.local.dir={folder} pyspark-shell",
        )
        patch.chdir(folder)
        started = session("tests")
        yield started
        started.stop()
