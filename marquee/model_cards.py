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
    figures = (_metrics_table(metrics, _k(tags)), _slices(metrics), _limits(metrics))
    parts = (f"**{name}**", *figures, _data(tags), _airflow(tags))
    return "\n\n".join(part for part in parts if part)


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
model.predict(pandas.DataFrame({{"items": [["318", "296"]], "ratings": [[5.0, 4.0]]}}), params={{"k": 10}})
```

Rows: `user_id`, `position` (from 1), `item_id`, `title`, `score`, `source`. Items that the user has rated are left out;
a user whom the model does not know gets the items with most ratings, with the source `popular`. Someone who brings a
history in `items` and `ratings` gets a list by fold-in, with the source `fold_in`, without any training."""


def _metrics_table(metrics: Mapping[str, float], k: int | None) -> str:
    """The metrics at the k that models are compared by, where that is known; MLflow's charts have the others."""
    known = finite(metrics)
    rows = [
        (name, value, floor)
        for name, value, floor in beside_floor(known)
        if floor is not None and (k is None or name.endswith(f"_at_{k}"))
    ]
    if not rows:
        return ""
    lines = ["| metric | this model | 95 % interval | popularity floor | ratio |", "|---|---:|---|---:|---:|"]
    for name, value, floor in rows:
        ratio = f"{value / floor:.2f}" if floor else ""
        lines.append(f"| {name} | {value:.4f} | {_interval(known, name)} | {floor:.4f} | {ratio} |")
    return "\n".join(lines)


def _interval(metrics: Mapping[str, float], name: str) -> str:
    low, high = (metrics.get(f"{name}_{end}") for end in ("low", "high"))
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def _slices(metrics: Mapping[str, float]) -> str:
    """nDCG by segment of users, and what unknown users get."""
    from marquee.metrics.segments import USER_SEGMENTS

    known = finite(metrics)
    found = [
        (segment, name, value)
        for name, value in sorted(known.items())
        for segment in USER_SEGMENTS
        if name.startswith("ndcg_at_") and name.endswith(f"_{segment}")
    ]
    lines = [f"- {segment} users: {name.removesuffix('_' + segment)} {value:.4f}" for segment, name, value in found]
    lines += [
        f"- users who are new on the test side, by popular items: {name.removeprefix('cold_')} {value:.4f}"
        for name, value in sorted(known.items())
        if name.startswith("cold_ndcg_at_")
    ]
    return "\n".join(["Slices:", "", *lines]) if lines else ""


def _limits(metrics: Mapping[str, float]) -> str:
    """What the figures do not say; nothing where there are none."""
    known = finite(metrics)
    if not any(name.startswith(FLOOR) for name in known):
        return ""
    lines = [
        "what people rate is what they have come across: figures tell who foretells ratings, not what is liked most",
        "the split in time is one: another month may tell otherwise",
    ]
    if (users := known.get("evaluated_users")) is not None:
        lines.append(f"{users:,.0f} users were judged" + (": intervals are wide" if users < 1000 else ""))
    if (cold := known.get("test_ratings_of_cold_items")) and (n := known.get("test_ratings")):
        lines.append(f"{cold / n:.1%} of the test ratings are of items without a rating before: no list holds them")
    return "\n".join(["Limits:", "", *(f"- {line}" for line in lines)])


def _data(tags: Mapping[str, str]) -> str:
    lines = [f"- {name}: {_plain(value)}" for name, value in _snapshot(tags).items() if name != "border"]
    return "\n".join(["Data:", "", *lines]) if lines else ""


def _k(tags: Mapping[str, str]) -> int | None:
    k = _snapshot(tags).get("k")
    return k if isinstance(k, int) else None


def _snapshot(tags: Mapping[str, str]) -> dict[str, Any]:
    """What the run's tag tells of its data; nothing where it tells nothing that can be read."""
    try:
        snapshot = json.loads(tags.get(SNAPSHOT_TAG, "{}"))
    except ValueError:
        return {}
    return snapshot if isinstance(snapshot, dict) else {}


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
