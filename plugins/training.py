"""The tasks of `train_recommender` that are no Spark jobs."""

from __future__ import annotations

import json
import logging
from typing import Any

from airflow.sdk import conf as airflow_conf
from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

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
def tuning(pinned: dict[str, Any]) -> list[dict[str, Any]]:
    """The arguments of the search for parameters; none where the form gives it no budget."""
    use_mlflow()
    context = get_current_context()
    params = context["params"]
    if not params["tuning_trials"] and not params["tuning_minutes"]:
        log.info("No budget for a search: nothing is tuned.")
        return []
    champion = champion_configuration()
    return [
        {
            "snapshot": pinned,
            "experiment": settings().mlflow.experiment,
            "feedback": params["feedback"],
            "trials": int(params["tuning_trials"]),
            "minutes": float(params["tuning_minutes"]),
            "seed": int(params["seed"]),
            "known": [champion["params"]] if champion is not None and champion["model"] == "als" else [],
            "tags": airflow_tags(context),
        }
    ]


@task
def candidates(pinned: dict[str, Any], tuned: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The models to compare, each as the arguments of its job: the floor, the form's, the champion's configuration."""
    from marquee.candidates import configured

    use_mlflow()
    context = get_current_context()
    champion = champion_configuration()
    found = [one for one in tuned or [] if one]
    chosen = configured(dict(context["params"]), champion=champion, tuned=found)
    log.info("%d candidates: %s", len(chosen), ", ".join(candidate["name"] for candidate in chosen))
    tags, experiment = airflow_tags(context), settings().mlflow.experiment
    return [
        {"candidate": candidate, "snapshot": pinned, "experiment": experiment, "tags": tags} for candidate in chosen
    ]


def airflow_tags(context: Any) -> dict[str, str]:
    """Where a run of MLflow comes from: the Airflow run, and its page."""
    base = airflow_conf.get("api", "base_url", fallback="").rstrip("/")
    return {
        "airflow.dag_id": context["dag"].dag_id,
        "airflow.run_id": str(context["run_id"]),
        "airflow.url": f"{base}/dags/{context['dag'].dag_id}/runs/{context['run_id']}",
    }


def champion_configuration() -> dict[str, Any] | None:
    """How the champion was trained; None, with a warning, where there is none that can be read."""
    from marquee import registry
    from marquee.errors import RegistryError

    try:
        return registry.champion_candidate(settings().mlflow.model)
    except RegistryError as error:
        if error.is_transient:
            raise
        log.warning("The champion can't be compared with: %s", error)
        return None


@task
def standing() -> dict[str, Any]:
    """The champion of this moment, and the newest decision: what this training's own decision is made against."""
    from marquee import registry
    from marquee.gate.record import seen

    use_mlflow()
    return {"decisions_version": seen(lake()), "champion_version": registry.champion(settings().mlflow.model) or ""}


@task
def gate(
    results: list[dict[str, Any]], chosen: list[dict[str, Any]], pinned: dict[str, Any], before: dict[str, Any]
) -> dict[str, Any]:
    """Decide: one takes over that beats the floor and the champion by more than luck, and breaks no guard."""
    from marquee import registry
    from marquee.gate import decide, table
    from marquee.gate.pictures import pictures
    from marquee.gate.reading import contenders

    use_mlflow()
    asked = [one["candidate"] for one in chosen]
    found = contenders(lake(), asked, [one for one in results if one], champion_configuration())
    log.info("Evaluation on the same split:\n%s", table(found, pinned["k"]))
    decision = decide(
        found,
        k=pinned["k"],
        border=pinned["border"],
        rule=settings().gate,
        has_champion=bool(before["champion_version"]),
    )
    for verdict in decision.verdicts:
        log.info("%s: %s", verdict.name, verdict.reason)
    log.info(decision.reason)
    drawn = pictures(found, pinned["k"], settings().gate)
    for run_id in filter(None, (decision.run_id, decision.challenger_run_id)):
        registry.log_figures(run_id, drawn)
    return decision.told()


@task
def register(decision: dict[str, Any], pinned: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Record the decision, then let the aliases follow it: `champion`, and `challenger` for the best of the others."""
    from expectations.contracts import DECISIONS
    from expectations.schema import arrow_schema
    from marquee.gate.enacting import enact

    use_mlflow()
    context = get_current_context()
    done = enact(
        lake(),
        decision,
        before,
        arrow_schema(DECISIONS),
        decision_id=str(context["run_id"]),
        decided_at=context["dag_run"].run_after,
        model=settings().mlflow.model,
    )
    log.info(done["reason"])
    if not done["is_changed"]:
        raise AirflowSkipException(done["reason"])
    announced = {
        "model_version": done["champion_version"],
        "mlflow_run_id": done["mlflow_run_id"],
        "raw_sha256": json.dumps(pinned["raw_sha256"]),
    }
    context["outlet_events"][CHAMPION].extra = announced
    return announced


@task
def overrule() -> dict[str, Any]:
    """Make the version in the form the champion, whatever the gate said, and record who did it and why."""
    from expectations.contracts import DECISIONS
    from expectations.schema import arrow_schema
    from marquee import registry
    from marquee.gate.enacting import overrule as by_hand
    from marquee.releases.ledger import Asked
    from marquee.releases.rollback import allow

    use_mlflow()
    context = get_current_context()
    who, why = context["dag_run"].triggering_user_name or "unknown", context["params"]["why"]
    version = context["params"]["model_version"] or registry.alias(settings().mlflow.model, registry.CHALLENGER) or ""
    asked = Asked(str(context["run_id"]), who, why, context["dag_run"].run_after)
    allow(lake(), version, asked=asked)
    done = by_hand(
        lake(),
        arrow_schema(DECISIONS),
        version=version,
        why=why,
        who=who,
        decision_id=str(context["run_id"]),
        decided_at=context["dag_run"].run_after,
        model=settings().mlflow.model,
    )
    log.info(done["reason"])
    announced = {
        "model_version": done["champion_version"],
        "mlflow_run_id": done["mlflow_run_id"],
        "who": who,
        "why": why,
    }
    context["outlet_events"][CHAMPION].extra = announced
    return announced
