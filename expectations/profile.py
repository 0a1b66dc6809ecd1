"""The profile of a table: exact numbers about the whole of it, from one pass over its parts.

The columns that a suite's checks ask about go into a DuckDB file in a temporary folder, so that grouping millions of
keys takes disk instead of memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import pyarrow as pa

from expectations.schema import DUCKDB_TYPES
from expectations.suite import N_ROWS, Suite
from marquee.errors import DataError

MEMORY = "512MB"
THREADS = 2


@dataclass(frozen=True)
class Findings:
    """A number about the table (how often a check found something), and at most as many examples as were asked for."""

    count: float
    examples: tuple[str, ...]


class Profile(AbstractContextManager["Profile"]):
    """Takes parts, answers checks. A part without a usable column leaves the checks on it without an answer."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self.n_rows = 0
        wanted = {name for check in suite.checks for name in check.columns}
        self._columns = [column for column in suite.table.columns if column.name in wanted]
        self._missing: set[str] = set()

    def __enter__(self) -> Profile:
        self._folder = tempfile.TemporaryDirectory(prefix="marquee-profile-")
        file = Path(self._folder.name) / "profile.duckdb"
        settings = {"memory_limit": MEMORY, "threads": THREADS, "preserve_insertion_order": False}
        self._connection = duckdb.connect(str(file), config=settings)
        columns = ", ".join(f"{column.name} {DUCKDB_TYPES[column.type]}" for column in self._columns)
        if columns:
            self._connection.execute(f"create table rows ({columns})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._folder.cleanup()

    def add(self, part: pa.Table, usable: Collection[str]) -> None:
        """Take the rows of a part; `usable` are its columns that are there and of the contract's type.

        Raises:
            DataError: the temporary folder has no room.
        """
        self.n_rows += part.num_rows
        names = [column.name for column in self._columns]
        self._missing |= set(names).difference(usable)
        if self._missing or not names:
            return
        self._connection.register("part", part.select(names))
        try:
            self._connection.execute(f"insert into rows select {', '.join(names)} from part")  # noqa: S608 - no input
        except duckdb.Error as error:
            raise self._refused(error) from error
        finally:
            self._connection.unregister("part")

    def answer(self, examples: int) -> dict[str, Findings]:
        """The number of rows, and the findings of every check that can be answered, by its name.

        Raises:
            DataError: the temporary folder has no room.
        """
        checks = [check for check in self._suite.checks if not self._missing.intersection(check.columns)]
        try:
            found = {check.name: self._ask(check.findings, examples) for check in checks if check.findings}
            return {N_ROWS: Findings(self.n_rows, ()), **found}
        except duckdb.Error as error:
            raise self._refused(error) from error

    def _ask(self, findings: str, examples: int) -> Findings:
        self._connection.execute(f"create or replace table findings as {findings}")
        count = self._all("select count(*) from findings")[0][0]
        shown = self._all(f"select example from findings order by example limit {int(examples)}")  # noqa: S608 - a number
        return Findings(int(count), tuple(str(example) for (example,) in shown))

    def _all(self, sql: str) -> Sequence[tuple[Any, ...]]:
        rows: Sequence[tuple[Any, ...]] = self._connection.execute(sql).fetchall()
        return rows

    def _refused(self, error: duckdb.Error) -> DataError:
        first_line = str(error).splitlines()[0]
        return DataError(
            f"Table {self._suite.table.name} could not be checked as a whole ({first_line}; {self.n_rows:,} rows "
            f"read): free space in {self._folder.name}, or set TMPDIR to a folder that has it, then run this again."
        )
