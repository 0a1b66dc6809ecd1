"""The models that a training compares: their configurations, from the trigger form's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FLOOR = {"name": "popular", "model": "popular", "params": {}}


def is_floor(candidate: Mapping[str, Any]) -> bool:
    """Whether a candidate's model is the popularity floor."""
    return bool(candidate["model"] == FLOOR["model"])


def configured(
    params: dict[str, Any], champion: dict[str, Any] | None = None, tuned: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """The popularity floor, one candidate a rank, what a search found, and the champion's configuration.

    Args:
        params: `feedback` ("implicit" or "explicit"), `ranks`, `iterations`, `regularization`, `alpha`, `seed`.
        tuned: candidates that a search for parameters has found.
        champion: the configuration of the model that is champion now; it is compared on the same data as the others.
    """
    chosen = [FLOOR]
    for rank in params["ranks"]:
        settings: dict[str, Any] = {
            "rank": int(rank),
            "iterations": int(params["iterations"]),
            "regularization": float(params["regularization"]),
            "implicit": params["feedback"] == "implicit",
            "seed": int(params["seed"]),
        }
        if settings["implicit"]:
            settings["alpha"] = float(params["alpha"])
        chosen.append({"name": f"als-{params['feedback']}-rank-{rank}", "model": "als", "params": settings})
    chosen += tuned
    known = [(candidate["model"], candidate["params"]) for candidate in chosen]
    if champion is not None and (champion["model"], champion["params"]) not in known:
        chosen.append({**champion, "name": f"champion-{champion['name'].removeprefix('champion-')}"})
    return chosen
