"""`marquee forget`: a person's or an item's rows leave the lake, and nothing that is left says whose."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from marquee.airflow_client import AirflowClient
from marquee.cli.following import run_dag, what_follows
from marquee.cli.lake import lake
from marquee.errors import MarqueeError, SettingsError
from marquee.settings import settings

FORGET = "forget_person"
#: In place of an id: it is asked for, and so in no list of processes and no shell's history.
ASK = "-"


def forget(
    user: Annotated[str, typer.Option(help="Id of the user; - to be asked for it.", show_default=False)] = "",
    item: Annotated[str, typer.Option(help="Id of the item; - to be asked for it.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask whether it is meant.")] = False,
    again: Annotated[
        str, typer.Option(help="Run a request once more that did not get to its end.", show_default=False)
    ] = "",
    listed: Annotated[
        bool, typer.Option("--list", help="Show what was forgotten, and what is still asked for.")
    ] = False,
    chain: Annotated[
        bool, typer.Option("--chain/--no-chain", help="Follow also the runs that this one sets off, up to the release.")
    ] = True,
) -> None:
    """Take a person's (or an item's) rows out of raw files, tables, results and the next release, for good.

    The id goes into the lake as a request of a random name, which alone the run in Airflow knows.
    """
    if sum(map(bool, (user, item, again, listed))) != 1:
        raise SettingsError("Give one of --user ID, --item ID, --again REQUEST and --list.")
    console = Console(highlight=False, soft_wrap=True)
    if listed:
        show(console)
        return
    from marquee.forgetting import requests

    given = user or item
    if again:
        requests.subject_of(lake(), again)  # a sentence where there is no such request
    request = again or _asked("user" if user else "item", given, is_sure=yes)
    if given not in ("", ASK):
        _out_of_sight(request, chain=chain)
    run(request, chain=chain)
    console.print('Next: marquee forget --list, or marquee sql "from release"', markup=False)


def show(console: Console) -> None:
    """The records of what was forgotten, and the requests that are not done; no ids are in them."""
    from marquee.forgetting import requests

    store = lake()
    open_ones, done = requests.asked(store), requests.records(store)
    if not open_ones and not done:
        console.print("Nothing was ever forgotten: marquee forget --user ID", markup=False)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("request", "kind", "requested", "done", "rows taken out"):
        table.add_column(heading, overflow="fold")
    for record in done:
        rows = ", ".join(f"{n:,} {place}" for place, n in record.rows.items() if n) or "none"
        table.add_row(record.request, record.kind, record.requested_at[:19], record.done_at[:19], rows)
    for one in open_ones:
        table.add_row(one.request, one.kind, one.requested_at[:19], "not yet", "")
    console.print(table)
    if open_ones:
        console.print(f"Next: marquee forget --again {open_ones[0].request}", markup=False)


def run(request: str, *, chain: bool) -> None:
    """Run a request to its end.

    Raises:
        MarqueeError: it did not get there; says how to take it up again.
    """
    with AirflowClient.of(settings()) as client:
        try:
            (done,) = run_dag(client, FORGET, {"request": request}, chain=False)
        except MarqueeError as error:
            raise MarqueeError(f"{error} When that is mended: marquee forget --again {request}") from None
        if chain:
            what_follows(client, done)


def _asked(kind: str, given: str, *, is_sure: bool) -> str:
    """Write the request down, and give its name.

    Raises:
        SettingsError: no id was given.
        typer.Abort: it was not meant.
    """
    from marquee.forgetting import requests
    from marquee.forgetting.subject import Subject

    wanted = _typed(kind) if given == ASK else given
    if not wanted:
        raise SettingsError(f"No id of the {kind} was given: spell it as the source does.")
    if not is_sure:
        typer.confirm(
            f"All rows of {kind} {wanted!r} leave the raw files, tables and results, and can't be brought back. Go on?",
            abort=True,
        )
    with AirflowClient.of(settings()) as client:
        client.dag(FORGET)  # before an id is written anywhere
    return requests.ask(lake(), Subject("user" if kind == "user" else "item", wanted), datetime.now(UTC).isoformat())


def _out_of_sight(request: str, *, chain: bool) -> None:
    """Go on as a process that does not show the id in the list of processes."""
    sys.stdout.flush()
    words = ["-m", "marquee.cli", "forget", "--again", request, "--chain" if chain else "--no-chain"]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606 - without a shell is what is wanted


def _typed(kind: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Id of the {kind}"))
    return sys.stdin.readline().rstrip("\r\n")
