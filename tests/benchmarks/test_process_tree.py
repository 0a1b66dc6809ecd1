"""Which processes the benchmark counts, with real ones that hold a known amount of memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.process_tree import PeakMemory

HELD_MB = 60
HOLD = f"held = bytes(range(256)) * {HELD_MB * 1_000_000 // 256}; print('ready', flush=True); input()"
# its child has no mark in its environment, and is counted as its descendant
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}], env={{}})"


def start(code: str, **environment: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    return started


def test_marked_processes_and_their_descendants_are_counted(tmp_path: Path) -> None:
    mark = str(tmp_path.resolve())
    started = [start(PARENT, MARQUEE_VAR=mark), start(HOLD, MARQUEE_VAR="another"), start(HOLD)]
    try:
        peak = PeakMemory(tmp_path)
        peak.sample()
    finally:
        for process in started:
            process.communicate("\n")
    assert peak.processes == 2
    assert HELD_MB < peak.rss_mb < 2.5 * HELD_MB
    if sys.platform == "linux":
        assert HELD_MB < peak.pss_mb <= peak.rss_mb


def test_the_peak_stays_when_the_processes_are_gone(tmp_path: Path) -> None:
    with PeakMemory(tmp_path) as peak:
        process = start(HOLD, MARQUEE_VAR=str(tmp_path.resolve()))
        time.sleep(1.5)
        process.communicate("\n")
        time.sleep(0.7)
    assert peak.processes == 1 and peak.rss_mb > HELD_MB
