"""Expectations of `ratings`: the contract, the source's scale, the job's own counts, and drift from earlier batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from expectations.batch_profile import RatingsProfile
from expectations.contracts import DRIFTS, MAX_QUARANTINED, RATINGS, Drift, Severity
from expectations.suite import Check, Suite, build

ADVICE = (
    "mend the rows in the source, or the reading of its format, and ingest it again; nothing of it was accepted (where "
    "a drift is as it should be, take it with the parameter drift=warn)"
)

ACCOUNTED = Check(
    name="n_unaccounted",
    sentence="Every row read is a rating, added to one, or in quarantine: none is lost, none is there twice.",
)
WRITTEN = Check(
    name="n_unwritten",
    sentence="As many rows lie in the lake as were accepted.",
)


def suite(
    rating_range: tuple[float | None, float | None] | None = None,
    *,
    max_quarantined: float = MAX_QUARANTINED,
    may_drift: bool = False,
) -> Suite:
    """The suite.

    Args:
        rating_range: the lowest and the highest rating of the source's scale, where they are known.
        max_quarantined: share of the ratings read that may break a rule.
        may_drift: whether no drift, however large, is more than a warning.
    """
    lowest, highest = rating_range or (None, None)
    columns = [
        replace(column, minimum=lowest, maximum=highest) if column.name == "rating" else column
        for column in RATINGS.columns
    ]
    quarantined = Check(
        name="share_quarantined",
        sentence=f"At most {max_quarantined:.3g} of the ratings read break a rule.",
        maximum=max_quarantined,
    )
    drifts = [check for one in DRIFTS for check in drift_checks(one, may_drift=may_drift)]
    return build(RATINGS, columns, checks=(ACCOUNTED, WRITTEN, quarantined, *drifts), advice=ADVICE)


def drift_checks(drift: Drift, *, may_drift: bool) -> Iterator[Check]:
    """A warning for what is beyond one threshold, an end for what is beyond the other."""
    thresholds: list[tuple[Severity, float | None]] = [("warning", drift.warn), ("fatal", drift.stop)]
    for severity, threshold in thresholds:
        if threshold is not None and not (severity == "fatal" and may_drift):
            yield Check(
                name=drift.name,
                sentence=f"Drift, {drift.statistic}: at most {threshold:g}.",
                maximum=threshold,
                severity=severity,
            )


def counted(profile: RatingsProfile, n_written: int) -> dict[str, float]:
    """The numbers that the job counted; `n_written` are the rows that lie in the lake."""
    return {
        "n_rows": profile.n_rows,
        "n_repeated_user_id_item_id": profile.n_repeated,
        "n_unaccounted": abs(profile.n_lost),
        "n_unwritten": abs(profile.n_rows - n_written),
        "share_quarantined": profile.share_of_faults,
    }
