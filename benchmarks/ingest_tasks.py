"""The parts of `benchmarks.ingest` that run as processes of their own, each by its name; each is one task of the DAG.

    python -m benchmarks.ingest_tasks command                 tell by which command the DAG submits the job normalize
    python -m benchmarks.ingest_tasks validate BATCH TABLE... hold the prepared rows of tables against their suites
    python -m benchmarks.ingest_tasks accept BATCH            commit the batch
    python -m benchmarks.ingest_tasks duckdb OUT FILE...      for comparison: DuckDB copies the same text to Parquet
    python -m benchmarks.ingest_tasks polars FILE...          for comparison: polars reads every column of the same text

The lake is the one that the environment names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

RUN = "benchmark"
#: What stands in the lines of the Netflix layout; the sections' own lines have the first alone.
NETFLIX_COLUMNS = {"user_id": "VARCHAR", "rating": "DOUBLE", "rated_at": "DATE"}


def main(argv: list[str]) -> int:
    name, *arguments = argv
    tasks: dict[str, Callable[..., Any]] = {
        "command": command,
        "validate": validate,
        "accept": accept,
        "duckdb": duckdb_copy,
        "polars": polars_scan,
    }
    print(json.dumps(tasks[name](*arguments)))
    return 0


def command() -> dict[str, Any]:
    """What the DAG's own operator makes of the settings: the words, to which arguments are added, and what it keeps."""
    from plugins.spark_job import SparkJobOperator

    operator = SparkJobOperator(task_id="normalize", job="normalize", arguments={})
    hook = operator._get_hook()
    classes = operator.classes
    return {
        "words": [str(word) for word in hook._build_spark_submit_command(operator.application)],
        "archive": classes and {"path": str(classes.path), "left": classes.left and str(classes.left)},
    }


def validate(batch: str, *names: str) -> dict[str, Any]:
    from expectations import quality_table
    from expectations.validation import validate as hold_against_suite
    from marquee.lake.objects import Lake
    from marquee.lake.raw import read_manifest

    lake, rows = Lake.from_environment(), {}
    for table in names:
        scale = read_manifest(lake, batch).reading.ratings.rating_range if table == "ratings" else None
        report = hold_against_suite(lake, table, batch, rating_range=scale)
        quality_table.record(lake, report, batch, RUN, datetime.now(UTC))
        if not report.success:
            raise SystemExit(report.sentence())
        rows[table] = report.n_rows
    return rows


def accept(batch: str) -> dict[str, Any]:
    from expectations.contracts import TABLES
    from expectations.schema import arrow_schema
    from marquee.lake import acceptance
    from marquee.lake.objects import Lake
    from marquee.lake.raw import read_manifest

    lake = Lake.from_environment()
    schemas = {name: arrow_schema(TABLES[name]) for name in ("ratings", *acceptance.BESIDE)}
    return acceptance.accept(lake, read_manifest(lake, batch), schemas, mode="append", run_id=RUN).to_dict()


def duckdb_copy(out: str, *files: str) -> dict[str, Any]:
    """One Parquet file, DuckDB's own defaults; columns and types as it finds them, but for the Netflix layout."""
    import duckdb

    options = ""
    if files[0].endswith(".txt"):
        options = f", auto_detect = false, delim = ',', null_padding = true, columns = {NETFLIX_COLUMNS}"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM read_csv({list(files)}{options})) TO '{out}' (FORMAT parquet)")
        (rows,) = connection.execute("SELECT count(*) FROM read_parquet(?)", [out]).fetchone() or (0,)
    return {"rows": rows}


def polars_scan(*files: str) -> dict[str, Any]:
    """All columns are read and parsed, and none is kept."""
    import polars as pl

    options: dict[str, Any] = {}
    if files[0].endswith(".txt"):
        schema = {"user_id": pl.String, "rating": pl.Float64, "rated_at": pl.Date}
        options = {"has_header": False, "schema": schema, "truncate_ragged_lines": True, "missing_columns": "insert"}
    every = pl.all()
    scanned = pl.scan_csv(list(files), **options).select(
        pl.len().alias("rows"), every.min().name.suffix("_min"), every.max().name.suffix("_max")
    )
    return {"rows": scanned.collect().item(0, "rows")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
