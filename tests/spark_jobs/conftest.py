"""A real Spark for the jobs' tests, with the test lake in its environment."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from expectations.contracts import TABLES
from expectations.schema import arrow_schema
from marquee.java import java_home
from marquee.lake import current_view, snapshots, tables
from marquee.lake.objects import Lake
from tests.spark_jobs.two_tastes import K, items, ratings


@pytest.fixture(scope="session")
def spark(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session of two cores; its workers reach the lake by the environment, as in production."""
    from spark_jobs.session import session

    folder = tmp_path_factory.mktemp("spark")
    # Its connections say that they close when the interpreter ends, to a stream that pytest has closed by then.
    logging.getLogger("py4j").setLevel(logging.WARNING)
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


@pytest.fixture
def tracked(mlflow_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs' MLflow client finds the test server."""
    for name, value in mlflow_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def commit_rows(lake: Lake) -> Callable[..., int]:
    """A function (table, batch, rows, mode="replace") that commits rows to a table and returns the version."""

    def commit(table: str, batch: str, rows: list[dict[str, Any]], mode: tables.Mode = "replace") -> int:
        schema = arrow_schema(TABLES[table])
        table_of_rows, metadata = pa.Table.from_pylist(rows, schema), {"marquee.ingest_run_id": f"run of {batch}"}
        if table != "ratings":
            prepared = tables.Prepared(table, batch, (tables.write_part(lake, table, batch, table_of_rows),))
            return tables.commit(lake, prepared, schema, mode=mode, metadata=metadata)
        part = tables.write_part(lake, table, batch, table_of_rows, bucket=0)
        return current_view.merge(
            lake,
            tables.Prepared(table, batch, (part,), n_buckets=1),
            schema,
            mode=mode,
            repeated="latest",
            metadata=metadata,
            before_commit=lambda *_: None,
        )

    return commit


@pytest.fixture(scope="module")
def snapshot(spark: SparkSession, lake: Lake, commit_rows: Callable[..., int]) -> dict[str, Any]:
    """The data of two tastes in the lake, pinned, its last quarter as test side."""
    batch = "c" * 64
    versions = {
        "items_version": commit_rows("items", batch, items(batch)),
        "ratings_version": commit_rows("ratings", batch, ratings(batch)),
    }
    return snapshots.pin(lake, test_share=0.25, k=K, **versions)
