"""A snapshot: the pinned versions that a training reads, and the border in time between its two sides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from marquee.errors import LakeError, TrainingError
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.splits.by_time import border as border_of

#: Stands for the time of a rating that has none; times are counted from 1970 on.
NO_TIME = -1


def pin(
    lake: Lake, *, test_share: float, k: int, ratings_version: int | None = None, items_version: int | None = None
) -> dict[str, Any]:
    """Pin the tables (at the versions named, else at the newest ones) and split the ratings by time.

    Args:
        test_share: share of the ratings, the latest ones, that the test side gets, between 0 and 1.
        k: length of the lists that models are compared by.

    Returns:
        `ratings_version`, `items_version`, `n_ratings`, `raw_sha256` (of the batches in that version),
        `ingest_run_ids`, `test_share`, `k`, `border` (microseconds since 1970, UTC) and `border_time` (the same for
        people).

    Raises:
        LakeError: a table or version does not exist.
        TrainingError: the ratings can't be split by time.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    versions = {"ratings": ratings_version, "items": items_version}
    for table, version in versions.items():
        found = tables.current_version(lake, table) if version is None else version
        if found is None:
            raise LakeError(f"There is no table {table} yet: ingest ratings first (marquee ingest SOURCE).")
        versions[table] = found
    version = int(versions["ratings"] or 0)
    columns = [
        pc.fill_null(batch.column("rated_at").cast(pa.int64()), NO_TIME).to_numpy(zero_copy_only=False)
        for batch in tables.read_table(lake, "ratings", version, ["rated_at"])
    ]
    rated_at = np.concatenate(columns) if columns else np.zeros(0, np.int64)
    n_timeless = int((rated_at == NO_TIME).sum())
    if n_timeless:
        raise TrainingError(
            f"{n_timeless:,} of {len(rated_at):,} ratings have no time, so they can't be split into before and after: "
            "ingest a source with times (columns.rated_at) with --replace."
        )
    border = border_of(rated_at, test_share)
    batches = sorted(tables.batches(lake, "ratings", version))
    return {
        "ratings_version": version,
        "items_version": int(versions["items"] or 0),
        "n_ratings": len(rated_at),
        "batches": batches,
        "raw_sha256": [batch.partition("-")[0] for batch in batches],
        "ingest_run_ids": ingest_runs(lake, batches),
        "test_share": test_share,
        "k": k,
        "border": int(border),
        "border_time": datetime.fromtimestamp(border / 1e6, UTC).isoformat(),
    }


def ingest_runs(lake: Lake, batches: list[str]) -> list[str]:
    """The Airflow run that committed each batch, in the order of the batches."""
    newest: dict[str, str] = {}
    for entry in tables.history(lake, "ratings"):
        newest.setdefault(str(entry.get("marquee.batch", "")), str(entry.get("marquee.ingest_run_id", "")))
    return [newest.get(batch, "") for batch in batches]
