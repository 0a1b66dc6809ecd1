"""Holds the prepared rows of a table against its contract, and links to the page that shows how they fared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk import conf as airflow_conf

from marquee.errors import DataError
from plugins.connections import lake


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

    Args:
        table: name of the contract.
        batch: name under which the rows were prepared. Templated.
        arguments: what the suite needs to know beside the contract: `format` for ratings, `k` for
            recommendations. Templated.
    """

    template_fields: Sequence[str] = ("batch", "arguments")
    operator_extra_links = (DataDocsLink(),)

    def __init__(self, *, table: str, batch: str, arguments: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.batch = batch
        self.arguments = arguments or {}
        self.docs_key = ""

    def execute(self, context: Any) -> dict[str, Any]:
        from expectations.validation import validate
        from marquee.lake import tables
        from marquee.sources import FORMATS

        store = lake()
        prepared = tables.load_prepared(store, self.table, self.batch)
        data_format, k = self.arguments.get("format"), self.arguments.get("k")
        report = validate(
            store,
            self.table,
            tables.read_parts(store, prepared),
            run_name=self.batch,
            rating_range=FORMATS[data_format].rating_range if data_format else None,
            k=int(k) if k else None,
        )
        self.docs_key = report.docs_key
        if not report.success:
            raise DataError(report.sentence())
        self.log.info(
            "%s: %s rows, all %d expectations hold", self.table, f"{report.n_rows:,}", len(report.expectations)
        )
        return {"rows": report.n_rows, "expectations": len(report.expectations), "data_docs": report.docs_key}
