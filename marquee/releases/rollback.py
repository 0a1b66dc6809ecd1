"""What a person does to the releases: rollback, pins, and letting go what was rolled back; with who and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from marquee import registry
from marquee.errors import ReleaseError
from marquee.gate.record import seen
from marquee.lake.objects import Lake
from marquee.releases import lease, ledger, remote
from marquee.releases.files import path_of
from marquee.releases.following import follow
from marquee.releases.ledger import Asked, Row
from marquee.releases.standing import Standing, standing

if TYPE_CHECKING:
    from marquee.sinks import Sink


def target_of(state: Standing, release_id: str) -> str:
    """The release that a rollback leads to.

    Args:
        release_id: empty: the one before the current one.

    Raises:
        ReleaseError: there is none such, or it is current.
    """
    if not release_id and state.previous is None:
        raise ReleaseError("There is no release before the current one: name one (marquee releases).")
    target = release_id or str(state.previous)
    if target not in state.published:
        why = "retention has removed it" if target in state.removed else "it was never published"
        raise ReleaseError(f"Can't go to release {target}: {why}; `marquee releases` shows those that there are.")
    if target == state.current:
        raise ReleaseError(f"Release {target} is current already: nothing to go back to.")
    return target


def rollback(
    lake: Lake,
    folder: Path,
    *,
    release_id: str = "",
    asked: Asked,
    sinks: Sequence[Sink] = (),
    lease_seconds: float = lease.SECONDS,
) -> Row:
    """Make an earlier release current again, and its model the champion; what it goes back over is held back.

    Args:
        release_id: empty: the release before the current one.
        sinks: where the current release goes besides, after alias and link.

    Returns:
        The ledger's row.

    Raises:
        ReleaseError: no reason was given, there is no such release, another holds the lease (transient), or a sink has
            not got it, which is current then: the next call goes on.
        LakeError, RegistryError: the store or the server refuses: nothing is recorded, or the next call goes on.
    """
    _need_why(asked, "A rollback")
    with lease.hold(lake, f"roll back to release {release_id or '(the one before)'}", seconds=lease_seconds) as held:
        rows = ledger.read(lake)
        if _recorded(rows, asked) is None:
            state = standing(rows)
            target = target_of(state, release_id)
            about = state.published[target]
            if not path_of(folder, target).is_file():
                remote.bring(lake, folder, target)
            registry.read_version(about["model_name"], about["model_version"])  # it must be there to be champion
            decisions_version = seen(lake)

            def decide(there: Sequence[Row]) -> list[Row]:
                now = standing(there)
                if now.newest != state.newest:
                    raise ReleaseError("Another release became current in between: look at it, and decide again.")
                row = ledger.row(
                    ledger.ROLLBACK,
                    target_of(now, target),
                    asked,
                    model_name=about["model_name"],
                    model_version=about["model_version"],
                    previous_release_id=now.current or "",
                    decisions_version=decisions_version,
                )
                return [row]

            held.check()
            rows = ledger.add(lake, decide, fence=held.fence)
        follow(lake, folder, sinks=sinks, fence=held.fence)
    found = _recorded(rows, asked)
    assert found is not None  # noqa: S101 - it was found, or has just been added
    return found


def pin(lake: Lake, release_id: str, *, asked: Asked) -> None:
    """Keep a release for ever; one that is pinned stays so.

    Raises:
        ReleaseError: there is no such release, or another holds the lease (transient).
        LakeError: the store refuses.
    """
    _note(lake, ledger.PIN, release_id, asked)


def unpin(lake: Lake, release_id: str, *, asked: Asked) -> None:
    """Let retention remove a release when its time comes. Raises as `pin`."""
    _note(lake, ledger.UNPIN, release_id, asked)


def allow(lake: Lake, version: str, *, asked: Asked) -> None:
    """Let a version of the model be published again that was rolled back; one that is not held back stays so.

    Raises:
        ReleaseError: no reason was given, or another holds the lease (transient).
        LakeError: the store refuses.
    """
    if not standing(ledger.read(lake)).why_held(version):
        return
    _need_why(asked, "Letting a version go that was rolled back")
    with lease.hold(lake, f"let version {version} go") as held:

        def decide(there: Sequence[Row]) -> list[Row]:
            is_held = bool(standing(there).why_held(version))
            return [ledger.row(ledger.ALLOW, "", asked, model_version=version)] if is_held else []

        ledger.add(lake, decide, fence=held.fence)


def _note(lake: Lake, action: str, release_id: str, asked: Asked) -> None:
    with lease.hold(lake, f"{action} release {release_id}") as held:

        def decide(there: Sequence[Row]) -> list[Row]:
            state = standing(there)
            if release_id not in state.published:
                raise ReleaseError(f"There is no release {release_id}: `marquee releases` shows those that there are.")
            about = state.published[release_id]
            row = ledger.row(
                action, release_id, asked, model_name=about["model_name"], model_version=about["model_version"]
            )
            is_pinned = release_id in state.pinned
            return [row] if is_pinned != (action == ledger.PIN) else []

        ledger.add(lake, decide, fence=held.fence)


def _recorded(rows: Sequence[Row], asked: Asked) -> Row | None:
    return next((row for row in rows if row["action"] == ledger.ROLLBACK and row["action_id"] == asked.action_id), None)


def _need_why(asked: Asked, what: str) -> None:
    if not asked.why.strip():
        raise ReleaseError(f"{what} needs a reason: say why.")
