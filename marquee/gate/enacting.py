"""A decision becomes fact: recorded in the lake first, then the aliases follow, however often it is called.

Killed between the two, the next call finds the row and moves the aliases. A decision that came too late moves none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from marquee import registry
from marquee.errors import TrainingError
from marquee.gate.record import changes_champion, record, seen
from marquee.gate.told import compared
from marquee.lake.objects import Lake
from marquee.releases.standing import why_held_back

if TYPE_CHECKING:
    import pyarrow as pa

GATE = "gate"


def enact(
    lake: Lake,
    decision: Mapping[str, Any],
    before: Mapping[str, Any],
    schema: pa.Schema,
    *,
    decision_id: str,
    decided_at: datetime,
    model: str,
) -> dict[str, Any]:
    """Record what the gate decided, and move the aliases.

    Args:
        decision: as `Decision.told` gives it.
        before: `decisions_version` and `champion_version` when the training began.
        schema: of the table `decisions`.
        decision_id: the Airflow run: the same one is the same decision.
        model: name of the registered model.

    Returns:
        The row of the table `decisions`, and `is_changed`: whether the champion is another version now.

    Raises:
        LakeError, RegistryError: the store or the server refuses; nothing is half done that the next call can't mend.
    """
    why = f"{decision['reason']}\n\n{compared(decision)}"
    champion = _registered(decision["run_id"], model, why) or before["champion_version"]
    decision = _unless_held_back(lake, decision, champion)
    if not changes_champion(decision["action"]):
        champion = before["champion_version"]
    challenger = _registered(decision["challenger_run_id"], model, f"Challenger. {why}")
    row = {
        "decision_id": decision_id,
        "decided_at": decided_at,
        "action": decision["action"],
        "model_name": model,
        "champion_version": champion,
        "champion_before": before["champion_version"],
        "challenger_version": challenger,
        "name": decision["name"],
        "mlflow_run_id": decision["run_id"],
        "metric": decision["metric"],
        "n_users": decision["n_users"],
        "reason": decision["reason"],
        "decided_by": GATE,
        "verdicts": json.dumps(decision["verdicts"]),
    }
    made = record(lake, row, schema, seen=int(before["decisions_version"]))
    for run_id in filter(None, (decision["run_id"], decision["challenger_run_id"])):
        registry.log_decision(run_id, {**decision, "outcome": made["action"], "said": made["reason"]})
    if challenger and challenger != made["champion_version"]:
        registry.set_alias(model, registry.CHALLENGER, challenger)
    return _followed(lake, made, model)


def overrule(
    lake: Lake,
    schema: pa.Schema,
    *,
    version: str,
    why: str,
    who: str,
    decision_id: str,
    decided_at: datetime,
    model: str,
) -> dict[str, Any]:
    """Make a version champion by a person's word.

    Args:
        version: of the registered model; empty for the challenger.
        why: in the person's words.

    Returns:
        As `enact`.

    Raises:
        TrainingError: no version was named and there is no challenger, or no reason was given.
        RegistryError: there is no such version.
    """
    if not why.strip():
        raise TrainingError("Overruling the gate needs a reason: say why in the field Why.")
    newest = seen(lake)
    wanted = version or registry.alias(model, registry.CHALLENGER)
    if not wanted:
        raise TrainingError(f"Model {model} has no challenger: name the version that is to be champion.")
    run = registry.read_version(model, wanted)
    before = registry.champion(model) or ""
    reason = f"{who} made version {wanted} the champion in place of {before or 'none'}: {why.strip()}"
    row = {
        "decision_id": decision_id,
        "decided_at": decided_at,
        "action": "overrule",
        "model_name": model,
        "champion_version": wanted,
        "champion_before": before,
        "challenger_version": "",
        "name": run.name,
        "mlflow_run_id": run.run_id,
        "metric": "",
        "n_users": 0,
        "reason": reason,
        "decided_by": who,
        "verdicts": "[]",
    }
    made = record(lake, row, schema, seen=newest)
    _registered(run.run_id, model, f"{reason}.")
    return _followed(lake, made, model)


def _unless_held_back(lake: Lake, decision: Mapping[str, Any], version: str) -> Mapping[str, Any]:
    """The decision; one for the very version that a person rolled back keeps the champion that there is."""
    why = why_held_back(lake, version) if changes_champion(decision["action"]) else ""
    if not why:
        return decision
    return {
        **decision,
        "action": "keep",
        "name": "",
        "reason": f"The champion stays, for {why}. Without that: {decision['reason']}",
    }


def _registered(run_id: str, model: str, reason: str) -> str:
    return registry.register(run_id, model, description=reason) if run_id else ""


def _followed(lake: Lake, made: dict[str, Any], model: str) -> dict[str, Any]:
    """Let the champion's alias follow the row; a champion is no challenger."""
    champion = made["champion_version"]
    # Tried again after a rollback, an old decision moves nothing.
    is_changed = changes_champion(made["action"]) and not why_held_back(lake, champion)
    if is_changed:
        registry.set_alias(model, registry.CHAMPION, champion)
        if registry.alias(model, registry.CHALLENGER) == champion:
            registry.delete_alias(model, registry.CHALLENGER)
    return {**made, "is_changed": is_changed}
