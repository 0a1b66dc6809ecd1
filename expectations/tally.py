"""The results of an expectation on all parts of a table, added up to its result on the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.expectations.metadata_types import FailureSeverity

from expectations.contracts import Severity, Table
from expectations.report import MAX_NAMED, Outcome

MAX_SHOWN = 80


@dataclass
class Tally:
    """One expectation's results so far."""

    config: Any
    is_run: bool = False
    success: bool = True
    n_rows: int = 0
    missing: int = 0
    unexpected: int = 0
    is_about_rows: bool = False
    observed: Any = None
    values: list[Any] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    def add(self, result: ExpectationValidationResult, part: pa.Table, table: Table) -> None:
        """Add a part's result; examples are looked up in the part."""
        found = result.result
        self.is_run = True
        self.n_rows += part.num_rows
        self.is_about_rows = "element_count" in found
        if not self.is_about_rows:
            if self.success:  # the first part that breaks it is the one to show
                self.observed = found.get("observed_value")
                self.examples = [] if result.success else differences(self.config, self.observed)
                self.unexpected = len(self.examples)
            self.success = self.success and bool(result.success)
            return
        self.success = self.success and bool(result.success)
        self.missing += int(found.get("missing_count") or 0)
        self.unexpected += int(found["unexpected_count"])
        for position in found.get("partial_unexpected_index_list") or []:
            if len(self.examples) < MAX_NAMED:
                value = part.column(self.config.kwargs["column"])[int(position)].as_py()
                self.values.append(shown(value))
                self.examples.append(f"{where(part, int(position), table)}: {shown(value)}")

    def add_witnessed(self, result: ExpectationValidationResult, n_rows: int) -> None:
        """Take the result on the witnesses of `n_rows` rows: where it holds there, it holds on all of them."""
        self.is_run = self.is_about_rows = True
        self.success = self.success and bool(result.success)
        self.n_rows = n_rows

    def add_findings(self, result: ExpectationValidationResult, count: float, examples: Sequence[str]) -> None:
        """Take the result about a number of the whole table, with examples of what was counted."""
        self.is_run = True
        self.success = bool(result.success)
        self.observed = count
        if not self.success:
            self.unexpected = int(count) if examples else 1
            self.examples = self.values = [shown(example) for example in examples]

    def result(self) -> ExpectationValidationResult:
        """The result about the table as Great Expectations writes it."""
        return ExpectationValidationResult(
            success=self.success,
            expectation_config=self.config,
            result=self._rows() if self.is_about_rows else self._whole(),
        )

    @property
    def severity(self) -> Severity:
        return "warning" if self.config.severity == FailureSeverity.WARNING else "fatal"

    def outcome(self) -> Outcome:
        column = str(self.config.kwargs.get("column", ""))
        rule = str(self.config.description).removesuffix(".")
        return Outcome(
            expectation=str(self.config.type),
            column=column,
            severity=self.severity,
            success=self.success,
            unexpected_count=self.unexpected,
            examples=tuple(self.examples),
            observed="" if self.is_about_rows or "column_list" in self.config.kwargs else shown(self.observed),
            sentence=(f"{column}: " if column else "") + rule + self._broken(),
        )

    def _broken(self) -> str:
        if self.success:
            return ""
        examples = "; ".join(self.examples)
        if self.is_about_rows:
            return f" - broken by {self.unexpected:,} of {self.n_rows:,} rows ({examples})"
        if "column_list" in self.config.kwargs:
            return f" - {examples}"
        observed = shown(self.observed)
        return f" - found {observed}" + (f" ({examples})" if examples not in ("", observed) else "")

    def _rows(self) -> dict[str, Any]:
        n_present = self.n_rows - self.missing
        return {
            "element_count": self.n_rows,
            "missing_count": self.missing,
            "missing_percent": percent(self.missing, self.n_rows),
            "unexpected_count": self.unexpected,
            "unexpected_percent": percent(self.unexpected, n_present),
            "unexpected_percent_total": percent(self.unexpected, self.n_rows),
            "unexpected_percent_nonmissing": percent(self.unexpected, n_present),
            "partial_unexpected_list": self.values,
            "partial_unexpected_index_list": self.examples,
        }

    def _whole(self) -> dict[str, Any]:
        found = {"observed_value": self.observed}
        examples = {"partial_unexpected_list": self.examples, "unexpected_count": self.unexpected}
        return found | (examples if self.examples else {})


def percent(count: int, total: int) -> float:
    return 100.0 * count / total if total else 0.0


def shown(value: Any) -> str:
    """A value as a person sees it; long ones are cut, with their length."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    text = str(value) or "(empty)"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"


def where(part: pa.Table, position: int, table: Table) -> str:
    """Which row it is: its file and line where the table has them, else its key."""
    names = set(part.column_names)
    if {"source_file", "source_line"} <= names:
        file, line = (part.column(name)[position].as_py() for name in ("source_file", "source_line"))
        return f"{shown(file)} line {shown(line)}"
    return ", ".join(f"{name} {shown(part.column(name)[position].as_py())}" for name in table.key if name in names)


def differences(config: Any, observed: Any) -> list[str]:
    """How columns or a column's type differ from the contract."""
    expected = config.kwargs.get("column_list")
    if expected is None:
        return [shown(observed)]
    missing = [f"{name} is missing" for name in expected if name not in observed]
    unknown = [f"{shown(name)} is not in the contract" for name in observed if name not in expected]
    repeated = [f"{shown(name)} is there twice" for name in dict.fromkeys(observed) if observed.count(name) > 1]
    return (missing + unknown + repeated or ["the order differs"])[:MAX_NAMED]
