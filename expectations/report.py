"""How a validation ended, for people, logs and tasks; and where its results lie in the bucket."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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
        success: whether it holds.
        unexpected_count: how many rows (or columns, or findings about the whole table) break it.
        examples: at most five of them, with where they are.
        sentence: the expectation in words, and where it is broken how often, with the examples.
    """

    expectation: str
    column: str
    success: bool
    unexpected_count: int
    examples: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Report:
    """How all expectations of a table fared; `docs_key` is the page in the bucket that shows it."""

    table: str
    success: bool
    n_rows: int
    expectations: tuple[Outcome, ...]
    docs_key: str
    advice: str = ""

    @property
    def failures(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.expectations if not outcome.success)

    def sentence(self) -> str:
        """The failed expectations with counts and examples, and what to do."""
        if self.success:
            return f"Table {self.table} meets all {len(self.expectations)} expectations ({self.n_rows:,} rows)."
        named = "; ".join(outcome.sentence for outcome in self.failures[:MAX_NAMED])
        n_more = len(self.failures) - MAX_NAMED
        more = f"; and {n_more} more on the page {self.docs_key}" if n_more > 0 else ""
        return (
            f"Table {self.table} breaks {len(self.failures)} of its {len(self.expectations)} expectations "
            f"({self.n_rows:,} rows): {named}{more}: {self.advice}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON's types."""
        return asdict(self) | {
            "expectations": [asdict(outcome) | {"examples": list(outcome.examples)} for outcome in self.expectations],
            "sentence": self.sentence(),
        }
