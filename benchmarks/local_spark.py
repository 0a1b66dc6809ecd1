"""A Spark of a benchmark's own, in its process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def local_spark(folder: Path, *, memory: str) -> SparkSession:
    """A local Spark with all cores, its files in the folder.

    Args:
        memory: of the JVM, and the most that a result may have, as "2g".
    """
    from marquee.java import java_home

    os.environ["JAVA_HOME"] = str(java_home(folder / "java"))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[*] --driver-memory {memory} --conf spark.ui.enabled=false "
        f"--conf spark.driver.maxResultSize={memory} --conf spark.local.dir={folder} pyspark-shell"
    )
    from spark_jobs.session import session

    spark = session("benchmark")
    spark.sparkContext.setLogLevel("ERROR")
    return spark
