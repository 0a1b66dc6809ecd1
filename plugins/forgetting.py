"""The tasks of `forget_person`. They pass on the name of a request and numbers, and never who or what it is about."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from marquee.settings import settings
from plugins.assets import RATINGS
from plugins.connections import lake

log = logging.getLogger("marquee")

#: What reads or writes the same objects: forgetting waits until none of them runs.
OTHERS = ("ingest_ratings", "train_recommender", "publish_recommendations")
#: How it waits: every ten seconds, for a day, and without a process in between.
WAITING = {"mode": "reschedule", "poke_interval": 10, "timeout": 24 * 3600}


@task
def accept_request(request: str) -> str:
    """The name of the request, which is there or done."""
    from marquee.forgetting import requests

    subject = requests.subject_of(lake(), request)
    log.info("Request %s %s", request, f"is about one {subject.kind}" if subject else "is done: its record stays")
    return request


@task.sensor
def others_rest() -> bool:
    """Whether no run is under way that reads or writes what is about to change."""
    count = get_current_context()["ti"].get_dr_count
    running = [dag_id for dag_id in OTHERS if count(dag_id=dag_id, states=["running"])]
    if running:
        log.info("Waiting for %s", ", ".join(running))
    return not running


@task
def find(request: str) -> dict[str, int]:
    """Look into all raw files, and write down where the rows are."""
    from marquee.forgetting import steps

    found = steps.find_lines(lake(), request, _scratch())
    log.info("%d raw files (or folders of them): %s rows", found["raw_files"], f"{found['rows']:,}")
    return found


@task
def clean_tables(request: str) -> dict[str, int]:
    """Take the rows out of tables, prepared parts, results and all releases that are kept."""
    from expectations.forgetting import renew_pages
    from marquee.forgetting import requests, steps
    from marquee.sinks import sinks

    removed = steps.clean_tables(lake(), request)
    subject = requests.subject_of(lake(), request)
    pages = renew_pages(lake(), subject) if subject else []
    releases = steps.clean_releases(lake(), request, _serving(), sinks(settings()))
    log.info("%s; %d pages of Data Docs; %d releases", _counted(removed), len(pages), len(releases))
    return removed


@task
def clean_raw_files(request: str) -> dict[str, int]:
    """Empty the lines in the raw files; downloads that are kept of them go."""
    from marquee.forgetting import steps

    at = get_current_context()["dag_run"].run_after.isoformat()
    removed = steps.clean_raw_files(lake(), request, at, _scratch(), settings().cache)
    log.info(_counted(removed))
    return removed


@task
def clean_again(request: str) -> dict[str, Any]:
    """Once more all of it: whatever a run has written that began before the others rested."""
    from expectations.forgetting import renew_pages
    from marquee.forgetting import requests, steps
    from marquee.sinks import sinks

    store, at = lake(), get_current_context()["dag_run"].run_after.isoformat()
    steps.find_lines(store, request, _scratch())
    in_tables = steps.clean_tables(store, request)
    subject = requests.subject_of(store, request)
    if subject:
        renew_pages(store, subject)
    steps.clean_releases(store, request, _serving(), sinks(settings()))
    in_files = steps.clean_raw_files(store, request, at, _scratch(), settings().cache)
    log.info("In all, tables: %s; raw files: %s", _counted(in_tables), _counted(in_files))
    return {"tables": in_tables, "raw_files": in_files}


@task
def record(request: str) -> dict[str, Any]:
    """Write what was done, without a word of whom, and remove the request."""
    from dataclasses import asdict

    from marquee.forgetting import steps

    done = asdict(steps.finish(lake(), request))
    log.info("forget/records/%s.json: %s", request, _counted(done["rows"]))
    return done


@task
def announce(done: dict[str, Any]) -> dict[str, Any]:
    """Announce the ratings without the rows, so that a new champion and a new release follow; skipped without such."""
    if not done["rows"].get("ratings"):
        raise AirflowSkipException("No rating was there: models and releases stay as they are.")
    announced = {
        f"{table}_version": done["versions"][table] for table in ("ratings", "items") if table in done["versions"]
    }
    get_current_context()["outlet_events"][RATINGS].extra = announced
    return announced


def _serving() -> Any:
    return settings().var / "serving"


def _scratch() -> Any:
    """A folder for what is unpacked for a while; a run that was killed leaves nothing in it for long."""
    import shutil

    folder = settings().var / "forgetting"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _counted(rows: dict[str, int]) -> str:
    return ", ".join(f"{n:,} of {name}" for name, n in sorted(rows.items()) if n) or "nothing"
