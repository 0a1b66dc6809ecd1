"""What a suite is, and how most of it follows from the contract of its table.

A suite has two kinds of expectations. Those about columns and rows are true of a table when they are true of each of
its parts, and of a part when they are true of its *witnesses*. Those about the whole table are about numbers: a job
has counted them, or they are questions in SQL, asked once of the table's *profile*, whose findings are counted.

Each is fatal (the batch is refused) or a warning (it is recorded); Great Expectations calls that critical and warning.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import great_expectations.expectations as gxe
from great_expectations.expectations.metadata_types import FailureSeverity

from expectations.contracts import Column, Severity, Table, Type

# What pandas calls the types of the contract, as `expectations.parts.to_pandas` makes them.
PANDAS_TYPES: dict[Type, str] = {
    "string": "str",
    "long": "int64",
    "double": "float64",
    "timestamp": "Timestamp",
    "strings": "list",
    "boolean": "bool",
    "reasons": "list",
}
#: The number of rows, which is known without a question.
N_ROWS = "n_rows"
SEVERITIES: dict[Severity, FailureSeverity] = {"fatal": FailureSeverity.CRITICAL, "warning": FailureSeverity.WARNING}


@dataclass(frozen=True)
class Check:
    """A rule about the whole table.

    Args:
        name: the number that the rule is about, as `n_repeated_keys`.
        sentence: the rule in words.
        columns: the columns that `findings` reads.
        findings: SQL over the table `rows`, one row a finding, with the one column `example` (text); empty for a
            number that is known without it.
        minimum, maximum: what the number may be, both inclusive.
        severity: what becomes of a table that breaks it.
    """

    name: str
    sentence: str
    columns: tuple[str, ...] = ()
    findings: str = ""
    minimum: float = 0
    maximum: float | None = 0
    severity: Severity = "fatal"

    def expectation(self) -> gxe.Expectation:
        return gxe.ExpectColumnMaxToBeBetween(
            column=self.name,
            min_value=self.minimum,
            max_value=self.maximum,
            description=self.sentence,
            severity=SEVERITIES[self.severity],
        )


@dataclass(frozen=True)
class Suite:
    """All expectations of a table: `schema` and `rows` for each part, `checks` for the whole; `advice`: what to do."""

    table: Table
    schema: tuple[gxe.Expectation, ...]
    rows: tuple[gxe.Expectation, ...]
    checks: tuple[Check, ...]
    advice: str

    @property
    def expectations(self) -> list[gxe.Expectation]:
        return [*self.schema, *self.rows, *(check.expectation() for check in self.checks)]


def build(table: Table, columns: Sequence[Column], checks: Sequence[Check], advice: str) -> Suite:
    """The suite of a table: what its contract says, with `columns` in place of the contract's, and further checks."""
    groups = [group for group in (table.key, *table.also_unique) if group]
    return Suite(
        table=table,
        schema=tuple(schema_expectations(table)),
        rows=tuple(expectation for column in columns for expectation in column_expectations(column)),
        checks=(row_count(table), *map(unique, groups), *checks),
        advice=advice,
    )


def schema_expectations(table: Table) -> Iterator[gxe.Expectation]:
    """The columns, their order and their types."""
    names = table.column_names
    yield gxe.ExpectTableColumnsToMatchOrderedList(
        column_list=names, description=f"The columns are {', '.join(names)}, in this order."
    )
    for column in table.columns:
        yield gxe.ExpectColumnValuesToBeOfType(
            column=column.name, type_=PANDAS_TYPES[column.type], description=f"The type is {column.type}."
        )


def column_expectations(column: Column) -> Iterator[gxe.Expectation]:
    """What the values of one column may be. A double is always finite; pandas takes NaN for null."""
    if not column.is_nullable:
        yield gxe.ExpectColumnValuesToNotBeNull(
            column=column.name, description="Never null nor NaN." if column.type == "double" else "Never null."
        )
    if column.minimum is not None or column.maximum is not None or column.type == "double":
        # JSON has no infinity: the largest double stands for "no bound".
        largest = sys.float_info.max if column.type == "double" else None
        yield gxe.ExpectColumnValuesToBeBetween(
            column=column.name,
            min_value=column.minimum if column.minimum is not None or largest is None else -largest,
            max_value=column.maximum if column.maximum is not None else largest,
            description=range_in_words(column.minimum, column.maximum),
        )
    if column.min_length is not None or column.max_length is not None:
        yield gxe.ExpectColumnValueLengthsToBeBetween(
            column=column.name,
            min_value=column.min_length,
            max_value=column.max_length,
            description=length_in_words(column.min_length, column.max_length),
        )
    if column.allowed:
        yield gxe.ExpectColumnValuesToBeInSet(
            column=column.name, value_set=list(column.allowed), description=f"One of {', '.join(column.allowed)}."
        )


def range_in_words(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f"From {minimum:g} to {maximum:g}."
    if minimum is not None:
        return f"At least {minimum:g}."
    return "Finite." if maximum is None else f"At most {maximum:g}."


def length_in_words(minimum: int | None, maximum: int | None) -> str:
    if minimum == maximum:
        return f"Exactly {minimum} characters."
    if maximum is None:
        return "Not empty." if minimum == 1 else f"At least {minimum} characters."
    return f"{minimum or 0} to {maximum} characters."


def row_count(table: Table) -> Check:
    sentence = "Any number of rows." if table.min_rows == 0 else f"At least {table.min_rows:,} row(s)."
    return Check(N_ROWS, sentence, minimum=table.min_rows, maximum=None)


def unique(columns: Sequence[str]) -> Check:
    """No two rows have the same values in these columns."""
    named = " || ', ' || ".join(f"'{name} ' || {name}" for name in columns)
    return Check(
        name=f"n_repeated_{'_'.join(columns)}",
        sentence=f"No {' and '.join(columns)} twice.",
        columns=tuple(columns),
        findings=f"""
            select {named} || ': ' || count(*) || ' rows' as example
            from rows
            group by {", ".join(columns)}
            having count(*) > 1
        """,  # noqa: S608 - names of the contract, no input
    )
