"""The tasks of `publish_recommendations` that are no Spark jobs."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import get_current_context, task

from marquee.settings import settings
from plugins.assets import CHAMPION, RELEASE, announced
from plugins.connections import lake, use_mlflow

log = logging.getLogger("marquee")


@task
def pin() -> dict[str, Any]:
    """Pin the model: the version in the form, else the one that the asset announced, else today's champion."""
    from marquee import lineage

    use_mlflow()
    context = get_current_context()
    params = context["params"]
    pinned = lineage.of_model(
        model=settings().mlflow.model,
        version=params["model_version"] or announced(context, CHAMPION).get("model_version"),
        k=int(params["k"] or settings().serving.k),
    )
    log.info(
        "release %s: models:/%s/%s, ratings at version %d",
        pinned["release_id"],
        pinned["model_name"],
        pinned["model_version"],
        pinned["ratings_version"],
    )
    return pinned


@task
def release(pinned: dict[str, Any]) -> dict[str, Any]:
    """Build the release beside the others, and switch to it in one step; the same content twice is one release."""
    from expectations.contracts import RECOMMENDATIONS
    from expectations.schema import arrow_schema
    from marquee import releases
    from marquee.lake import tables
    from marquee.published import published_tables

    use_mlflow()
    context, store = get_current_context(), lake()
    prepared = tables.load_prepared(store, RECOMMENDATIONS.name, pinned["release_id"])
    metadata = {"marquee.publish_run_id": str(context["run_id"])}
    version = tables.commit(store, prepared, arrow_schema(RECOMMENDATIONS), mode="replace", metadata=metadata)
    folder = settings().var / "serving"
    stamp = {
        **pinned,
        "recommendations_version": version,
        "publish_run_id": str(context["run_id"]),
        "created_at": context["dag_run"].run_after.isoformat(),
    }
    path = releases.build(folder, pinned["release_id"], published_tables(store, stamp))
    releases.switch(folder, pinned["release_id"])
    log.info("%s is published: %s now leads to it", path, folder / "recommendations.duckdb")
    told = {"release_id": pinned["release_id"], "model_version": pinned["model_version"], "rows": prepared.rows}
    context["outlet_events"][RELEASE].extra = told
    return told
