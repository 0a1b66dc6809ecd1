"""Holds the prepared rows of a table against its suite, keeps the result in the bucket, and shows it in Data Docs.

Great Expectations and pandas take seconds to import, so this module imports them when it is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from expectations.contracts import MAX_QUARANTINED
from expectations.importing import without_collecting
from expectations.report import Report, page_key, result_key
from marquee.errors import DataError
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.tables import Mode, Prepared

if TYPE_CHECKING:
    from expectations.batch_profile import RatingsProfile
    from expectations.looks import Look
    from expectations.suite import Suite
    from expectations.tally import Tally

# A run's name becomes part of keys and addresses. Airflow's own rule for the ids of runs is the same.
RUN_NAME = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_.~:+-]{1,250}")


def validate(
    lake: Lake,
    table: str,
    batch: str,
    *,
    mode: Mode = "append",
    rating_range: tuple[float | None, float | None] | None = None,
    max_quarantined: float = MAX_QUARANTINED,
    may_drift: bool = False,
    k: int | None = None,
) -> Report:
    """Validate a batch of a table as a job prepared it; a second call for the same batch replaces the first's pages.

    Args:
        lake: the bucket that holds the parts, and keeps the result (`quality/`) and Data Docs (`data_docs/`).
        table: name of the contract.
        batch: name under which the rows were prepared; names the result too.
        mode: whether the batch will join the table or take its place (ratings).
        rating_range: lowest and highest rating of the source's scale, where they are known (ratings).
        max_quarantined: share of the ratings read that may break a rule (ratings).
        may_drift: whether no drift is more than a warning (ratings).
        k: length of every user's list (recommendations).

    Raises:
        DataError: the table has no suite, the batch's name can't be part of a key, or the check itself fails.
        LakeError: nothing was prepared, or the object store refuses.
    """
    with without_collecting():
        from expectations import data_docs
        from expectations.evaluation import evaluate
        from expectations.looks import look_at
        from expectations.prepared import keep_profile, load_profile
        from expectations.suites import suite_of

    if not RUN_NAME.fullmatch(batch):
        raise DataError(
            f"{batch!r} can't name a validation run: use up to 250 letters, digits and _ . ~ : + - (at least one "
            "letter or digit)."
        )
    suite = suite_of(table, rating_range=rating_range, max_quarantined=max_quarantined, may_drift=may_drift, k=k)
    prepared = tables.load_prepared(lake, table, batch)
    notes: tuple[str, ...] = ()
    if table == "ratings":
        profile = load_profile(lake, batch)
        drift, notes = drift_of(lake, prepared, profile, mode)
        look = look_of_ratings(lake, prepared, profile, drift)
    else:
        look = look_at(suite, tables.read_parts(lake, prepared))
    tallies = evaluate(suite, look, lambda: tables.read_parts(lake, prepared))
    report = Report(
        table=table,
        n_rows=look.n_rows,
        expectations=tuple(tally.outcome() for tally in tallies),
        docs_key=page_key(table, batch),
        advice=suite.advice,
        notes=notes,
    )
    result = suite_result(
        suite, tallies, success=report.success, n_rows=look.n_rows, run_name=batch, run_time=datetime.now(UTC)
    )
    lake.write_json(result_key(table, batch), result.to_json_dict())
    data_docs.publish(lake, suite, result, batch)
    if table == "ratings" and report.success:
        keep_profile(lake, batch, profile)
    return report


def look_of_ratings(lake: Lake, prepared: Prepared, profile: RatingsProfile, drift: Mapping[str, float]) -> Look:
    """What the job found of the ratings, beside what their files say of themselves.

    Raises:
        LakeError: the job left no witnesses, a part is missing, or the store refuses.
    """
    from expectations.looks import footers, look_of_job
    from expectations.prepared import load_witnesses
    from expectations.ratings import counted

    found = footers(lake, prepared)
    numbers = counted(profile, n_written=sum(footer.num_rows for footer in found))
    schemas = [footer.schema.to_arrow_schema() for footer in found]
    return look_of_job(load_witnesses(lake, "ratings", prepared.batch), schemas, {**numbers, **drift})


def drift_of(
    lake: Lake, prepared: Prepared, profile: RatingsProfile, mode: Mode
) -> tuple[dict[str, float], tuple[str, ...]]:
    """How far the ratings are from those in the table now, and what there is to say about the comparison.

    Raises:
        LakeError: the store refuses.
    """
    from expectations.drift import drift
    from expectations.newcomers import newcomers
    from expectations.prepared import kept_profiles

    version = tables.current_version(lake, "ratings")
    batches = (
        [] if version is None else [one for one in tables.batches(lake, "ratings", version) if one != prepared.batch]
    )
    if version is None or not batches:
        return {}, ("This is the first batch of ratings: there is no earlier one to compare it with.",)
    earlier = kept_profiles(lake, batches)
    notes = [f"Compared with {len(earlier)} of {len(batches)} earlier batches, in version {version} of table ratings."]
    if not earlier:
        return {}, tuple(notes)
    items = tables.load_prepared(lake, "items", prepared.batch)
    new = newcomers(lake, prepared, items, ratings_version=version)
    return drift(profile, earlier, new, is_added=mode == "append"), tuple(notes)


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
