"""What the ledger comes to: which release is current, which one before it, what is pinned, removed or held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from marquee.lake.objects import Lake
from marquee.releases import ledger
from marquee.releases.ledger import Row


@dataclass
class Standing:
    """The ledger's rows, summed up.

    Attributes:
        stack: releases that were current one after the other, the current one last; a rollback goes back in it.
        published: release -> the row that published it last, in that order; removed ones are not there.
        pinned: releases that are never removed.
        removed: releases that retention has taken away.
        held_releases: release -> why it may not come back by itself: it was rolled back.
        held_versions: the same of versions of the model.
        newest: the last row that made a release current.
    """

    stack: list[str] = field(default_factory=list)
    published: dict[str, Row] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    held_releases: dict[str, str] = field(default_factory=dict)
    held_versions: dict[str, str] = field(default_factory=dict)
    newest: Row | None = None

    @property
    def current(self) -> str | None:
        return self.stack[-1] if self.stack else None

    @property
    def previous(self) -> str | None:
        """The release that was current before the current one became so; None where there is none any more."""
        return self.stack[-2] if len(self.stack) > 1 else None

    def why_held(self, version: str, release_id: str = "") -> str:
        """Why this version, or this release of it, may not come back by itself; empty: it may."""
        return self.held_versions.get(version) or self.held_releases.get(release_id, "")


def standing(rows: Sequence[Row]) -> Standing:
    """Sum up the rows, the oldest first."""
    found = Standing()
    versions: dict[str, str] = {}
    for row in rows:
        release_id, version, action = row["release_id"], row["model_version"], row["action"]
        if action in ledger.SWITCHES:
            versions[release_id] = version
            if action == ledger.PUBLISH:
                found.published.pop(release_id, None)
                found.published[release_id] = row
                found.removed.discard(release_id)
            _make_current(found, row, versions)
            found.newest = row
        elif action == ledger.PIN:
            found.pinned.add(release_id)
        elif action == ledger.UNPIN:
            found.pinned.discard(release_id)
        elif action == ledger.REMOVE:
            found.published.pop(release_id, None)
            found.removed.add(release_id)
            found.stack = [one for one in found.stack if one != release_id]
        elif action == ledger.ALLOW:
            _let_go(found, version, versions)
    return found


def why_held_back(lake: Lake, version: str) -> str:
    """The sentence why this version of the model may not be published by itself; empty where it may.

    Raises:
        LakeError: the store refuses.
    """
    return standing(ledger.read(lake)).why_held(version)


def is_held_back(lake: Lake, version: str) -> bool:
    """Whether this version of the model was rolled back, and no person has let it go since.

    Raises:
        LakeError: the store refuses.
    """
    return bool(why_held_back(lake, version))


def _make_current(found: Standing, row: Row, versions: dict[str, str]) -> None:
    release_id, version = row["release_id"], row["model_version"]
    gone: list[str] = []
    if row["action"] == ledger.ROLLBACK and release_id in found.stack:
        at = found.stack.index(release_id)
        gone = found.stack[at + 1 :]
        found.stack = found.stack[: at + 1]
    else:
        found.stack = [*(one for one in found.stack if one != release_id), release_id]
    stays = {versions[one] for one in found.stack}
    for one in gone:
        said = (
            f"version {versions[one]} of the model was rolled back on {row['at']:%Y-%m-%d %H:%M} by {row['who']} "
            f"({row['why']})"
        )
        found.held_releases[one] = said
        if versions[one] not in stays:
            found.held_versions[versions[one]] = said
    _let_go(found, version, versions, release_id)


def _let_go(found: Standing, version: str, versions: dict[str, str], release_id: str = "") -> None:
    """A version, and its releases (or the one named), may come back."""
    found.held_versions.pop(version, None)
    for one in [
        one for one in found.held_releases if one == release_id or (not release_id and versions[one] == version)
    ]:
        del found.held_releases[one]
