"""The tasks of `train_recommender` that are no Spark jobs."""

from __future__ import annotations

import json
import logging
from typing import Any

from airflow.sdk import conf as airflow_conf
from airflow.sdk import get_current_context, task

from marquee.settings import settings
from plugins.assets import CHAMPION, RATINGS, announced
from plugins.connections import lake, use_mlflow

log = logging.getLogger("marquee")


@task
def snapshot() -> dict[str, Any]:
    """Pin the data: the versions that the asset announced, else those of this moment; and where train ends."""
    from marquee.lake import snapshots

    context = get_current_context()
    told, params = announced(context, RATINGS), context["params"]
    pinned = snapshots.pin(
        lake(),
        ratings_version=told.get("ratings_version"),
        items_version=told.get("items_version"),
        test_share=float(params["test_share"]),
        k=int(params["k"]),
    )
    log.info(
        "ratings at version %d (%s rows), items at version %d; test side from %s on",
        pinned["ratings_version"], f"{pinned['n_ratings']:,}", pinned["items_version"], pinned["border_time"],
    )  # fmt: skip
    return pinned


@task
def candidates(pinned: dict[str, Any]) -> list[dict[str, Any]]:
    """The models to compare, each as the arguments of its job: the floor, the form's, the champion's configuration."""
    from marquee import registry
    from marquee.candidates import configured

    use_mlflow()
    context = get_current_context()
    champion = registry.champion_candidate(settings().mlflow.model)
    chosen = configured(dict(context["params"]), champion=champion)
    log.info("%d candidates: %s", len(chosen), ", ".join(candidate["name"] for candidate in chosen))
    base = airflow_conf.get("api", "base_url", fallback="").rstrip("/")
    tags = {
        "airflow.dag_id": context["dag"].dag_id,
        "airflow.run_id": str(context["run_id"]),
        "airflow.url": f"{base}/dags/{context['dag'].dag_id}/runs/{context['run_id']}",
    }
    return [
        {"candidate": candidate, "snapshot": pinned, "experiment": settings().mlflow.experiment, "tags": tags}
        for candidate in chosen
    ]


@task
def gate(results: list[dict[str, Any]], pinned: dict[str, Any]) -> dict[str, Any]:
    """Choose the champion: the best nDCG@k on the same split; the popularity floor wherever nothing beats it."""
    from marquee.gate import choose, table

    decision = choose(list(results), metric=f"ndcg_at_{pinned['k']}")
    log.info("Evaluation on the same split:\n%s", table(list(results), pinned["k"]))
    log.info(decision["reason"])
    return decision


@task
def register(decision: dict[str, Any], pinned: dict[str, Any]) -> dict[str, Any]:
    """Make the chosen run a version of the registered model, and move the alias `champion` to it."""
    from marquee import registry

    use_mlflow()
    context, name = get_current_context(), settings().mlflow.model
    version = registry.register(decision["run_id"], name, description=decision["reason"])
    registry.set_champion(name, version)
    log.info("models:/%s@champion is version %s, from MLflow run %s", name, version, decision["run_id"])
    announced = {
        "model_version": version,
        "mlflow_run_id": decision["run_id"],
        "raw_sha256": json.dumps(pinned["raw_sha256"]),
    }
    context["outlet_events"][CHAMPION].extra = announced
    return announced
