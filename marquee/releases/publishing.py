"""Publishing: build beside, check, copy, record, and let alias and link follow, under one lease.

Killed at any moment, the next call with the same `action_id` goes on: what is built is found, what is recorded is not
recorded again, and what should follow follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marquee import registry
from marquee.errors import ReleaseError
from marquee.lake.objects import Lake
from marquee.releases import checks, lease, ledger, remote, retention
from marquee.releases.building import build
from marquee.releases.checks import Expected, Report
from marquee.releases.churn import Churn
from marquee.releases.files import path_of
from marquee.releases.following import follow
from marquee.releases.ledger import Asked, Row
from marquee.releases.standing import standing
from marquee.settings import Publish

if TYPE_CHECKING:
    import pyarrow as pa

    from marquee.releases.building import Rows
    from marquee.sinks import Sink


@dataclass(frozen=True)
class Release:
    """A release to be published.

    Attributes:
        decisions_version: newest version of the table `decisions` when the model's version was chosen.
        is_by_person: whether a person named the version and said why: then it may come back after a rollback, and
            differ from the release before it as much as it likes.
    """

    release_id: str
    model_name: str
    model_version: str
    decisions_version: int
    is_by_person: bool = False


@dataclass(frozen=True)
class Published:
    """What became of it.

    Attributes:
        row: of the ledger, by which it is current; None where it was current already.
        report: what the checks measured; None where it had been recorded by an earlier try.
        removed: releases that retention took away.
    """

    row: Row | None
    report: Report | None
    removed: list[str]


def publish(
    lake: Lake,
    folder: Path,
    schema: pa.Schema,
    release: Release,
    tables: Callable[[], Mapping[str, Rows]],
    *,
    expected: Callable[[], Expected],
    asked: Asked,
    rule: Publish,
    keep: int,
    sinks: Sequence[Sink] = (),
    ddl: Sequence[str] | None = None,
    lease_seconds: float = lease.SECONDS,
) -> Published:
    """Make a release the current one.

    Args:
        folder: the serving folder.
        schema: of the ledger's contract.
        tables: gives the inputs of the tables (`marquee.releases.building.build`), if they are to be built.
        expected: gives what the model knows, which the checks need.
        keep: how many releases stay.
        sinks: where the current release goes besides, after alias and link.

    Raises:
        ReleaseError: the version was rolled back, a check fails, or another holds the lease (transient). The current
            release stays. Or a sink has not got it, which is current then: the next call goes on.
        LakeError, RegistryError: the store or the server refuses; the next call goes on.
    """
    with lease.hold(lake, f"publish release {release.release_id}", seconds=lease_seconds) as held:
        rows = ledger.read(lake)
        report: Report | None = None
        if _recorded(rows, asked) is None:
            state = standing(rows)
            refuse_held(state.why_held(release.model_version, release.release_id), release)
            registry.champion(release.model_name)  # alias and tables go together: both must be there to be set
            report = _built(lake, folder, release, tables, expected(), rule, state.current, ddl)
            remote.upload(lake, folder, release.release_id)
            held.check()
            rows = ledger.add(lake, lambda there: _row(there, release, asked, report), fence=held.fence, schema=schema)
        follow(lake, folder, sinks=sinks, fence=held.fence)
        removed = retention.retain(lake, folder, keep=keep, asked=asked, held=held)
    return Published(_recorded(rows, asked), report, removed)


def refuse_held(why: str, release: Release) -> None:
    """Raise what is held back, unless a person asks for it.

    Raises:
        ReleaseError: it was rolled back.
    """
    if why and not release.is_by_person:
        raise ReleaseError(
            f"Release {release.release_id} is not published: {why}. A person may let it go: "
            f'marquee publish --model-version {release.model_version} --why "..."'
        )


def _recorded(rows: Sequence[Row], asked: Asked) -> Row | None:
    return next((row for row in rows if row["action"] == ledger.PUBLISH and row["action_id"] == asked.action_id), None)


def _built(
    lake: Lake,
    folder: Path,
    release: Release,
    tables: Callable[[], Mapping[str, Rows]],
    expected: Expected,
    rule: Publish,
    current: str | None,
    ddl: Sequence[str] | None,
) -> Report:
    """Build and check; a file that is here already is checked again, for what it follows may be another release."""
    before = path_of(folder, current) if current and current != release.release_id else None
    if before is not None and not before.is_file():
        before = remote.bring(lake, folder, str(current)) if remote.manifest(lake, str(current)) else None
    found: list[Report] = []

    def check(path: Path) -> None:
        found[:] = [checks.check(path, before, expected, rule, is_by_person=release.is_by_person)]

    path = build(folder, release.release_id, tables, ddl, check)
    if not found:
        check(path)
    return found[0]


def _row(there: Sequence[Row], release: Release, asked: Asked, report: Report) -> list[dict[str, Any]]:
    state = standing(there)
    if _recorded(there, asked) is not None or state.current == release.release_id:
        return []
    refuse_held(state.why_held(release.model_version, release.release_id), release)
    about = {name: value for name, value in asdict(release).items() if name not in ("release_id", "is_by_person")}
    churn = report.churn or Churn(None, None, 0)
    row = ledger.row(
        ledger.PUBLISH,
        release.release_id,
        asked,
        **about,
        previous_release_id=state.current or "",
        jaccard=churn.jaccard,
        rbo=churn.rbo,
    )
    return [row]
