"""`marquee up`, `down` and `status`: the embedded services."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from marquee import services
from marquee.credentials import FILE
from marquee.settings import settings


def up() -> None:
    """Start the services, and wait until all answer; those that run already are left alone."""
    begin = time.monotonic()
    console = Console(highlight=False)
    services.up(settings(), lambda message: console.print(f"{time.monotonic() - begin:6.1f} s  {message}"))
    console.print(f"Airflow  {settings().airflow_url}  user {settings().airflow.username}")
    console.print(f"MLflow   {settings().mlflow_uri}  user {settings().mlflow.username}")
    console.print(f"S3       {settings().s3_endpoint}")
    console.print(f"Passwords are in {settings().var / FILE}. Next: marquee ingest SOURCE", soft_wrap=True)


def down() -> None:
    """End the services; what they hold stays in the folder of state."""
    begin = time.monotonic()
    console = Console(highlight=False)
    count = services.down(settings(), lambda message: console.print(f"{time.monotonic() - begin:6.1f} s  {message}"))
    console.print(f"{count} processes ended, none left." if count else "Nothing ran.")


def status(
    passwords: Annotated[bool, typer.Option("--passwords", help="Show the logins too.")] = False,
) -> None:
    """Show each service: whether it answers, where, and what it costs; exit code 1 unless all answer."""
    found = services.status(settings())
    table = Table(box=None, pad_edge=False)
    for heading in ("service", "state", "address", "run by", "processes", "memory"):
        table.add_column(heading, overflow="fold")
    for service in found:
        table.add_row(
            service.name,
            "[green]healthy[/]" if service.is_healthy else f"[red]{service.problem}[/]",
            service.url,
            "marquee" if service.is_embedded else "others",
            str(service.processes) if service.is_embedded else "",
            f"{service.resident_mb:.0f} MB" if service.is_embedded else "",
        )
    console = Console(highlight=False)
    console.print(table)
    _show_work(console, is_up=all(service.is_healthy for service in found))
    if passwords:
        _show_logins(console)
    if not all(service.is_healthy for service in found):
        raise typer.Exit(1)


def _show_work(console: Console, *, is_up: bool) -> None:
    """The newest run of each DAG, and the release that is published."""
    from marquee.airflow_client import AirflowClient
    from marquee.releases import current

    if is_up:
        table = Table(box=None, pad_edge=False)
        for heading in ("DAG", "newest run", "at", "next"):
            table.add_column(heading, overflow="fold")
        with AirflowClient.of(settings()) as client:
            for dag in client.dags():
                _, state, at = client.last_run(dag.dag_id) or ("", "never ran", "")
                table.add_row(dag.dag_id, "paused" if dag.is_paused else state, at[:19], dag.next_run[:19])
        console.print()
        console.print(table)
    release = current(settings().var / "serving")
    console.print(f"\nRelease {release or 'none yet: marquee ingest SOURCE'}", markup=False)


def _show_logins(console: Console) -> None:
    from marquee.credentials import credentials

    secret = credentials(settings())
    console.print(f"Airflow  user {settings().airflow.username}  password {secret.airflow_password}", markup=False)
    console.print(f"MLflow   user {settings().mlflow.username}  password {secret.mlflow_password}", markup=False)
    console.print(f"S3       access key {secret.s3_access_key}  secret key {secret.s3_secret_key}", markup=False)
