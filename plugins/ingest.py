"""The tasks of `ingest_ratings` that are no Spark jobs; each is a transaction: same inputs, same outputs."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import get_current_context, task

from marquee.settings import settings
from plugins.assets import RATINGS
from plugins.connections import lake

log = logging.getLogger("marquee")


@task
def stage(source: str, sha256: str) -> dict[str, Any]:
    """Keep the bytes as received, under their sha256, and say what they are."""
    from marquee.lake.raw import stage as stage_raw
    from marquee.sources import locate, recognise
    from marquee.sources.requested import requested

    context = get_current_context()
    store = lake()
    located = locate(source, settings().cache, sha256=sha256, lake=lambda: store)
    recognised = recognise(located, requested(context["params"], located))
    manifest = stage_raw(store, recognised, context["dag_run"].run_after.isoformat())
    size = sum(file.size for file in manifest.files)
    log.info(
        "raw/%s: %d files, %s bytes, read as %s",
        manifest.sha256,
        len(manifest.files),
        f"{size:,}",
        manifest.reading.name,
    )
    return {
        "batch": manifest.batch,
        "sha256": manifest.sha256,
        "reading": manifest.reading.name,
        "bytes": size,
        "is_generated": manifest.is_generated,
    }


@task.short_circuit
def is_new(staged: dict[str, Any], mode: str) -> bool:
    """False, and the run ends well here, where the tables already are what this ingest would make of them."""
    from marquee.lake.acceptance import is_accepted

    is_there = is_accepted(lake(), staged["batch"], "replace" if mode == "replace" else "append")
    if is_there:
        log.info("The tables already hold %s: nothing to do.", staged["batch"])
    return not is_there


@task
def accept(staged: dict[str, Any], mode: str) -> dict[str, Any]:
    """Commit the validated batch to its tables, once, and announce the versions that hold it."""
    from expectations.contracts import TABLES
    from expectations.schema import arrow_schema
    from marquee.lake import acceptance
    from marquee.lake.raw import read_manifest

    context, store = get_current_context(), lake()
    schemas = {name: arrow_schema(TABLES[name]) for name in ("ratings", *acceptance.BESIDE)}
    accepted = acceptance.accept(
        store,
        read_manifest(store, staged["batch"]),
        schemas,
        mode="replace" if mode == "replace" else "append",
        run_id=str(context["run_id"]),
    )
    for table, version in accepted.versions.items():
        log.info("%s is at version %d", table, version)
    if accepted.n_superseded:
        log.info(
            "%s ratings were there already, or later ones: they are in quarantine (marquee quarantine)",
            f"{accepted.n_superseded:,}",
        )
    announced = {f"{table}_version": version for table, version in accepted.versions.items()} | {
        "raw_sha256": staged["sha256"],
        "batch": staged["batch"],
    }
    context["outlet_events"][RATINGS].extra = announced
    return announced | {"superseded": accepted.n_superseded}
