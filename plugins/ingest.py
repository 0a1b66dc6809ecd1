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
def stage(source: str, format: str, sha256: str) -> dict[str, Any]:  # noqa: A002 - the form's own word
    """Keep the bytes as received, under their sha256, and say what they are."""
    from marquee.lake.raw import stage as stage_raw
    from marquee.sources import locate, recognise

    located = locate(source, settings().cache, sha256=sha256)
    recognised = recognise(located, format)
    manifest = stage_raw(lake(), recognised, get_current_context()["dag_run"].run_after.isoformat())
    size = sum(file.size for file in manifest.files)
    log.info("raw/%s: %d files, %d bytes, format %s", manifest.sha256, len(manifest.files), size, manifest.format)
    return {"sha256": manifest.sha256, "format": manifest.format, "bytes": size, "is_generated": manifest.is_generated}


@task.short_circuit
def is_new(staged: dict[str, Any], mode: str) -> bool:
    """False, and the run ends well here, where the tables already are what this ingest would make of them."""
    from marquee.lake import tables

    version = tables.current_version(lake(), "ratings")
    found = tables.batches(lake(), "ratings", version) if version is not None else set()
    is_there = tables.is_in(found, staged["sha256"], "replace" if mode == "replace" else "append")
    if is_there:
        log.info("Table ratings at version %s already holds %s: nothing to do.", version, staged["sha256"])
    return not is_there


@task
def accept(staged: dict[str, Any], mode: str) -> dict[str, Any]:
    """Commit the validated batch to its tables, once, and announce the versions that hold it."""
    from expectations.contracts import TABLES
    from expectations.schema import arrow_schema
    from marquee.lake import tables

    context = get_current_context()
    store, batch = lake(), staged["sha256"]
    metadata = {"marquee.ingest_run_id": str(context["run_id"])}
    how: tables.Mode = "replace" if mode == "replace" else "append"
    versions: dict[str, int] = {}
    # The ratings come last: whoever finds them there finds the rest there too.
    for table in ("quarantine", "items", "ratings"):
        prepared, schema = tables.load_prepared(store, table, batch), arrow_schema(TABLES[table])
        if table == "items" and how == "append":
            versions[table] = tables.upsert(store, prepared, schema, key="item_id", metadata=metadata)
        else:
            versions[table] = tables.commit(store, prepared, schema, mode=how, metadata=metadata)
        log.info("%s: %s rows, version %d", table, f"{prepared.rows:,}", versions[table])
    announced = {f"{table}_version": version for table, version in versions.items()} | {"raw_sha256": batch}
    context["outlet_events"][RATINGS].extra = announced
    return announced
