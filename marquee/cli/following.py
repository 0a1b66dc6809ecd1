"""A DAG run on the terminal: each task as it begins and ends, then what the run set off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console

from marquee.airflow_client import AirflowClient, Run, Task
from marquee.cli.deciding import show_decision
from marquee.errors import MarqueeError

SHOWN = {
    "running": "cyan",
    "success": "green",
    "failed": "red",
    "up_for_retry": "yellow",
    "upstream_failed": "red",
    "skipped": "dim",
    "removed": "dim",
}


def run_dag(client: AirflowClient, dag_id: str, conf: Mapping[str, Any], *, chain: bool = True) -> list[Run]:
    """Trigger a DAG and follow it; with `chain` also the runs that its assets set off, and theirs.

    Returns:
        The runs in the order that they ended in, all of them successes.

    Raises:
        MarqueeError: a run failed; carries the sentence of its failed task.
    """
    run = _follow(client, _console(), dag_id, client.trigger(dag_id, conf))
    return [run, *(what_follows(client, run) if chain else [])]


def what_follows(client: AirflowClient, run: Run) -> list[Run]:
    """Follow the runs that a run's assets set off, and theirs.

    Returns:
        These runs in the order that they ended in, all of them successes.

    Raises:
        MarqueeError: a run failed; carries the sentence of its failed task.
    """
    done: list[Run] = []
    waiting = client.downstream(run.dag_id, run.run_id)
    while waiting:
        done.append(_follow(client, _console(), *waiting.pop(0)))
        waiting += client.downstream(done[-1].dag_id, done[-1].run_id)
    return done


def is_skipped(run: Run, task_id: str) -> bool:
    """Whether a task of a run was skipped: it had nothing to do."""
    return any(task.task_id == task_id and task.state == "skipped" for task in run.tasks)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _follow(client: AirflowClient, console: Console, dag_id: str, run_id: str) -> Run:
    begin = time.monotonic()
    console.print(f"[bold]{dag_id}[/]  {client.page(dag_id, run_id)}")

    def show(task: Task) -> None:
        if task.state not in SHOWN:
            return
        took = f"  {task.seconds:.1f} s" if task.seconds and task.state in {"success", "failed"} else ""
        again = f"  try {task.try_number}" if task.try_number > 1 else ""
        color, name = SHOWN[task.state], f"{task.name:<24}"
        console.print(f"{time.monotonic() - begin:7.1f} s  {name} [{color}]{task.state}[/]{took}{again}")

    try:
        run = client.follow(dag_id, run_id, show)
    except KeyboardInterrupt:
        console.print(f"The run goes on without you: {client.page(dag_id, run_id)}")
        raise typer.Exit(130) from None
    if not run.is_success:
        raise MarqueeError(client.failure(run))
    console.print(f"{time.monotonic() - begin:7.1f} s  {dag_id} is done")
    if any(task.task_id == "gate" for task in run.tasks):
        show_decision(console, client.xcom(dag_id, run_id, "gate"))
    return run
