"""`marquee generate`: ratings that are made up, and say so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def generate(
    folder: Annotated[Path, typer.Argument(help="New folder to write to.", show_default=False)],
    users: Annotated[int, typer.Option(help="Number of users.")] = 1_000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 2_000,
    ratings: Annotated[int, typer.Option(help="Number of ratings, exactly.")] = 100_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same bytes.")] = 1,
) -> None:
    """Make up a data set in the layout of MovieLens: long-tailed popularity, latent taste, times, titles, genres."""
    from marquee.generate import generate as make

    columns = (TextColumn("ratings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("ratings", total=ratings)
        made = make(
            folder,
            users=users,
            items=items,
            ratings=ratings,
            seed=seed,
            progress=lambda done: bar.update(task, completed=done),
        )
    console = Console(highlight=False, soft_wrap=True)
    was_there = "" if made.is_new else " (it was there already)"
    console.print(
        f"{made.folder}: {made.ratings:,} generated ratings by {made.users:,} users "
        f"of {made.items:,} items{was_there}.",
        markup=False,
    )
    console.print(f"Next: marquee ingest {made.folder}", markup=False)
