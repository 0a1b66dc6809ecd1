"""What a release is built from, all of it pinned: the inputs of the SQL in `marquee/sql/`."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marquee import registry
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.raw import read_manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from marquee.recommender_files import RecommenderFiles
    from marquee.releases import Rows

METRIC = re.compile(r"^(?!floor_)\w+_at_\d+$|^rmse$")


def published_tables(lake: Lake, stamp: dict[str, Any]) -> dict[str, Rows]:
    """The inputs of a release.

    Args:
        stamp: what `lineage.of_model` gives, with `recommendations_version`, `publish_run_id` and
            `created_at` (ISO 8601).

    Raises:
        RegistryError: the model can't be read.
        LakeError: a manifest or a table is missing, or the store refuses.
    """
    import pyarrow as pa

    with tempfile.TemporaryDirectory(prefix="marquee-model-") as folder:
        files = registry.load_files(stamp["model_name"], stamp["model_version"], Path(folder))
    run = registry.read_version(stamp["model_name"], stamp["model_version"])
    is_generated = any(read_manifest(lake, batch).is_generated for batch in stamp["batches"])
    return {
        "recommendations": lambda: tables.read_table(lake, "recommendations", stamp["recommendations_version"]),
        "items": lambda: tables.read_table(lake, "items", stamp["items_version"]),
        "item_counts": item_counts(files),
        "model": model_rows(stamp, run),
        "release": pa.Table.from_pylist([{**stamp, "is_generated": is_generated}]),
    }


def item_counts(files: RecommenderFiles) -> pa.Table:
    """How many ratings of the training data each item has."""
    import pyarrow as pa

    return pa.table({"item_id": files.item_ids, "n_ratings": pa.array(files.n_ratings, pa.int64())})


def model_rows(stamp: dict[str, Any], run: registry.Candidate) -> pa.Table:
    """A row for each metric of the model at its list lengths, beside the popularity floor's."""
    import pyarrow as pa

    rows = [
        {
            "model_name": stamp["model_name"],
            "model_version": stamp["model_version"],
            "mlflow_run_id": run.run_id,
            "source": run.source,
            "rank": run.rank,
            "metric": metric,
            "value": value,
            "floor": run.metrics.get(f"floor_{metric}"),
        }
        for metric, value in sorted(run.metrics.items())
        if METRIC.match(metric)
    ]
    schema = pa.schema(
        [(name, pa.string()) for name in ("model_name", "model_version", "mlflow_run_id", "source")]
        + [("rank", pa.int64()), ("metric", pa.string()), ("value", pa.float64()), ("floor", pa.float64())]
    )
    return pa.Table.from_pylist(rows, schema)
