"""The link and MLflow's alias `champion` follow the ledger, and go together, at the latest with the next action.

The sinks come after both: one that can't be reached changes nothing there, and is made up for by the next action.

The alias is the model's of the current release, unless the gate, or a person who overruled it, has made another version
champion since (table `decisions`): then a release of that one is on its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from marquee import registry
from marquee.errors import ReleaseError
from marquee.gate.record import newest_change
from marquee.lake.objects import Lake
from marquee.releases import ledger, remote
from marquee.releases.files import path_of
from marquee.releases.ledger import Row
from marquee.releases.standing import Standing, standing
from marquee.releases.switching import switch

if TYPE_CHECKING:
    from marquee.sinks import Sink

#: How often others may act while this one follows.
TIMES = 5


def follow(lake: Lake, folder: Path, *, sinks: Sequence[Sink] = (), fence: int = 0) -> Standing:
    """Let the alias, this machine's link and the sinks lead where the ledger says; look again whether it still says so.

    A process that was paused in the middle may set the alias too late; its second look mends that, or, where it was
    killed, the next action.

    Args:
        fence: number of the lease that this is done under, for the sinks.

    Returns:
        What the ledger comes to.

    Raises:
        ReleaseError: the release is nowhere any more, others act again and again (transient), or a sink has not got
            it: alias and link lead to it all the same.
        LakeError, RegistryError: the store or the server refuses.
    """
    rows = ledger.read(lake)
    for _ in range(TIMES):
        state = standing(rows)
        newest = state.newest
        if newest is None:
            return state
        if not path_of(folder, newest["release_id"]).is_file():
            remote.bring(lake, folder, newest["release_id"])
        wanted = wanted_champion(lake, state, newest)
        if registry.champion(newest["model_name"]) != wanted:
            registry.set_alias(newest["model_name"], registry.CHAMPION, wanted)
        late: ReleaseError | None = None
        try:
            switch(folder, newest["release_id"], fence=newest["fence"])
            fill(lake, folder, newest, sinks, fence)
        except ReleaseError as error:
            late = error
        rows = ledger.read(lake)
        if standing(rows).newest == newest:
            if late is not None:
                raise late
            return standing(rows)
    raise ReleaseError(
        f"Other actions came in between {TIMES} times while link and alias were to follow: run it again.",
        is_transient=True,
    )


def fill(lake: Lake, folder: Path, newest: Row, sinks: Sequence[Sink], fence: int) -> None:
    """Let each sink have the current release, as the bucket has it: without what was forgotten on another machine.

    Args:
        newest: the ledger's row by which the release is current.
        fence: number of the lease that this is done under; forgetting has a later one than the row's.

    Raises:
        ReleaseError: what the first of the sinks said that has not got it; the others have.
        LakeError: the store refuses.
    """
    if not sinks:
        return
    release_id = newest["release_id"]
    path = remote.bring(lake, folder, release_id)
    said: list[ReleaseError] = []
    for sink in sinks:
        try:
            sink.publish(path, release_id, fence=max(fence, newest["fence"]))
        except ReleaseError as error:
            said.append(error)
    if said:
        raise said[0]


def wanted_champion(lake: Lake, state: Standing, newest: Row) -> str:
    """The version that the alias `champion` is to lead to."""
    change = newest_change(lake, newest["model_name"])
    if change is None or change.version <= newest["decisions_version"]:
        return str(newest["model_version"])
    decided = str(change.row["champion_version"])
    return str(newest["model_version"]) if state.why_held(decided) else decided
