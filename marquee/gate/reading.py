"""From what the candidates' tasks left to contenders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marquee.candidates import is_floor
from marquee.errors import LakeError
from marquee.gate.contenders import Contender, failed
from marquee.lake import evaluations
from marquee.lake.objects import Lake


def contenders(
    lake: Lake,
    candidates: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    champion: Mapping[str, Any] | None,
) -> list[Contender]:
    """Every candidate that was asked for, with its users' figures; those without a result as failed.

    Args:
        candidates: configurations, as the candidates' jobs got them.
        results: what those jobs returned that ended well, in any order.
        champion: configuration of the champion; None where there is none that loads.
    """
    by_name = {result["name"]: result for result in results}
    found = []
    for candidate in candidates:
        name = candidate["name"]
        about: dict[str, Any] = {
            "is_floor": is_floor(candidate),
            "is_champion": champion is not None and _same(candidate, champion),
        }
        result = by_name.get(name)
        if result is None:
            found.append(failed(name, "", **about))
            continue
        try:
            users = evaluations.load(lake, result["key"])
        except LakeError as error:
            found.append(failed(name, str(error), **about))
            continue
        found.append(Contender(name, result["run_id"], users, result["metrics"], **about))
    return found


def _same(candidate: Mapping[str, Any], champion: Mapping[str, Any]) -> bool:
    return (candidate["model"], candidate["params"]) == (champion["model"], champion["params"])
