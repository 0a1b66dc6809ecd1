"""Processes of this installation, found by the mark in their environment, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from marquee.services.environment import MARK

GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)


def marked(var: Path) -> list[psutil.Process]:
    """All processes of the installation whose state is in `var`, and their descendants; never this one."""
    mark = str(var.resolve())
    ours: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(*GONE, OSError):
            if process.environ().get(MARK) == mark:
                ours |= {each.pid: each for each in (process, *process.children(recursive=True))}
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [process for pid, process in ours.items() if pid not in spared and _is_alive(process)]


def end(processes: Iterable[psutil.Process], *, grace: float) -> list[psutil.Process]:
    """SIGTERM, and after `grace` seconds SIGKILL; returns those that outlive even that."""
    asked = list(processes)
    for process in asked:
        with contextlib.suppress(*GONE):
            process.terminate()
    _, stubborn = psutil.wait_procs(asked, timeout=grace)
    for process in stubborn:
        with contextlib.suppress(*GONE):
            process.kill()
    _, left = psutil.wait_procs(stubborn, timeout=5)
    return [process for process in left if _is_alive(process)]


def start_detached(command: list[str], *, folder: Path, environment: dict[str, str], log: Path) -> psutil.Process:
    """Start a process that outlives this one and its terminal; its output goes to the end of `log`."""
    with log.open("ab") as stream:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return psutil.Process(child.pid)


def holder(port: int) -> psutil.Process | None:
    """Who listens on a TCP port of this machine; None where nobody does or the system doesn't tell."""
    for process, listened in _listeners():
        if listened == port:
            return process
    return None


def command_of(process: psutil.Process) -> str:
    """The start of a process's command line, for people."""
    try:
        words = process.cmdline() or [process.name()]
    except GONE:
        return "unknown"
    line = " ".join(words)
    return line if len(line) <= 80 else f"{line[:77]}..."


def name_of(process: psutil.Process) -> str:
    """The line of the Procfile that a process comes from; empty where it comes from none."""
    try:
        return str(process.environ().get("HONCHO_PROCESS_NAME", "")).rsplit(".", 1)[0]
    except (*GONE, OSError):
        return ""


def _listeners() -> Iterator[tuple[psutil.Process, int]]:
    # by process, not `psutil.net_connections()`: macOS lets only root see the whole table
    for process in psutil.process_iter():
        with contextlib.suppress(*GONE, OSError):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr:
                    yield process, connection.laddr.port


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except GONE:
        return False
