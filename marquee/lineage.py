"""Where a release comes from: the model version, and by it every pinned name before it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from marquee import __version__, registry
from marquee.errors import RegistryError

SNAPSHOT_TAG = "marquee.snapshot"
TRAIN_RUN_TAG = "airflow.run_id"
#: What a release is made by, beside this package.
ROOMS = ("marquee", "expectations", "spark_jobs", "plugins", "dags")


def of_model(*, model: str, version: str | None, k: int) -> dict[str, Any]:
    """The pinned names of the release that this version of the model makes.

    Args:
        version: of the registered model; the champion of this moment where it is None or empty.
        k: length of the lists to publish.

    Returns:
        `release_id` (a function of the rest but for the Airflow run: the same content has the same id), `model_name`,
        `model_version`, `mlflow_run_id`, `k`, `ratings_version`, `items_version`, `batches`, `raw_sha256`,
        `ingest_run_ids`, `train_run_id`, `trained_at` (ISO 8601, or None), `marquee_version` and `code_sha256`.

    Raises:
        RegistryError: there is no such version or no champion yet, or its run does not say what it was trained on.
    """
    pinned = version or registry.champion(model)
    if pinned is None:
        raise RegistryError(f"Model {model} has no champion yet: train one first (marquee train).")
    run = registry.read_version(model, pinned)
    if SNAPSHOT_TAG not in run.tags:
        raise RegistryError(
            f"Version {pinned} of model {model} does not say what it was trained on (no tag {SNAPSHOT_TAG} on run "
            f"{run.run_id}): publish a version that train_recommender has registered."
        )
    snapshot = json.loads(run.tags[SNAPSHOT_TAG])
    content = {
        "model_name": model,
        "model_version": pinned,
        "mlflow_run_id": run.run_id,
        "k": k,
        "ratings_version": int(snapshot["ratings_version"]),
        "items_version": int(snapshot["items_version"]),
        "batches": list(snapshot["batches"]),
        "raw_sha256": list(snapshot["raw_sha256"]),
        "marquee_version": __version__,
        "code_sha256": code_sha256(),
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {
        "release_id": f"model-{pinned}-{digest[:10]}",
        **content,
        "ingest_run_ids": list(snapshot["ingest_run_ids"]),
        "train_run_id": run.tags.get(TRAIN_RUN_TAG, ""),
        "trained_at": run.ended_at.isoformat() if run.ended_at else None,
    }


@cache
def code_sha256() -> str:
    """sha256 of the program's Python and SQL files, with their names: two versions of the program differ in it."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    files = (path for room in ROOMS for kind in ("*.py", "*.sql") for path in (root / room).rglob(kind))
    for path in sorted(files):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
