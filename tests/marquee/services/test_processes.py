"""Processes are found by their mark, and end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from marquee.services.environment import MARK
from marquee.services.processes import end, marked, start_detached

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
]  # fmt: skip


def test_only_those_of_this_installation_and_their_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    child = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], env={})"
    ours = subprocess.Popen([sys.executable, "-c", child], env=os.environ | {MARK: str(here)})
    other = subprocess.Popen(SLEEP, env=os.environ | {MARK: str(there)})
    monkeypatch.setenv(MARK, str(here))
    try:
        until = time.monotonic() + 10
        while len(marked(here)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        found = {process.pid for process in marked(here)}
        assert ours.pid in found and other.pid not in found and os.getpid() not in found
        assert len(found) == 2
        assert end(marked(here), grace=5) == []
        assert marked(here) == []
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_a_mark_outlives_a_change_of_the_process_title(tmp_path: Path) -> None:
    code = "import time; from setproctitle import setproctitle\n"
    code += "setproctitle('x' * 500); print(1, flush=True); time.sleep(60)"
    names = os.environ | {MARK: str(tmp_path), "SPT_NOENV": "1"}
    process = subprocess.Popen([sys.executable, "-c", code], env=names, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline()
        assert [found.pid for found in marked(tmp_path)] == [process.pid]
    finally:
        process.kill()
        process.communicate()


def test_one_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(STUBBORN, env=os.environ | {MARK: str(tmp_path)}, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    assert end(marked(tmp_path), grace=0.3) == []
    assert marked(tmp_path) == []
    process.communicate()


def test_a_detached_one_has_a_session_of_its_own_and_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    command = [sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid(), os.environ['NAME'])"]
    process = start_detached(command, folder=tmp_path, environment={"NAME": "value"}, log=log)
    process.wait(10)
    assert log.read_text() == "before\nTrue value\n"
