"""Which expectations of a suite hold on a table: by a look at it, and by all of its rows where that finds a fault.

A look (witnesses and numbers) decides every expectation. Where one is broken, its column is read whole, so that the
result tells how many rows break it, and which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from expectations.engine import Engine, identity
from expectations.looks import Look, Parts, usable_columns
from expectations.parts import regroup, to_pandas
from expectations.profile import Findings, Profile
from expectations.report import MAX_NAMED
from expectations.suite import Check, Suite
from expectations.tally import Tally


def evaluate(suite: Suite, look: Look, parts: Parts) -> list[Tally]:
    """How each expectation that can be run fares, in the suite's order.

    Args:
        suite: what is expected.
        look: what is known of the table.
        parts: reads its rows, in any number of tables; called only where something is broken.

    Raises:
        DataError: Great Expectations fails, or the temporary folder has no room.
    """
    engine = Engine(suite.table.name)
    by_schema, by_rows = on_witnesses(engine, suite, look)
    findings = dict(look.findings)
    on_table = numbered(engine, suite, findings)
    broken = {str(tally.config.kwargs["column"]) for tally in by_rows if not tally.success}
    untold = [check for check in suite.checks if check.findings and is_untold(check, on_table, findings)]
    if broken or untold:
        counted, found = on_rows(engine, replace(suite, checks=tuple(untold)), parts, broken)
        exact = {identity(tally.config): tally for tally in counted}
        by_rows = [exact.get(identity(tally.config), tally) for tally in by_rows]
        on_table = numbered(engine, suite, findings | found)
    return [*by_schema, *by_rows, *on_table]


def is_untold(check: Check, tallies: Iterable[Tally], findings: dict[str, Findings]) -> bool:
    """Whether a check is broken, and nobody knows where."""
    failed = {str(tally.config.kwargs["column"]) for tally in tallies if not tally.success}
    return check.name in failed and not findings[check.name].examples


def on_witnesses(engine: Engine, suite: Suite, look: Look) -> tuple[list[Tally], list[Tally]]:
    """The expectations about columns, and those about rows, on the rows that decide."""
    tallies = {identity(config): Tally(config) for config in map(configuration, (*suite.schema, *suite.rows))}
    for part in look.witnesses:
        frame = to_pandas(part)
        once = [name for name, count in Counter(part.column_names).items() if count == 1]
        by_schema = engine.run(frame.iloc[:0], [suite.schema[0], *present(suite.schema[1:], once)])
        for result in by_schema:
            tallies[identity(result.expectation_config)].add(result, part, suite.table)
        usable = [str(result.expectation_config.kwargs.get("column")) for result in by_schema if result.success]
        for result in engine.run(frame, present(suite.rows, usable)):
            tallies[identity(result.expectation_config)].add_witnessed(result, look.n_rows)
    is_run = [tally for tally in tallies.values() if tally.is_run]
    return [one for one in is_run if not one.is_about_rows], [one for one in is_run if one.is_about_rows]


def on_rows(
    engine: Engine, suite: Suite, parts: Parts, columns: Collection[str]
) -> tuple[list[Tally], dict[str, Findings]]:
    """The expectations about rows of these columns, and the suite's checks, on all rows."""
    wanted = present(suite.rows, columns)
    tallies = {identity(config): Tally(config) for config in map(configuration, wanted)}
    with Profile(suite) as profile:
        for part in regroup(parts()):
            usable = usable_columns(part.schema, suite)
            names = [name for name in columns if name in usable]
            for result in engine.run(to_pandas(part.select(names)), present(wanted, names)) if names else ():
                tallies[identity(result.expectation_config)].add(result, part, suite.table)
            profile.add(part, usable)
        findings = profile.answer(examples=MAX_NAMED)
    return [tally for tally in tallies.values() if tally.is_run], findings


def numbered(engine: Engine, suite: Suite, findings: dict[str, Findings]) -> list[Tally]:
    """The expectations about the whole table whose number is known: a frame of one row, a column a number."""
    frame = pd.DataFrame({name: [found.count] for name, found in findings.items()})
    expectations = [check.expectation() for check in suite.checks if check.name in findings]
    tallies = []
    for expectation, result in zip(expectations, engine.run(frame, expectations), strict=True):
        found = findings[expectation.column]
        tally = Tally(configuration(expectation))
        tally.add_findings(result, found.count, found.examples)
        tallies.append(tally)
    return tallies


def present(expectations: Iterable[Any], columns: Iterable[str]) -> list[Any]:
    """Those expectations whose column is among these."""
    names = set(columns)
    return [expectation for expectation in expectations if expectation.column in names]


def configuration(expectation: Any) -> Any:
    """An expectation as results carry it."""
    return expectation.configuration
