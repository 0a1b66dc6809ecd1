"""How a validation ended, for people, logs and tasks; and where its results lie in the bucket."""

from __future__ import annotations

from dataclasses import dataclass

from expectations.contracts import Severity

QUALITY = "quality"
DATA_DOCS = "data_docs"
INDEX_KEY = f"{DATA_DOCS}/index.html"

MAX_NAMED = 5


def result_key(table: str, run_name: str) -> str:
    """Where Great Expectations' result lies, as JSON."""
    return f"{QUALITY}/{table}/{run_name}.json"


def page_key(table: str, run_name: str) -> str:
    """Where the page lies that shows it. Great Expectations' pages find the others four folders up."""
    return f"{DATA_DOCS}/validations/{table}/{run_name}/result/index.html"


def suite_key(table: str) -> str:
    """Where the page lies that lists the expectations of a table."""
    return f"{DATA_DOCS}/expectations/{table}.html"


@dataclass(frozen=True)
class Outcome:
    """How one expectation fared.

    Args:
        expectation: Great Expectations' name for it.
        column: the column, or the number of the whole table, that it is about; empty for the columns themselves.
        severity: fatal refuses the batch where it is broken, warning is recorded.
        success: whether it holds.
        unexpected_count: how many rows (or columns, or findings about the whole table) break it.
        examples: at most five of them, with where they are.
        observed: the number of the whole table, or a column's type, as a person reads it; else empty.
        sentence: the expectation in words, and where it is broken how often, with the examples.
    """

    expectation: str
    column: str
    severity: Severity
    success: bool
    unexpected_count: int
    examples: tuple[str, ...]
    observed: str
    sentence: str


@dataclass(frozen=True)
class Report:
    """How all expectations of a table fared.

    Args:
        table: its name.
        n_rows: its rows in the batch.
        expectations: how each of them fared.
        docs_key: the page in the bucket that shows it.
        advice: what to do about failures, as the end of a sentence.
        notes: what else there is to know, one sentence each.
    """

    table: str
    n_rows: int
    expectations: tuple[Outcome, ...]
    docs_key: str
    advice: str = ""
    notes: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """Whether no fatal expectation is broken."""
        return not self.failures

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The fatal ones that are broken."""
        return tuple(one for one in self.expectations if not one.success and one.severity == "fatal")

    @property
    def warnings(self) -> tuple[Outcome, ...]:
        """The others that are broken."""
        return tuple(one for one in self.expectations if not one.success and one.severity == "warning")

    def sentence(self) -> str:
        """The failed expectations with counts and examples, and what to do."""
        if self.success:
            n_met = len(self.expectations) - len(self.warnings)
            all_met = "all" if not self.warnings else f"{n_met} of its"
            return f"Table {self.table} meets {all_met} {len(self.expectations)} expectations ({self.n_rows:,} rows)."
        named = "; ".join(outcome.sentence for outcome in self.failures[:MAX_NAMED])
        n_more = len(self.failures) - MAX_NAMED
        more = f"; and {n_more} more on the page {self.docs_key}" if n_more > 0 else ""
        return (
            f"Table {self.table} breaks {len(self.failures)} of its {len(self.expectations)} expectations "
            f"({self.n_rows:,} rows): {named}{more}: {self.advice}."
        )
