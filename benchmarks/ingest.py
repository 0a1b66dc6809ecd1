"""Ingest at size: seconds of each task, peak memory, and what DuckDB and polars make of the same text in the same run.

    python -m benchmarks.ingest --ratings 25e6                            one ratings.csv, as MovieLens lays it out
    python -m benchmarks.ingest --ratings 25e6 --files 16                 in 16 part files
    python -m benchmarks.ingest --ratings 100480507 --layout netflix      combined_data_*.txt, titles and probe set
    python -m benchmarks.ingest --exponent 1e6,1e7,1e8                    how the time grows with the number of ratings

The data are generated (not timed), and go the way that they go in the DAG, into a lake of their own: `stage` in this
process; `normalize` by the command that the DAG's operator builds; `validate` in two processes side by side; `commit`,
which is the task accept. A task's seconds are those of its process, from its start to its end. All is in a scratch
folder, and done three times in turn with the comparisons, each time into a lake that is new. A small job comes before
them and leaves what an installation's first job leaves, the archive of Spark's classes.

Prints what it does, a table of all runs, and as its last line one JSON object with the medians of the runs:
`normalize_validate_s` is the sum of the two, `ratio_to_duckdb` that sum by DuckDB's COPY of the same run, `rows_per_s`
counts all four tasks; `exponent` is the slope of log `normalize_validate_s` by log ratings (null without --exponent);
`peak_rss_mb` is the highest sum of the resident memory of all processes, the lake's own among them, at any time
of any ingest (pages that they share count in each of them).
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from statistics import linear_regression, median

from benchmarks.process_tree import PeakMemory
from benchmarks.scratch import Scratch, scratch_lake
from marquee.class_archive import ClassArchive
from marquee.generate import RATINGS_HEADER
from marquee.lake import outcome
from marquee.lake.raw import stage
from marquee.settings import PROJECT
from marquee.sources import locate, recognise

TASK = [sys.executable, "-m", "benchmarks.ingest_tasks"]
BEGIN = time.monotonic()
#: What each of the DAG's tasks validates.
VALIDATED = (("ratings",), ("items", "splits", "quarantine"))
#: Where a job leaves its outcome.
WHERE = outcome.key("benchmark", "normalize")
RUNS = 3
#: Of the job that is not timed.
FIRST_RATINGS = 10_000
SAY_EVERY_SECONDS = 5.0
SEED = 1
#: Of MovieLens 25M: ratings a user, and items of 25 million ratings.
RATINGS_OF_A_USER, ITEMS_OF_25M = 154, 62_000
DIGITS = {"ratings": 0, "peak_rss_mb": 0, "ratio_to_duckdb": 2}


@dataclass(frozen=True)
class Data:
    """A data set on disk, and its files of ratings."""

    folder: Path
    files: list[Path]
    ratings: int


@dataclass(frozen=True)
class Run:
    """One run: wall seconds of each part, and the peak of the ingest's memory in MB (10^6 bytes)."""

    ratings: int
    stage_s: float
    normalize_s: float
    validate_s: float
    commit_s: float
    duckdb_copy_s: float
    polars_scan_s: float
    peak_rss_mb: float

    @property
    def normalize_validate_s(self) -> float:
        return self.normalize_s + self.validate_s

    @property
    def ratio_to_duckdb(self) -> float:
        return self.normalize_validate_s / self.duckdb_copy_s


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings", type=float, default=25e6)
    parser.add_argument("--files", type=int, default=1, help="part files (CSV)")
    parser.add_argument("--layout", choices=("csv", "netflix"), default="csv")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--exponent", default="", metavar="N,N,...", help="sizes, as 1e6,1e7,1e8; one run of each")
    parser.add_argument(
        "--cold", action="store_true", help="each job is an installation's first: see docs/decisions/008"
    )
    given = parser.parse_args(argv)
    sizes = [int(float(size)) for size in given.exponent.split(",") if size]
    with tempfile.TemporaryDirectory(prefix="marquee-ingest-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        data = make(folder / "data", int(given.ratings), given.layout, given.files)
        classes = None if given.cold else first_job(folder)
        runs = [measure(folder / f"run-{number}", data, classes) for number in range(given.runs)]
        grown: list[Run] = []
        for size in sizes:
            sized = make(folder / f"data-{size}", size, given.layout, given.files)
            grown.append(measure(folder / f"size-{size}", sized, classes))
            shutil.rmtree(sized.folder)
    print(table([*runs, *grown]))
    print(json.dumps(summary(runs, len(data.files), exponent(grown) if len(set(sizes)) > 1 else None)))
    return 0


def make(folder: Path, ratings: int, layout: str, n_files: int) -> Data:
    """Generate a data set, in a process of its own."""
    with saying(f"generating {ratings:,} ratings"):
        if layout == "netflix":
            command = [sys.executable, "-m", "benchmarks.netflix_layout", str(folder), "--seed", str(SEED)]
            run([*command, "--ratings", str(ratings)])
            return Data(folder, sorted(folder.glob("combined_data_*.txt")), ratings)
        users = max(1, min(ratings, ratings // RATINGS_OF_A_USER))
        items = max(100, round(ITEMS_OF_25M * math.sqrt(ratings / 25e6)))
        sizes = ["--users", str(users), "--items", str(items), "--ratings", str(ratings), "--seed", str(SEED)]
        run([sys.executable, "-m", "marquee.cli", "generate", str(folder), *sizes])
        files = split(folder / "ratings.csv", n_files) if n_files > 1 else [folder / "ratings.csv"]
        return Data(folder, files, ratings)


def split(file: Path, n_files: int) -> list[Path]:
    """Put a CSV's lines into part files of about the same size, each with the header; the file itself goes."""
    header = RATINGS_HEADER.encode()
    each = (file.stat().st_size - len(header)) // n_files + 1
    parts = [file.with_name(f"ratings-{number:02d}.csv") for number in range(1, n_files + 1)]
    with file.open("rb") as whole:
        whole.readline()
        for part in parts:
            with part.open("wb") as out:
                out.write(header)
                left = each
                while left > 0 and (piece := whole.read(min(left, 1 << 24))):
                    out.write(piece)
                    left -= len(piece)
                out.write(whole.readline())
    file.unlink()
    return parts


def first_job(folder: Path) -> Path:
    """The archive of classes that the first job of an installation leaves for all others: a folder."""
    data, classes = make(folder / "first-data", FIRST_RATINGS, "csv", 1), folder / "classes"
    with scratch_lake(folder / "first") as scratch, saying("a first job"):
        command, archive = command_of(scratch.environment)
        run([*command, "--batch", staged(scratch, data), "--outcome", WHERE], scratch.environment)
        if archive is not None:
            archive.keep()
            shutil.copytree(archive.path.parent, classes)
    shutil.rmtree(folder / "first")
    return classes


def command_of(variables: dict[str, str]) -> tuple[list[str], ClassArchive | None]:
    """The words by which the DAG submits the job, and the archive of classes that it uses or leaves."""
    told = json.loads(run([*TASK, "command"], variables).splitlines()[-1])
    archive = told["archive"]
    if archive is None:
        return told["words"], None
    return told["words"], ClassArchive(Path(archive["path"]), archive["left"] and Path(archive["left"]))


def staged(scratch: Scratch, data: Data) -> str:
    """Stage the data, as the DAG's task does; the batch's name."""
    located = locate(str(data.folder), scratch.settings.cache)
    return stage(scratch.lake, recognise(located), datetime.now(UTC).isoformat()).batch


def measure(folder: Path, data: Data, classes: Path | None) -> Run:
    """Ingest the data into a new lake, and have DuckDB and polars read the same files."""
    texts = [str(file) for file in data.files]
    with scratch_lake(folder) as scratch:
        variables = scratch.environment
        if classes is not None and classes.exists():
            shutil.copytree(classes, scratch.settings.var / "spark" / "classes")
        command, _ = command_of(variables)
        with PeakMemory(scratch.settings.var, with_own_tree=True) as peak:
            with saying("stage") as stage_s:
                batch = staged(scratch, data)
            with saying("normalize") as normalize_s:
                run([*command, "--batch", batch, "--outcome", WHERE], variables)
            with saying("validate") as validate_s, ThreadPoolExecutor() as at_once:
                list(at_once.map(lambda names: run([*TASK, "validate", batch, *names], variables), VALIDATED))
            with saying("commit") as commit_s:
                run([*TASK, "accept", batch], variables)
        check_counts(scratch, data)
    shutil.rmtree(folder)
    folder.mkdir()
    with saying("DuckDB's COPY") as duckdb_copy_s:
        run([*TASK, "duckdb", str(folder / "copy.parquet"), *texts], variables)
    with saying("polars' scan") as polars_scan_s:
        run([*TASK, "polars", *texts], variables)
    shutil.rmtree(folder)
    return Run(
        ratings=data.ratings,
        stage_s=stage_s.seconds,
        normalize_s=normalize_s.seconds,
        validate_s=validate_s.seconds,
        commit_s=commit_s.seconds,
        duckdb_copy_s=duckdb_copy_s.seconds,
        polars_scan_s=polars_scan_s.seconds,
        peak_rss_mb=peak.rss_mb,
    )


def check_counts(scratch: Scratch, data: Data) -> None:
    """What was generated has no fault: all of it has to be accepted."""
    left = outcome.load(scratch.lake, WHERE)
    accepted = left.result.get("ratings") if left else None
    if accepted != data.ratings:
        raise SystemExit(f"{data.ratings:,} ratings were generated, but {accepted} accepted: look at the job's log.")


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What a process prints; ends the benchmark with the last lines of one that fails."""
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join([*done.stdout.splitlines()[-20:], *done.stderr.splitlines()[-20:]])
        raise SystemExit(f"{' '.join(command)[:200]} failed with exit code {done.returncode}:\n{last}")
    return done.stdout


@dataclass
class Clock:
    """Seconds that something took, once it is over."""

    seconds: float = float("nan")


@contextmanager
def saying(what: str) -> Iterator[Clock]:
    """Say that something begins, how long it goes on, and what it took."""
    clock, begin, is_over = Clock(), time.monotonic(), threading.Event()

    def say(words: str) -> None:
        print(f"{time.monotonic() - BEGIN:8.1f} s  {what} {words}", flush=True)

    def go_on_saying() -> None:
        while not is_over.wait(SAY_EVERY_SECONDS):
            say(f"since {time.monotonic() - begin:.0f} s")

    thread = threading.Thread(target=go_on_saying, name="progress", daemon=True)
    say("begins")
    thread.start()
    try:
        yield clock
        clock.seconds = time.monotonic() - begin
    finally:
        is_over.set()
        thread.join()
    say(f"took {clock.seconds:.1f} s")


def exponent(runs: Sequence[Run]) -> float:
    """Slope of log seconds (of normalize + validate) by log ratings, by least squares."""
    logs = [(math.log(run.ratings), math.log(run.normalize_validate_s)) for run in runs]
    return linear_regression(*zip(*logs, strict=True)).slope


def table(runs: Sequence[Run]) -> str:
    """All runs, a line each."""
    names = [*(field.name for field in fields(Run)), "ratio_to_duckdb"]
    lines = [names, *([f"{getattr(run, name):,.{DIGITS.get(name, 1)}f}" for name in names] for run in runs)]
    return "\n".join("".join(word.rjust(max(len(names[at]), 11) + 2) for at, word in enumerate(line)) for line in lines)


def summary(runs: Sequence[Run], n_files: int, slope: float | None) -> dict[str, float | int | None]:
    """The medians of the runs, and the highest peak of memory."""
    middle = {
        name: round(median(getattr(run, name) for run in runs), 2)
        for name in (
            "stage_s",
            "normalize_s",
            "validate_s",
            "normalize_validate_s",
            "commit_s",
            "duckdb_copy_s",
            "polars_scan_s",
            "ratio_to_duckdb",
        )
    }
    whole = median(run.stage_s + run.normalize_validate_s + run.commit_s for run in runs)
    return {
        "rows": runs[0].ratings,
        "files": n_files,
        **middle,
        "rows_per_s": round(runs[0].ratings / whole),
        "peak_rss_mb": round(max(run.peak_rss_mb for run in runs)),
        "exponent": None if slope is None else round(slope, 3),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
