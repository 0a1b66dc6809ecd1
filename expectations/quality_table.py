"""The Delta table `data_quality`: one row for each expectation about a table of a batch, to be asked by SQL."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from expectations.contracts import DATA_QUALITY
from expectations.report import Report
from marquee.errors import LakeError
from marquee.lake import tables
from marquee.lake.objects import Lake, lake_errors

if TYPE_CHECKING:
    import pyarrow as pa

#: Tries of a commit that others overtake.
ATTEMPTS = 12


def record(lake: Lake, report: Report, batch: str, run_id: str, checked_at: datetime) -> None:
    """Put the report into the table, in place of an earlier one about the same table of the same batch.

    Args:
        report: of the validation, whether it succeeded or not.
        batch: the batch.
        run_id: the Airflow run.
        checked_at: when that run was asked for; with a time zone.

    Raises:
        LakeError: the store refuses, or others commit again and again in between (transient).
    """
    from deltalake import DeltaTable, Schema, write_deltalake
    from deltalake.exceptions import CommitFailedError
    from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random

    found = rows(report, batch, run_id, checked_at)
    name = DATA_QUALITY.name

    def once() -> None:
        options = {"storage_options": lake.storage_options()}
        table = DeltaTable.create(
            lake.uri(tables.folder(name)), Schema.from_arrow(found.schema), mode="ignore", **options
        )
        write_deltalake(
            table, found, mode="overwrite", predicate=f"batch = {quoted(batch)} AND table_name = {quoted(report.table)}"
        )

    tries = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random(0, 0.5),
        retry=retry_if_exception_type(CommitFailedError),
    )
    with lake_errors(f"write table {name}", lake):
        try:
            tries(once)
        except RetryError:
            raise LakeError(
                f"Table {name} was changed by others {ATTEMPTS} times while this wanted to: run the task again.",
                is_transient=True,
            ) from None


def rows(report: Report, batch: str, run_id: str, checked_at: datetime) -> pa.Table:
    """The report as rows of the contract."""
    import pyarrow as pa

    from expectations.schema import arrow_schema

    return pa.Table.from_pylist(
        [
            {
                "batch": batch,
                "table_name": report.table,
                "expectation": one.expectation,
                "column_name": one.column,
                "severity": one.severity,
                "is_met": one.success,
                "n_rows": report.n_rows,
                "unexpected_count": one.unexpected_count,
                "observed": one.observed,
                "sentence": one.sentence,
                "run_id": run_id,
                "checked_at": checked_at,
            }
            for one in report.expectations
        ],
        schema=arrow_schema(DATA_QUALITY),
    )


def quoted(text: str) -> str:
    """The text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
