"""Holds the prepared rows of a table against its contract, and links to the page that shows how they fared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk import conf as airflow_conf

from marquee.errors import DataError
from marquee.lake.objects import Lake
from plugins.connections import lake

if TYPE_CHECKING:
    from expectations.report import Report


class DataDocsLink(BaseOperatorLink):
    """A button on the task's page: the validation's page in Data Docs."""

    name = "Data Docs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address of the page; of the index where the task ended before it had a result."""
        base = airflow_conf.get("api", "base_url", fallback="/").rstrip("/")
        page = str(getattr(operator, "docs_key", "") or "data_docs/index.html").removeprefix("data_docs/")
        return f"{base}/data-docs/{page}"


class ValidateOperator(BaseOperator):
    """Fails with the broken expectations, their counts and examples; then nothing downstream runs.

    What it finds goes to Data Docs and to table `data_quality`, whether it fails or not; warnings are logged.

    Args:
        table: name of the contract.
        batch: name under which the rows were prepared. Templated.
        beside: further tables of the same batch, about which the contract says everything.
        arguments: what the suite needs to know beside the contract: `mode`, `max_quarantined` and `drift` ("warn": no
            drift ends the run) for ratings, `k` for recommendations. Templated.
    """

    template_fields: Sequence[str] = ("batch", "arguments")
    operator_extra_links = (DataDocsLink(),)

    def __init__(
        self,
        *,
        table: str,
        batch: str,
        beside: Sequence[str] = (),
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.batch = batch
        self.beside = tuple(beside)
        self.arguments = arguments or {}
        self.docs_key = ""

    def execute(self, context: Any) -> dict[str, Any]:
        from expectations.quality_table import record
        from expectations.validation import validate

        store = lake()
        reports = []
        for table in (self.table, *self.beside):
            report = validate(store, table, self.batch, **self._conditions(store, table))
            record(store, report, self.batch, str(context["run_id"]), context["dag_run"].run_after)
            self._tell(report)
            reports.append(report)
        failed = [report for report in reports if not report.success]
        shown = (failed or reports)[0]
        self.docs_key = shown.docs_key
        if failed:
            raise DataError(shown.sentence())
        return {
            "rows": shown.n_rows,
            "expectations": sum(len(report.expectations) for report in reports),
            # Their sentences name rows, and so persons: those stand in the log and in table data_quality.
            "warnings": [
                f"{report.table}.{warning.column}: {warning.expectation}"
                for report in reports
                for warning in report.warnings
            ],
            "data_docs": shown.docs_key,
        }

    def _tell(self, report: Report) -> None:
        for note in report.notes:
            self.log.info("%s: %s", report.table, note)
        for warning in report.warnings:
            self.log.warning("%s: %s", report.table, warning.sentence)
        self.log.info(report.sentence())

    def _conditions(self, store: Lake, table: str) -> dict[str, Any]:
        """The arguments of `validate` that depend on table, batch and form."""
        from expectations.contracts import MAX_QUARANTINED
        from marquee.lake.raw import read_manifest

        if table == "recommendations":
            k = self.arguments.get("k")
            return {"k": int(k) if k else None}
        if table != "ratings":
            return {}
        return {
            "mode": "replace" if self.arguments.get("mode") == "replace" else "append",
            "max_quarantined": float(self.arguments.get("max_quarantined", MAX_QUARANTINED)),
            "may_drift": self.arguments.get("drift") == "warn",
            "rating_range": read_manifest(store, self.batch).reading.ratings.rating_range,
        }
