"""The assets that chain the DAGs: what is ready, and the pinned names that say which."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset

RATINGS = Asset(name="ratings", uri="marquee://lake/ratings", group="marquee")
CHAMPION = Asset(name="champion", uri="marquee://registry/champion", group="marquee")
RELEASE = Asset(name="release", uri="marquee://serving/release", group="marquee")


def announced(context: Any, asset: Asset) -> dict[str, Any]:
    """What the newest event of the asset that triggered this run says; empty where the run was triggered otherwise."""
    events = context["triggering_asset_events"].get(asset, [])
    return dict(events[-1].extra) if events else {}
