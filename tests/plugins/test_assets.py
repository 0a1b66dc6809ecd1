"""What a run is told by the assets that triggered it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import AssetReferenceAssetEventDagRun
from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

from plugins.assets import CHAMPION, RATINGS, announced


def event(version: int, minute: int) -> AssetEventDagRunReferenceResult:
    return AssetEventDagRunReferenceResult(
        asset=AssetReferenceAssetEventDagRun(name=RATINGS.name, uri=RATINGS.uri, extra={}),
        extra={"ratings_version": version},
        source_task_id="accept",
        source_dag_id="ingest_ratings",
        source_run_id=f"r{version}",
        source_map_index=-1,
        source_aliases=[],
        timestamp=datetime(2026, 1, 1, 0, minute, tzinfo=UTC),
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_newest_of_several_events_counts(order: tuple[int, ...]) -> None:
    events = TriggeringAssetEventsAccessor.build([event(version, version) for version in order])
    context: dict[str, Any] = {"triggering_asset_events": events}
    assert announced(context, RATINGS) == {"ratings_version": 2}
    assert announced(context, CHAMPION) == {}


def test_a_run_that_a_person_started_was_told_nothing() -> None:
    assert announced({"triggering_asset_events": TriggeringAssetEventsAccessor.build([])}, RATINGS) == {}
