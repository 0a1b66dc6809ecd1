"""Expectations of `items`: the contract alone."""

from __future__ import annotations

from expectations.contracts import ITEMS
from expectations.suite import Suite, build

ADVICE = "mend the rows in the source, or the reading of its format, and ingest it again; nothing of it was accepted"


def suite() -> Suite:
    return build(ITEMS, ITEMS.columns, checks=(), advice=ADVICE)
