"""`marquee releases`, `rollback`, `pin`, `unpin` and `fetch-release`: what releases there are, and which is current."""

from __future__ import annotations

import getpass
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from marquee.airflow_client import AirflowClient
from marquee.cli.following import run_dag
from marquee.cli.lake import lake
from marquee.errors import ReleaseError
from marquee.settings import settings

if TYPE_CHECKING:
    from marquee.releases.ledger import Asked

ROLLBACK = "rollback_release"
Listed = Annotated[str, typer.Argument(help="As `marquee releases` lists it.", show_default=False)]
Why = Annotated[str, typer.Option(help="Kept in the table releases, for those who ask later.", show_default=False)]


def releases(
    plot: Annotated[
        Path | None, typer.Option(help="Draw how much each release differs from the one before.", show_default=False)
    ] = None,
) -> None:
    """Show the releases that there are: current, pinned, size; and what was rolled back."""
    from marquee.releases import ledger, remote
    from marquee.releases.standing import standing

    console, store = _console(), lake()
    rows = ledger.read(store)
    state = standing(rows)
    if not state.published:
        console.print("Nothing was published yet: marquee publish", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("release", "published", "model", "current", "pinned", "size"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "size" else "left")
    for release_id, row in reversed(state.published.items()):
        there = remote.manifest(store, release_id)
        size = there["files"]["recommendations.duckdb"]["size"] if there else None
        table.add_row(
            release_id,
            f"{row['at']:%Y-%m-%d %H:%M}",
            row["model_version"],
            "yes" if release_id == state.current else "",
            "yes" if release_id in state.pinned else "",
            "no copy" if size is None else f"{size / 1e6:,.1f} MB",
        )
    console.print(table)
    for said in dict.fromkeys(state.held_versions.values()):
        console.print(f"{said[0].upper()}{said[1:]}; it does not come back by itself.", markup=False)
    if plot is not None:
        draw(rows, plot)
        console.print(f"Drawn: {plot}", markup=False)


def draw(rows: list[dict[str, object]], file: Path) -> None:
    """Draw churn over releases.

    Raises:
        ReleaseError: no release was compared with one before it.
    """
    from marquee.plots_of_releases import churn, churns

    compared = churns(rows)
    if not compared:
        raise ReleaseError("No release was compared with one before it yet: publish a second one (marquee publish).")
    churn(compared).savefig(file)


def rollback(
    why: Why,
    release: Annotated[
        str, typer.Argument(metavar="[RELEASE]", help="Empty: the one before the current one.", show_default=False)
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask whether it is meant.")] = False,
) -> None:
    """Make an earlier release current again, and its model the champion; what it goes back over does not come back."""
    from marquee.releases import ledger
    from marquee.releases.rollback import target_of
    from marquee.releases.standing import standing

    if not yes:
        state = standing(ledger.read(lake()))
        typer.confirm(f"Release {target_of(state, release)} takes the place of {state.current}. Go on?", abort=True)
    with AirflowClient.of(settings()) as client:
        run_dag(client, ROLLBACK, {"release": release or None, "why": why, "confirm": True}, chain=False)
    _console().print("Next: marquee releases", markup=False)


def pin(release: Listed, why: Why = "") -> None:
    """Keep a release for ever."""
    from marquee.releases import rollback as by_hand

    by_hand.pin(lake(), release, asked=asked(why))
    _console().print(f"Release {release} stays until it is unpinned. Next: marquee releases", markup=False)


def unpin(release: Listed, why: Why = "") -> None:
    """Let a pinned release go when newer ones have taken its place (setting serving.keep_releases)."""
    from marquee.releases import rollback as by_hand

    by_hand.unpin(lake(), release, asked=asked(why))
    _console().print(f"Release {release} goes when its time comes. Next: marquee releases", markup=False)


def fetch_release(
    release: Annotated[
        str, typer.Argument(metavar="[RELEASE]", help="Empty: the one that is current.", show_default=False)
    ] = "",
) -> None:
    """Bring a release from the bucket onto this machine; recommendations.duckdb leads to it where it is current."""
    from marquee.releases import LINK, ledger, remote, switch
    from marquee.releases.standing import standing

    store, folder = lake(), settings().var / "serving"
    current = standing(ledger.read(store)).current
    wanted = release or current
    if wanted is None:
        raise ReleaseError("Nothing was published yet, so there is nothing to fetch: marquee publish")
    path = remote.bring(store, folder, wanted)
    if wanted == current:
        switch(folder, wanted)
        _console().print(f'{folder / LINK} leads to release {wanted}. Next: marquee sql "from release"', markup=False)
    else:
        _console().print(f"Release {wanted}, which is not current ({current} is): {path}", markup=False)


def asked(why: str) -> Asked:
    """That the person at this terminal asks for it now."""
    from marquee.releases.ledger import Asked

    return Asked(f"command {uuid.uuid4()}", getpass.getuser(), why, datetime.now(UTC))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
