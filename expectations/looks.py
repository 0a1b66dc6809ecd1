"""A look at a table: what decides most of its expectations, without its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.profile import Findings, Profile
from expectations.report import MAX_NAMED
from expectations.suite import Suite
from expectations.witnesses import is_of_type, witnesses
from marquee.lake import tables
from marquee.lake.objects import Lake, lake_errors
from marquee.lake.tables import Prepared

FOOTERS_AT_ONCE = 8

Parts = Callable[[], Iterable[pa.Table]]


@dataclass(frozen=True)
class Look:
    """What is known of a table.

    Args:
        n_rows: its rows.
        witnesses: the rows that decide; a table for each schema that its parts have.
        findings: the numbers that are known, by their name.
    """

    n_rows: int
    witnesses: tuple[pa.Table, ...]
    findings: Mapping[str, Findings]


def look_at(suite: Suite, parts: Iterable[pa.Table]) -> Look:
    """A look that reads every row, once.

    Raises:
        DataError: the temporary folder has no room.
    """
    decisive: dict[pa.Schema, list[pa.Table]] = {}
    with Profile(suite) as profile:
        for part in parts:
            found = witnesses(part, suite.table)
            decisive.setdefault(found.schema, []).append(found)
            profile.add(part, usable_columns(part.schema, suite))
        findings = profile.answer(examples=MAX_NAMED)
        n_rows = profile.n_rows
    gathered = (witnesses(pa.concat_tables(found), suite.table) for found in decisive.values())
    return Look(n_rows, tuple(gathered), findings)


def look_of_job(found: pa.Table, schemas: Iterable[pa.Schema], numbers: Mapping[str, float]) -> Look:
    """A look at a table whose job kept witnesses and numbers (`n_rows` is one of them).

    Args:
        found: the witnesses.
        schemas: of the parts as they lie in the lake: each is held against the contract.
        numbers: what was counted, by name.
    """
    others = {schema.remove_metadata() for schema in schemas} - {found.schema.remove_metadata()}
    findings = {name: Findings(number, ()) for name, number in numbers.items()}
    return Look(int(numbers["n_rows"]), (found, *(schema.empty_table() for schema in others)), findings)


def usable_columns(schema: pa.Schema, suite: Suite) -> list[str]:
    """The columns that are there once, with the contract's type."""
    return [
        column.name
        for column in suite.table.columns
        if schema.get_field_index(column.name) >= 0 and is_of_type(schema.field(column.name).type, column.type)
    ]


def footers(lake: Lake, prepared: Prepared) -> Sequence[pq.FileMetaData]:
    """What the files of prepared parts say of themselves, read from their last bytes.

    Raises:
        LakeError: a part is missing, or the store refuses.
    """
    filesystem, folder = lake.filesystem(), f"{lake.bucket}/{tables.folder(prepared.table)}"

    def footer(path: str) -> pq.FileMetaData:
        with lake_errors(f"read {path} of table {prepared.table}", lake):
            return pq.read_metadata(f"{folder}/{path}", filesystem=filesystem)

    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        return list(pool.map(footer, (part.path for part in prepared.parts)))
