"""Peak memory of an installation while it works: its services, Airflow's tasks, Spark's JVMs and Python workers."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

from marquee.services.processes import GONE

PAUSE_SECONDS = 0.5
YOUNG_SECONDS = 5.0
PSS = re.compile(r"^Pss:\s+(\d+) kB", flags=re.MULTILINE)


class PeakMemory:
    """Samples every half second, in a thread, all processes that carry `MARQUEE_VAR=<var>`, with their descendants.

    `with_own_tree` adds this process and its descendants.

    Attributes:
        rss_mb: highest sum of resident memory, in MB (10^6 bytes). Pages that processes share count in each of them.
        pss_mb: highest sum of proportional memory, where shared pages count once; NaN where the system tells none.
        processes: the largest number of processes at once.
    """

    def __init__(self, var: Path, *, with_own_tree: bool = False) -> None:
        self.rss_mb = 0.0
        self.pss_mb = float("nan")
        self.processes = 0
        self._mark = str(var.resolve())
        own = psutil.Process()
        self._is_ours = {(own.pid, own.create_time()): True} if with_own_tree else {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak-memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(PAUSE_SECONDS):
            self.sample()

    def sample(self) -> None:
        """Look once."""
        ours = self._ours()
        resident = [_resident(process) for process in ours]
        proportional = [size for process in ours if (size := _proportional(process)) is not None]
        self.processes = max(self.processes, len(ours))
        self.rss_mb = max(self.rss_mb, sum(resident) / 1e6)
        if proportional:
            self.pss_mb = max(sum(proportional) / 1e6, 0.0 if self.pss_mb != self.pss_mb else self.pss_mb)

    def _ours(self) -> list[psutil.Process]:
        """Processes of the installation. An environment is read once a process: it is what costs most here."""
        found: dict[int, psutil.Process] = {}
        children: dict[int, list[psutil.Process]] = {}
        for process in psutil.process_iter():
            with suppress(*GONE, OSError):
                children.setdefault(process.ppid(), []).append(process)
                identity = (process.pid, process.create_time())
                is_ours = self._is_ours.get(identity)
                if is_ours is None:
                    is_ours = process.environ().get("MARQUEE_VAR") == self._mark
                    # just after its fork a process has its parent's environment: such a "no" is asked again
                    if is_ours or time.time() - process.create_time() > YOUNG_SECONDS:
                        self._is_ours[identity] = is_ours
                if is_ours:
                    found[process.pid] = process
        waiting = list(found)
        while waiting:
            for child in children.get(waiting.pop(), []):
                if child.pid not in found:
                    found[child.pid] = child
                    waiting.append(child.pid)
        return list(found.values())


def _resident(process: psutil.Process) -> int:
    with suppress(*GONE):
        return int(process.memory_info().rss)
    return 0


def _proportional(process: psutil.Process) -> int | None:
    with suppress(OSError):
        match = PSS.search(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii"))
        return int(match[1]) * 1024 if match else None
    return None
