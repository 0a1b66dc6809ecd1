"""Expectations of `ratings`: the contract, and the rating scale of the source's format."""

from __future__ import annotations

from dataclasses import replace

from expectations.contracts import RATINGS
from expectations.suite import Suite, build

ADVICE = "mend the rows in the source, or the reading of its format, and ingest it again; nothing of it was accepted"


def suite(rating_range: tuple[float, float] | None = None) -> Suite:
    """The suite; `rating_range` is the lowest and the highest rating of the source's scale, where it is known."""
    lowest, highest = rating_range or (None, None)
    columns = [
        replace(column, minimum=lowest, maximum=highest) if column.name == "rating" else column
        for column in RATINGS.columns
    ]
    return build(RATINGS, columns, checks=(), advice=ADVICE)
