"""Great Expectations on frames: which expectations hold, and at which rows they don't."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import great_expectations as gx
import pandas as pd
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from expectations.report import MAX_NAMED
from marquee.errors import DataError

# It tells a dozen lines of its own inner workings a part.
logging.getLogger("great_expectations").setLevel(logging.WARNING)

# SUMMARY tells the positions of the first unexpected rows; their values are looked up in the part itself.
RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": MAX_NAMED}


def project() -> DataContextConfig:
    """A project of Great Expectations in memory alone: no folder for its own docs, no progress bars."""
    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )


class Engine:
    """Runs expectations about one table on frames of its rows, by Great Expectations' pandas engine."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._context = gx.get_context(mode="ephemeral", project_config=project())
        asset = self._context.data_sources.add_pandas("parts").add_dataframe_asset(table)
        self._batch = asset.add_batch_definition_whole_dataframe("part")
        self._definitions: dict[tuple[int, ...], gx.ValidationDefinition] = {}

    def run(
        self, frame: pd.DataFrame, expectations: Sequence[gx.expectations.Expectation]
    ) -> list[ExpectationValidationResult]:
        """One result for each expectation, in their order.

        Raises:
            DataError: Great Expectations itself fails on an expectation.
        """
        if not expectations:
            return []
        found = self._definition(expectations).run(batch_parameters={"dataframe": frame}, result_format=RESULT_FORMAT)
        results = {identity(result.expectation_config): result for result in found.results}
        for result in results.values():
            if message := exception_message(result):
                config = result.expectation_config
                raise DataError(
                    f"Table {self._table} could not be checked: {config.type} on "
                    f"{config.kwargs.get('column', 'its columns')} failed in Great Expectations ({message}): "
                    "report this, it is no fault of the data."
                )
        return [results[identity(expectation.configuration)] for expectation in expectations]

    def _definition(self, expectations: Sequence[gx.expectations.Expectation]) -> gx.ValidationDefinition:
        """The expectations as Great Expectations runs them; made once for each selection."""
        key = tuple(id(expectation) for expectation in expectations)
        if key not in self._definitions:
            name = f"{self._table}-{len(self._definitions)}"
            copies = [expectation.copy(deep=True) for expectation in expectations]
            suite = self._context.suites.add(gx.ExpectationSuite(name=name, expectations=copies))
            definition = gx.ValidationDefinition(name=name, data=self._batch, suite=suite)
            self._definitions[key] = self._context.validation_definitions.add(definition)
        return self._definitions[key]


def identity(config: gx.expectations.ExpectationConfiguration) -> tuple[str, str, str]:
    """What tells the expectations of a suite apart: type, column and severity."""
    return str(config.type), str(config.kwargs.get("column", "")), str(config.severity.value)


def exception_message(result: ExpectationValidationResult) -> str:
    """The message of the exception that Great Expectations met; empty where it met none.

    It reports either one exception, or one for each metric.
    """
    info = result.exception_info or {}
    reports = [info] if "raised_exception" in info else list(info.values())
    return next((str(report["exception_message"]) for report in reports if report.get("raised_exception")), "")
