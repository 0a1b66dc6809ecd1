"""Which releases stay: the newest ones, those that are pinned, the current one and the one before it; others go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from marquee.lake.objects import Lake
from marquee.releases import ledger, remote
from marquee.releases.files import path_of
from marquee.releases.lease import Lease
from marquee.releases.ledger import Asked, Row
from marquee.releases.standing import Standing, standing
from marquee.releases.switching import current

if TYPE_CHECKING:
    from collections.abc import Sequence

WHO = "retention"


def to_go(state: Standing, keep: int, held_by_link: str | None) -> list[str]:
    """The releases that go, the oldest first.

    Args:
        keep: how many of those that were published last stay.
        held_by_link: what this machine's link leads to.
    """
    newest = list(state.published)[-keep:]
    stays = {*newest, *state.pinned, state.current, state.previous, held_by_link}
    return [one for one in state.published if one not in stays]


def retain(lake: Lake, folder: Path, *, keep: int, asked: Asked, held: Lease) -> list[str]:
    """Record which releases go, then remove them, here and in the bucket. What was cut off before is finished.

    Raises:
        ReleaseError: the lease was lost (transient).
        LakeError: the store refuses.
    """
    by = Asked(asked.action_id, WHO, f"the newest {keep} stay (serving.keep_releases)", asked.at)
    gone: list[str] = []

    def decide(rows: Sequence[Row]) -> list[Row]:
        state = standing(rows)
        gone[:] = to_go(state, keep, current(folder))
        return [ledger.row(ledger.REMOVE, one, by, model_version=state.published[one]["model_version"]) for one in gone]

    held.check()
    state = standing(ledger.add(lake, decide, fence=held.fence))
    for release_id in state.removed & set(remote.ids(lake)):
        held.check()
        remote.remove(lake, release_id)
    for release_id in state.removed - {current(folder)}:
        path_of(folder, release_id).unlink(missing_ok=True)
    return list(gone)
