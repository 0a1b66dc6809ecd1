"""Holds the rows of a table against its suite, keeps the result in the bucket, and shows it in Data Docs.

Great Expectations and pandas take seconds to import, so this module imports them when it is called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from expectations.report import MAX_NAMED, Report, page_key, result_key
from marquee.errors import DataError
from marquee.lake.objects import Lake

if TYPE_CHECKING:
    import pyarrow as pa

    from expectations.engine import Engine
    from expectations.profile import Profile
    from expectations.suite import Suite
    from expectations.tally import Tally

# A run's name becomes part of keys and addresses. Airflow's own rule for the ids of runs is the same.
RUN_NAME = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.~:+-]{1,250}")


def validate(
    lake: Lake,
    table: str,
    parts: Iterable[pa.Table],
    *,
    run_name: str,
    rating_range: tuple[float, float] | None = None,
    k: int | None = None,
) -> Report:
    """Validate a table given as parts, each read once; a second call with the same run name replaces the first's pages.

    Args:
        lake: the bucket that keeps the result (`quality/`) and Data Docs (`data_docs/`).
        table: `ratings`, `items` or `recommendations`.
        parts: its rows, in any number of tables of any size.
        run_name: names the run in the bucket and on the pages.
        rating_range: lowest and highest rating of the source's scale (ratings).
        k: length of every user's list (recommendations).

    Raises:
        DataError: the table has no suite, the run's name can't be part of a key, or the check itself fails.
        LakeError: the object store refuses.
    """
    from expectations import data_docs

    if not RUN_NAME.fullmatch(run_name):
        raise DataError(
            f"{run_name!r} can't name a validation run: use up to 250 letters, digits and _ . ~ : + - (at least one "
            "letter or digit)."
        )
    suite = suite_of(table, rating_range=rating_range, k=k)
    tallies, n_rows = evaluate(suite, parts)
    success = all(tally.success for tally in tallies)
    result = suite_result(suite, tallies, success=success, n_rows=n_rows, run_name=run_name, run_time=datetime.now(UTC))
    lake.write_json(result_key(table, run_name), result.to_json_dict())
    data_docs.publish(lake, suite, result, run_name)
    return Report(
        table=table,
        success=success,
        n_rows=n_rows,
        expectations=tuple(tally.outcome() for tally in tallies),
        docs_key=page_key(table, run_name),
        advice=suite.advice,
    )


def evaluate(suite: Suite, parts: Iterable[pa.Table]) -> tuple[list[Tally], int]:
    """How each expectation fares on the table, and the table's number of rows; one pass over the parts."""
    from expectations.engine import Engine
    from expectations.profile import Profile

    engine = Engine(suite.table.name)
    with Profile(suite) as profile:
        tallies = [*on_parts(engine, suite, parts, profile), *on_table(engine, suite, profile)]
        return tallies, profile.n_rows


def suite_of(table: str, *, rating_range: tuple[float, float] | None = None, k: int | None = None) -> Suite:
    """The suite of a table.

    Raises:
        DataError: there is none.
    """
    from expectations import items, ratings, recommendations

    suites: dict[str, Callable[[], Suite]] = {
        "ratings": lambda: ratings.suite(rating_range),
        "items": items.suite,
        "recommendations": lambda: recommendations.suite(k),
    }
    if table not in suites:
        raise DataError(f"Table {table!r} has no expectations: name one of {', '.join(suites)}.")
    return suites[table]()


def on_parts(engine: Engine, suite: Suite, parts: Iterable[pa.Table], profile: Profile) -> list[Tally]:
    """Run the expectations about columns and rows on each part, and let the profile take it."""
    from expectations.engine import identity
    from expectations.parts import regroup, to_pandas
    from expectations.tally import Tally

    tallies = {identity(config): Tally(config) for config in map(configuration, (*suite.schema, *suite.rows))}
    for part in regroup(parts):
        frame = to_pandas(part)
        once = [name for name, count in Counter(part.column_names).items() if count == 1]
        by_schema = engine.run(frame.iloc[:0], [suite.schema[0], *present(suite.schema[1:], once)])
        usable = [str(result.expectation_config.kwargs.get("column")) for result in by_schema if result.success]
        by_rows = engine.run(frame, present(suite.rows, usable))
        for result in (*by_schema, *by_rows):
            tallies[identity(result.expectation_config)].add(result, part, suite.table)
        profile.add(part, usable)
    return [tally for tally in tallies.values() if tally.is_run]


def on_table(engine: Engine, suite: Suite, profile: Profile) -> list[Tally]:
    """Run the expectations about the whole table on its profile: one row, a column for each number."""
    import pandas as pd

    from expectations.tally import Tally

    findings = profile.answer(examples=MAX_NAMED)
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


def suite_result(
    suite: Suite, tallies: Iterable[Tally], *, success: bool, n_rows: int, run_name: str, run_time: datetime
) -> Any:
    """All results as Great Expectations writes them down."""
    import great_expectations as gx
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
    from great_expectations.validator.validator import calc_validation_statistics

    results = [tally.result() for tally in tallies]
    counts = calc_validation_statistics(results)
    return ExpectationSuiteValidationResult(
        success=success,
        results=results,
        suite_name=suite.table.name,
        statistics={
            "evaluated_expectations": counts.evaluated_expectations,
            "successful_expectations": counts.successful_expectations,
            "unsuccessful_expectations": counts.unsuccessful_expectations,
            "success_percent": counts.success_percent,
        },
        meta={
            "great_expectations_version": gx.__version__,
            "run_id": {"run_name": run_name, "run_time": run_time.isoformat()},
            "validation_time": run_time.isoformat(),
            "batch_spec": {"data_asset_name": suite.table.name, "rows": n_rows},
        },
    )
