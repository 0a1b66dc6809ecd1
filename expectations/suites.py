"""The suite of each table that is validated."""

from __future__ import annotations

from collections.abc import Callable

from expectations import ratings, recommendations
from expectations.contracts import ITEMS, MAX_QUARANTINED, QUARANTINE, SPLITS
from expectations.suite import Suite, build
from marquee.errors import DataError

ADVICE = "mend the rows in the source, or the reading of its format, and ingest it again; nothing of it was accepted"


def suite_of(
    table: str,
    *,
    rating_range: tuple[float | None, float | None] | None = None,
    max_quarantined: float = MAX_QUARANTINED,
    may_drift: bool = False,
    k: int | None = None,
) -> Suite:
    """The suite of a table.

    Args:
        table: its name.
        rating_range, max_quarantined, may_drift: what `expectations.ratings.suite` takes.
        k: length of every user's list of recommendations, where it is fixed.

    Raises:
        DataError: there is none.
    """
    suites: dict[str, Callable[[], Suite]] = {
        "ratings": lambda: ratings.suite(rating_range, max_quarantined=max_quarantined, may_drift=may_drift),
        "recommendations": lambda: recommendations.suite(k),
    }
    # Of these the contract says everything.
    for contract in (ITEMS, SPLITS, QUARANTINE):
        suites[contract.name] = lambda contract=contract: build(contract, contract.columns, checks=(), advice=ADVICE)  # type: ignore[misc]
    if table not in suites:
        raise DataError(f"Table {table!r} has no expectations: name one of {', '.join(suites)}.")
    return suites[table]()
