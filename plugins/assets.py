"""The assets that chain the DAGs: what is ready, and the pinned names that say which."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset

RATINGS = Asset(name="ratings", uri="marquee://lake/ratings", group="marquee")
CHAMPION = Asset(name="champion", uri="marquee://registry/champion", group="marquee")
RELEASE = Asset(name="release", uri="marquee://serving/release", group="marquee")


def announced(context: Any, asset: Asset) -> dict[str, Any]:
    """What the newest event of the asset that triggered this run says; empty where the run was triggered otherwise."""
    # Several events may have waited for one run, and Airflow promises no order of theirs.
    newest = max(context["triggering_asset_events"].get(asset, []), key=lambda event: event.timestamp, default=None)
    return dict(newest.extra) if newest else {}
