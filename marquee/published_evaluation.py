"""What the training of a model found of its candidates, from the gate's decision and the runs in MLflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from marquee import registry
from marquee.candidates import FLOOR as FLOOR_CANDIDATE
from marquee.candidates import is_floor
from marquee.gate.record import TABLE as DECISIONS
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.model_cards import FLOOR

if TYPE_CHECKING:
    import pyarrow as pa

ENDS = ("low", "high")


def evaluation_rows(lake: Lake, stamp: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each metric of each candidate of the newest decision that judged the model's run.

    A model that no decision is about stands alone, beside the floor that its own run has the figures of. Candidates
    that failed have no figures.

    Args:
        stamp: `model_name`, `model_version` and `mlflow_run_id`.

    Raises:
        RegistryError: a run is gone, or the server refuses.
        LakeError: the table of decisions can't be read.
    """
    model = registry.read_version(stamp["model_name"], stamp["model_version"])
    others = [run_id for run_id in judged_with(lake, model.run_id) if run_id != model.run_id]
    found = [model, *(registry.read_run(run_id) for run_id in others)]
    rows = [
        row
        for one in found
        for row in rows_of(
            one.name, one.run_id, one.metrics, is_champion=one is model, is_floor=is_floor({"model": one.source})
        )
    ]
    if not any(row["is_floor"] for row in rows):
        floors = {name.removeprefix(FLOOR): value for name, value in model.metrics.items() if name.startswith(FLOOR)}
        rows += rows_of(str(FLOOR_CANDIDATE["name"]), "", floors, is_champion=False, is_floor=True)
    return rows


def judged_with(lake: Lake, run_id: str) -> list[str]:
    """MLflow runs of the candidates of the newest decision that judged this run, in the gate's order; else none."""
    version = tables.current_version(lake, DECISIONS)
    if version is None:
        return []
    decisions = [row for batch in tables.read_table(lake, DECISIONS, version) for row in batch.to_pylist()]
    for row in sorted(decisions, key=lambda row: row["decided_at"], reverse=True):
        runs = [verdict["run_id"] for verdict in json.loads(row["verdicts"]) if verdict.get("run_id")]
        if run_id in runs:
            return runs
    return []


def rows_of(
    name: str, run_id: str, metrics: dict[str, float], *, is_champion: bool, is_floor: bool
) -> list[dict[str, Any]]:
    """A row for each metric of a run that is neither another's end of an interval nor the floor's."""
    own = {metric: value for metric, value in metrics.items() if not metric.startswith(FLOOR)}
    ends = {f"{metric}_{end}" for metric in own for end in ENDS}
    return [
        {
            "candidate": name,
            "mlflow_run_id": run_id,
            "metric": metric,
            "value": value,
            **{end: own.get(f"{metric}_{end}") for end in ENDS},
            "is_champion": is_champion,
            "is_floor": is_floor,
        }
        for metric, value in sorted(own.items())
        if metric not in ends
    ]


def evaluation_table(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows as Arrow, also where there are none."""
    import pyarrow as pa

    texts, numbers, marks = ("candidate", "mlflow_run_id", "metric"), ("value", *ENDS), ("is_champion", "is_floor")
    schema = pa.schema(
        [(name, pa.string()) for name in texts]
        + [(name, pa.float64()) for name in numbers]
        + [(name, pa.bool_()) for name in marks]
    )
    return pa.Table.from_pylist(rows, schema)
