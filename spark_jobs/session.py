"""The Spark session of a job, with the lake as a data source."""

from __future__ import annotations

from pyspark.sql import SparkSession

from spark_jobs.lake_source import LakeSource


def session(name: str) -> SparkSession:
    """The session that `spark-submit` configured; UTC throughout, Arrow between Python and the JVM.

    Master, memory and cores are the caller's (Airflow's connection `spark_default`, or `spark-submit`'s flags).
    """
    spark = (
        SparkSession.builder.appName(name)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100000")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("WARN")
    spark.dataSource.register(LakeSource)
    return spark
