"""The tasks of `publish_recommendations` that are no Spark jobs, and those of `rollback_release`."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context, task

from marquee.settings import settings
from plugins.assets import CHAMPION, RELEASE, announced
from plugins.connections import lake, use_mlflow

if TYPE_CHECKING:
    from marquee.releases.ledger import Asked
    from marquee.releases.publishing import Release

log = logging.getLogger("marquee")


@task
def pin() -> dict[str, Any]:
    """Pin the model: the version in the form, else the one that the asset announced, else today's champion."""
    from marquee import lineage
    from marquee.gate.record import seen
    from marquee.releases import ledger
    from marquee.releases.publishing import refuse_held
    from marquee.releases.standing import standing

    use_mlflow()
    context, store = get_current_context(), lake()
    decisions_version = seen(store)  # before the champion is read
    pinned = lineage.of_model(
        model=settings().mlflow.model,
        version=_wanted(context),
        k=int(context["params"]["k"] or settings().serving.k),
    )
    state = standing(ledger.read(store))
    refuse_held(
        state.why_held(pinned["model_version"], pinned["release_id"]), _release_of(pinned, decisions_version, context)
    )
    log.info(
        "release %s: models:/%s/%s, ratings at version %d",
        pinned["release_id"],
        pinned["model_name"],
        pinned["model_version"],
        pinned["ratings_version"],
    )
    return {**pinned, "decisions_version": decisions_version}


@task
def release(pinned: dict[str, Any]) -> dict[str, Any]:
    """Build beside the others, check, copy to the bucket, record, switch; the same content twice is one release."""
    from expectations.contracts import DATA_QUALITY, RECOMMENDATIONS, RELEASES
    from expectations.schema import arrow_schema
    from marquee import registry
    from marquee.lake import tables
    from marquee.plots_of_releases import figures_of
    from marquee.published import model_files, published_tables
    from marquee.releases import ledger, path_of
    from marquee.releases.checks import expected_of
    from marquee.releases.publishing import publish
    from marquee.sinks import sinks

    use_mlflow()
    context, store = get_current_context(), lake()
    decisions_version = pinned.pop("decisions_version")
    prepared = tables.load_prepared(store, RECOMMENDATIONS.name, pinned["release_id"])
    metadata = {"marquee.publish_run_id": str(context["run_id"])}
    version = tables.commit(store, prepared, arrow_schema(RECOMMENDATIONS), mode="replace", metadata=metadata)
    stamp = {
        **pinned,
        "recommendations_version": version,
        "publish_run_id": str(context["run_id"]),
        "created_at": context["dag_run"].run_after.isoformat(),
    }
    files = cache(lambda: model_files(stamp))
    folder = settings().var / "serving"
    done = publish(
        store,
        folder,
        arrow_schema(RELEASES),
        _release_of(pinned, decisions_version, context),
        lambda: published_tables(store, stamp, files(), arrow_schema(DATA_QUALITY)),
        expected=lambda: expected_of(files()),
        asked=_asked(context),
        rule=settings().publish,
        keep=settings().serving.keep_releases,
        sinks=sinks(settings()),
    )
    figures = figures_of(path_of(folder, pinned["release_id"]), ledger.read(store))
    registry.log_figures(pinned["mlflow_run_id"], figures)
    log.info("%s is published: %s leads to it", pinned["release_id"], folder / "recommendations.duckdb")
    if done.report is not None:
        log.info(
            "coverage %.2f %%, popularity %.2f, %s",
            done.report.coverage * 100,
            done.report.popularity,
            done.report.churn,
        )
    if done.removed:
        log.info("Removed, as newer ones are there: %s", ", ".join(done.removed))
    told = {"release_id": pinned["release_id"], "model_version": pinned["model_version"], "rows": prepared.rows}
    context["outlet_events"][RELEASE].extra = told
    return told


@task
def look() -> str:
    """What a rollback would do, in a sentence; fails where there is nothing to go back to."""
    from marquee.releases import ledger
    from marquee.releases.rollback import target_of
    from marquee.releases.standing import standing

    state = standing(ledger.read(lake()))
    target = target_of(state, get_current_context()["params"]["release"] or "")
    versions = {one: row["model_version"] for one, row in state.published.items()}
    said = (
        f"Release {target} (version {versions[target]} of the model) takes the place of {state.current} "
        f"(version {versions.get(state.current or '', 'unknown')}), which does not come back by itself."
    )
    log.info(said)
    return said


@task
def roll_back() -> dict[str, Any]:
    """Record the rollback, and let alias and link go back together, and the sinks after them."""
    from marquee.releases.rollback import rollback
    from marquee.sinks import sinks

    use_mlflow()
    context = get_current_context()
    row = rollback(
        lake(),
        settings().var / "serving",
        release_id=context["params"]["release"] or "",
        asked=_asked(context),
        sinks=sinks(settings()),
    )
    log.info("%s took %s back to %s: %s", row["who"], row["previous_release_id"], row["release_id"], row["why"])
    told = {"release_id": row["release_id"], "model_version": row["model_version"]}
    context["outlet_events"][RELEASE].extra = told
    return told


def _wanted(context: Any) -> str | None:
    """The version of the model in the form, else the one that the asset announced."""
    return context["params"]["model_version"] or announced(context, CHAMPION).get("model_version")


def _release_of(pinned: dict[str, Any], decisions_version: int, context: Any) -> Release:
    from marquee.releases.publishing import Release

    return Release(
        pinned["release_id"],
        pinned["model_name"],
        pinned["model_version"],
        decisions_version,
        is_by_person=bool(_wanted(context) and _asked(context).why.strip()),
    )


def _asked(context: Any) -> Asked:
    from marquee.releases.ledger import Asked

    said = announced(context, CHAMPION)  # by a person, where the gate was overruled
    who = context["dag_run"].triggering_user_name or said.get("who") or "schedule"
    why = context["params"]["why"] or said.get("why") or ""
    return Asked(str(context["run_id"]), who, why, context["dag_run"].run_after)
