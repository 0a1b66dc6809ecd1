"""Factors kept between iterations, so that a stage that lost a task goes on from there.

    CHECKPOINTS/00010/00000-of-00002.arrow      task 0's factors after iteration 10, and how the iterations went

A checkpoint counts where all of its tasks' files are there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from marquee.lake.objects import Lake
from spark_jobs.als.plan import Factors, Iteration, Progress

LAKE = "lake://"


class Checkpoints(Protocol):
    """Where the progress of a fit is kept."""

    def save(self, progress: Progress) -> None:
        """Keep this task's progress."""
        ...

    def latest(self, start: Progress) -> Progress:
        """This task's progress by the last checkpoint that is whole, else `start`."""
        ...


class NoCheckpoints:
    """Keeps nothing."""

    def save(self, progress: Progress) -> None:
        """Keep nothing."""

    def latest(self, start: Progress) -> Progress:
        return start


@dataclass(frozen=True)
class StoredCheckpoints:
    """Checkpoints in a folder that all tasks reach.

    Attributes:
        folder: `lake://KEY` in the lake's bucket, or any URI or path that pyarrow knows.
        task, n_tasks: whose they are.
    """

    folder: str
    task: int
    n_tasks: int

    def save(self, progress: Progress) -> None:
        filesystem, root = located(self.folder)
        folder = f"{root}/{len(progress.history):05d}"
        filesystem.create_dir(folder, recursive=True)
        whole = f"{folder}/{self._name(self.task)}"
        unfinished = f"{folder}/.{self._name(self.task)}"
        history = json.dumps([asdict(one) for one in progress.history]).encode()
        sets = [progress.factors] if progress.best is progress.factors else [progress.factors, progress.best]
        with filesystem.open_output_stream(unfinished) as out:
            for array in (
                np.frombuffer(history, np.uint8),
                np.array([len(sets)]),
                *(side for factors in sets for side in (factors.users, factors.items)),
            ):
                pa.ipc.write_tensor(pa.Tensor.from_numpy(np.ascontiguousarray(array)), out)
        filesystem.move(unfinished, whole)

    def latest(self, start: Progress) -> Progress:
        filesystem, root = located(self.folder)
        found = filesystem.get_file_info(pafs.FileSelector(root, allow_not_found=True, recursive=True))
        files = {info.path for info in found if info.is_file}
        iterations = sorted((info.base_name for info in found if not info.is_file), reverse=True)
        for iteration in iterations:
            folder = f"{root}/{iteration}"
            if all(f"{folder}/{self._name(task)}" in files for task in range(self.n_tasks)):
                return _read(filesystem, f"{folder}/{self._name(self.task)}")
        return start

    def _name(self, task: int) -> str:
        return f"{task:05d}-of-{self.n_tasks:05d}.arrow"


def remove(folder: str) -> None:
    """Remove a fit's checkpoints."""
    filesystem, root = located(folder)
    if filesystem.get_file_info(root).type == pafs.FileType.Directory:
        filesystem.delete_dir(root)


def located(folder: str) -> tuple[pafs.FileSystem, str]:
    """The file system and the path of a folder of checkpoints."""
    if folder.startswith(LAKE):
        lake = Lake.from_environment()
        return lake.filesystem(), f"{lake.bucket}/{folder.removeprefix(LAKE)}"
    filesystem, path = pafs.FileSystem.from_uri(folder)
    return filesystem, path.rstrip("/")


def _read(filesystem: pafs.FileSystem, path: str) -> Progress:
    with filesystem.open_input_file(path) as file:
        history, n_sets = (pa.ipc.read_tensor(file).to_numpy() for _ in range(2))
        sets = [Factors(*(pa.ipc.read_tensor(file).to_numpy().copy() for _ in range(2))) for _ in range(int(n_sets[0]))]
    return Progress(sets[0], sets[-1], tuple(Iteration(**one) for one in json.loads(history.tobytes())))
