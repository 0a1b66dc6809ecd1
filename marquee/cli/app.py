"""The commands, one module each, and how an error reaches a person: one sentence, exit code 1."""

from __future__ import annotations

import os
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from marquee.cli import (
    demo,
    forgetting,
    generation,
    inspection,
    pipelines,
    quarantine,
    releasing,
    services,
    serving,
    tables,
)
from marquee.errors import MarqueeError
from marquee.services.environment import without_proxy


class Commands(TyperGroup):
    """Commands in the order they are added in, and errors of ours without a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MarqueeError as error:
            Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    demo.demo,
    services.up,
    services.down,
    services.status,
    inspection.inspect,
    pipelines.ingest,
    pipelines.train,
    pipelines.promote,
    pipelines.publish,
    releasing.releases,
    releasing.rollback,
    releasing.pin,
    releasing.unpin,
    releasing.fetch_release,
    tables.sql,
    serving.serve,
    quarantine.quarantine,
    forgetting.forget,
    generation.generate,
):
    app.command()(command)


@app.callback()
def prepare() -> None:
    """Ratings in, recommendations out: services, pipelines and tables of Marquee."""
    os.environ.update(without_proxy(os.environ))
