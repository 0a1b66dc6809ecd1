"""The rule: from contenders to a decision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from marquee.errors import TrainingError
from marquee.gate.contenders import Contender
from marquee.gate.guards import broken
from marquee.metrics.intervals import Interval, paired
from marquee.settings import Gate

Action = Literal["promote", "refresh", "floor", "keep"]


@dataclass(frozen=True)
class Verdict:
    """What the gate found of one candidate.

    Attributes:
        name, run_id: of the candidate.
        value: the metric's mean.
        beyond_floor, beyond_champion: paired differences; None where there is nothing to compare with.
        broken: guards that it breaks, in words.
        passes: whether it may be champion.
        reason: in words.
    """

    name: str
    run_id: str
    value: float
    beyond_floor: Interval | None
    beyond_champion: Interval | None
    broken: tuple[str, ...]
    passes: bool
    reason: str


@dataclass(frozen=True)
class Decision:
    """What the gate decided.

    Attributes:
        action: "promote" (a candidate becomes champion), "refresh" (the champion's configuration, on newer
            data), "floor" (the first champion is the floor), or "keep" (the champion stays as it is).
        name, run_id: the model that is to be champion; empty where the champion is kept.
        challenger, challenger_run_id: the best of those that are not; empty where there is none.
        metric: as `ndcg_at_10`.
        n_users: judged users.
        reason: in words.
        verdicts: of all candidates, best first.
    """

    action: Action
    name: str
    run_id: str
    challenger: str
    challenger_run_id: str
    metric: str
    n_users: int
    reason: str
    verdicts: tuple[Verdict, ...]

    def told(self) -> dict[str, Any]:
        """As plain values for JSON; NaN as None."""
        return _plain(asdict(self))  # type: ignore[no-any-return]


def decide(contenders: Sequence[Contender], *, k: int, border: int, rule: Gate, has_champion: bool) -> Decision:
    """Judge all candidates of a training.

    Args:
        contenders: with the floor among them, and the champion's configuration where there is a champion that loads.
        k: length of the lists.
        border: microseconds since 1970 at which the test side begins; 0 where the split has none.
        has_champion: whether the alias leads to a version now.

    Raises:
        TrainingError: the floor is not among the contenders, or was not judged.
    """
    metric = f"{rule.metric}_at_{k}"
    floor = next((one for one in contenders if one.is_floor), None)
    if floor is None or math.isnan(floor.mean(metric)):
        why = f" ({floor.failure})" if floor is not None and floor.failure else ""
        raise TrainingError(
            f"The popularity floor has no {metric}{why}, so no candidate can be judged: read the log of its task."
        )
    champion = next((one for one in contenders if one.is_champion and not math.isnan(one.mean(metric))), None)
    tested = [one for one in contenders if not one.is_floor]
    verdicts = sorted(
        (judge(one, floor, champion, k=k, border=border, rule=rule, n_tested=len(tested)) for one in tested),
        key=lambda verdict: -verdict.value if not math.isnan(verdict.value) else math.inf,
    )
    own = Verdict(floor.name, floor.run_id, floor.mean(metric), None, None, (), not has_champion, "the floor")
    best = next((one for one in verdicts if one.passes and not _is(champion, one)), None)
    refreshed = next((one for one in verdicts if one.passes and _is(champion, one)), None)
    n_users = int(np.sum(~np.isnan(floor.values(metric))))
    at = f"{metric} of {n_users:,} users"
    # A champion that stays is no challenger of itself; one that is replaced is.
    taken, stays = best or refreshed, best is None
    others = [one for one in verdicts if one.run_id and one is not taken and not (stays and _is(champion, one))]
    challenger = others[0] if others else None

    def decision(action: Action, chosen: Verdict | None, reason: str) -> Decision:
        return Decision(
            action,
            chosen.name if chosen else "",
            chosen.run_id if chosen else "",
            challenger.name if challenger else "",
            challenger.run_id if challenger else "",
            metric,
            n_users,
            reason,
            (*verdicts, own),
        )

    if best is not None:
        return decision("promote", best, f"{best.name} is the champion: {best.reason}; {at}.")
    if refreshed is not None:
        return decision(
            "refresh",
            refreshed,
            f"No candidate is shown to be better than the champion, so its configuration stays, trained on the newest "
            f"data: {refreshed.reason}; {at}.",
        )
    if has_champion:
        return decision("keep", None, f"The champion stays as it is: {_why_none(verdicts)}; {at}.")
    return decision(
        "floor", own, f"The popularity floor ({own.value:.4f}) is the champion: {_why_none(verdicts)}; {at}."
    )


def judge(
    one: Contender, floor: Contender, champion: Contender | None, *, k: int, border: int, rule: Gate, n_tested: int
) -> Verdict:
    """Compare one candidate with the floor and with the champion, and look at the guards."""
    metric = f"{rule.metric}_at_{k}"
    if one.failure:
        return Verdict(one.name, one.run_id, math.nan, None, None, (), False, f"not judged: {one.failure}")
    is_champion = champion is not None and one.name == champion.name
    confidence = 1 - (1 - rule.confidence) / max(1, n_tested)

    def beyond(other: Contender) -> Interval:
        return paired(
            one.values(metric), other.values(metric), seed=rule.seed, confidence=confidence, resamples=rule.resamples
        )

    over_floor = beyond(floor)
    over_champion = None if champion is None or is_champion else beyond(champion)
    said = [_said(one.mean(metric), over_floor, "the popularity floor", floor.mean(metric), 0.0)]
    passes = over_floor.low > 0
    if over_champion is not None and champion is not None:
        said.append(_said(None, over_champion, "the champion", champion.mean(metric), rule.margin))
        passes = passes and over_champion.low > -rule.margin
    faults = broken(one, champion if champion is not None and not is_champion else floor, k, border, rule)
    said += [f"guard broken: {words}" for words in faults]
    return Verdict(
        one.name,
        one.run_id,
        one.mean(metric),
        over_floor,
        over_champion,
        faults,
        passes and not faults,
        "; ".join(said),
    )


def _said(value: float | None, beyond: Interval, other: str, others: float, margin: float) -> str:
    own = "" if value is None else f"{value:.4f}, "
    if math.isnan(beyond.low):
        return f"{own}too few users to compare with {other}"
    verb = "beats" if beyond.low > 0 else "is no worse than" if beyond.low > -margin else "is not shown to beat"
    return f"{own}{verb} {other} ({others:.4f}) by {beyond.value:+.4f} [{beyond.low:+.4f}, {beyond.high:+.4f}]"


def _why_none(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "there is no other candidate"
    return f"of {len(verdicts)} candidates none may take over, and the best, {verdicts[0].name}: {verdicts[0].reason}"


def _is(champion: Contender | None, verdict: Verdict) -> bool:
    return champion is not None and champion.name == verdict.name


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
