"""Batches as the jobs prepare them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from expectations.batch_profile import RatingsProfile, merge, profile_part
from expectations.contracts import RATINGS
from expectations.prepared import save_profile, save_witnesses
from expectations.schema import arrow_schema
from expectations.witnesses import witnesses
from marquee.buckets import bucket_of
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.tables import Prepared

PrepareTable = Callable[[Lake, str, str, Sequence[pa.Table]], Prepared]
PrepareRatings = Callable[..., RatingsProfile]


@pytest.fixture
def prepare_table() -> PrepareTable:
    """Writes the parts of a table as a batch."""
    return _prepare_table


@pytest.fixture
def prepare_ratings() -> PrepareRatings:
    """Prepares ratings as normalize does: in buckets, with profile and witnesses, and the items beside them.

    `changes` are what the profile says otherwise; `commits` makes it a batch of the tables.
    """
    return _prepare_ratings


def _prepare_table(lake: Lake, table: str, batch: str, parts: Sequence[pa.Table]) -> Prepared:
    written = tuple(tables.write_part(lake, table, batch, part) for part in parts)
    prepared = Prepared(table, batch, written)
    tables.save_prepared(lake, prepared)
    return prepared


def _prepare_ratings(
    lake: Lake,
    batch: str,
    rows: pa.Table,
    *,
    items: pa.Table,
    n_buckets: int = 2,
    commits: bool = False,
    **changes: int,
) -> RatingsProfile:
    buckets = bucket_of(rows.column("user_id").combine_chunks(), n_buckets)
    parts, found, profiles = [], [], []
    for bucket in range(n_buckets):
        part = rows.take(pa.array(np.flatnonzero(buckets == bucket))).sort_by("user_id")
        if part.num_rows:
            parts.append(tables.write_part(lake, "ratings", batch, part, bucket=bucket))
            found.append(witnesses(part, RATINGS))
            profiles.append(profile_part(part))
    n_items = len(set(rows.column("item_id").to_pylist()))
    profile = replace(merge(profiles), n_items=n_items, n_read=rows.num_rows)
    profile = replace(profile, **changes)  # type: ignore[arg-type]
    save_profile(lake, batch, profile)
    save_witnesses(lake, "ratings", batch, pa.concat_tables(found) if found else arrow_schema(RATINGS).empty_table())
    prepared = Prepared("ratings", batch, tuple(parts), n_buckets)
    tables.save_prepared(lake, prepared)
    listed = _prepare_table(lake, "items", batch, [items])
    if commits:
        tables.commit(lake, prepared, arrow_schema(RATINGS), mode="append", metadata={})
        tables.commit(lake, listed, items.schema, mode="append", metadata={})
    return profile
