"""What MLflow's pages say about a run, a version and the registered model: Markdown, made from what the run holds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

FLOOR = "floor_"
SNAPSHOT_TAG = "marquee.snapshot"


def beside_floor(metrics: Mapping[str, float]) -> list[tuple[str, float, float | None]]:
    """Each metric with the popularity floor's value of the same name (`floor_<name>`), or None where it has none."""
    own = sorted((name for name in metrics if not name.startswith(FLOOR)), key=_by_name_and_k)
    return [(name, metrics[name], metrics.get(FLOOR + name)) for name in own]


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that have a value; one without (no ground truth) is NaN, and MLflow's charts can't show it."""
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def run_card(name: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
    """Page of a run: its metrics beside the floor's, its data, and the Airflow run that made it."""
    return "\n\n".join(part for part in (f"**{name}**", _metrics_table(metrics), _data(tags), _airflow(tags)) if part)


def version_card(
    name: str, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str], description: str = ""
) -> str:
    """Page of a version: as the run's, with why it was registered, and the run it came from."""
    parts = (description, run_card(name, metrics, tags), f"MLflow run `{run_id}`")
    return "\n\n".join(part for part in parts if part)


def model_card(model_name: str) -> str:
    """Page of the registered model: what it takes, what it gives, and how it is called."""
    return f"""Top-K recommendations for each user, trained from ratings. The alias `champion` leads to the version that
the published tables come from.

It needs neither Spark nor Java:

```python
import mlflow, pandas

model = mlflow.pyfunc.load_model("models:/{model_name}@champion")
model.predict(pandas.DataFrame({{"user_id": ["1", "2"]}}), params={{"k": 10}})
```

Rows: `user_id`, `position` (from 1), `item_id`, `title`, `score`, `source`. Items that the user has rated are left out;
a user whom the model does not know gets the items with most ratings, with the source `popular`."""


def _metrics_table(metrics: Mapping[str, float]) -> str:
    rows = [(name, value, floor) for name, value, floor in beside_floor(finite(metrics)) if floor is not None]
    if not rows:
        return ""
    lines = ["| metric | this model | popularity floor | ratio |", "|---|---:|---:|---:|"]
    for name, value, floor in rows:
        ratio = f"{value / floor:.2f}" if floor else ""
        lines.append(f"| {name} | {value:.4f} | {floor:.4f} | {ratio} |")
    return "\n".join(lines)


def _data(tags: Mapping[str, str]) -> str:
    if SNAPSHOT_TAG not in tags:
        return ""
    try:
        snapshot = json.loads(tags[SNAPSHOT_TAG])
    except ValueError:
        return ""
    lines = [f"- {name}: {_plain(value)}" for name, value in snapshot.items()] if isinstance(snapshot, dict) else []
    return "\n".join(["Data:", "", *lines]) if lines else ""


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(entry) for entry in value) or "none"
    return f"`{value}`"


def _airflow(tags: Mapping[str, str]) -> str:
    run_id, url = tags.get("airflow.run_id"), tags.get("airflow.url", "")
    if run_id is None:
        return ""
    # An address without a host leads nowhere from MLflow's page.
    return f"Airflow run [{run_id}]({url})" if url.startswith(("http://", "https://")) else f"Airflow run `{run_id}`"


def _by_name_and_k(name: str) -> tuple[str, int]:
    stem, _, k = name.rpartition("_at_")
    return (stem, int(k)) if stem and k.isdigit() else (name, 0)
