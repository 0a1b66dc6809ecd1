"""The Spark session of a job, with the lake as a data source where the job reads it as one."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession

from spark_jobs.lake_source import LakeSource


def session(name: str, settings: Mapping[str, str] | None = None, *, has_lake_source: bool = True) -> SparkSession:
    """The session that `spark-submit` configured; UTC throughout, Arrow between Python and the JVM.

    Master, memory and cores are the caller's (Airflow's connection `spark_default`, or `spark-submit`'s flags).

    Args:
        settings: further ones of Spark, of this job alone.
        has_lake_source: whether Spark is to know the lake as a data source, which costs the start of a Python process.
    """
    common = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    }
    spark = SparkSession.builder.appName(name).config(map={**common, **(settings or {})}).getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    if has_lake_source:
        spark.dataSource.register(LakeSource)
    return spark
