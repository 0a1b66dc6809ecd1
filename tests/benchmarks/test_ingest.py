"""The benchmark of the ingest at a tiny size, its arithmetic, and how it splits a file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.ingest import Run, exponent, split, summary
from marquee.settings import PROJECT

KEYS = [
    "rows", "files", "stage_s", "normalize_s", "validate_s", "normalize_validate_s", "commit_s", "duckdb_copy_s",
    "polars_scan_s", "ratio_to_duckdb", "rows_per_s", "peak_rss_mb", "exponent",
]  # fmt: skip
RUN = Run(
    ratings=1_000,
    stage_s=1,
    normalize_s=6,
    validate_s=2,
    commit_s=1,
    duckdb_copy_s=2,
    polars_scan_s=1,
    peak_rss_mb=800,
)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--files", "3"], ["--layout", "netflix"]], ids=["csv", "netflix"])
def test_a_tiny_run(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.ingest", "--ratings", "1e4", "--runs", "1", "--cold", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert list(measured) == KEYS
    assert measured["rows"] == 10_000 and measured["exponent"] is None
    assert all(measured[name] > 0 for name in KEYS[:-1])


def test_medians_and_the_highest_peak() -> None:
    runs = [RUN, replace(RUN, normalize_s=8, peak_rss_mb=900), replace(RUN, normalize_s=100, duckdb_copy_s=34)]
    measured = summary(runs, 16, 1.0)
    assert list(measured) == KEYS
    assert (measured["normalize_validate_s"], measured["ratio_to_duckdb"], measured["peak_rss_mb"]) == (10, 4.0, 900)
    assert (measured["rows_per_s"], measured["files"]) == (round(1_000 / 12), 16)


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.05])
def test_the_exponent_of_a_power_law(slope: float) -> None:
    runs = [replace(RUN, ratings=n, normalize_s=3 * n**slope, validate_s=0) for n in (10**6, 10**7, 10**8)]
    assert exponent(runs) == pytest.approx(slope)


@pytest.mark.parametrize("n_files", [2, 16])
def test_split_files_are_the_file(tmp_path: Path, n_files: int) -> None:
    header, rows = "userId,movieId,rating,timestamp\n", [f"{n},{n},3.0,{n}\n" for n in range(1_000)]
    (tmp_path / "ratings.csv").write_text(header + "".join(rows))
    parts = split(tmp_path / "ratings.csv", n_files)
    assert sorted(tmp_path.iterdir()) == parts and len(parts) == n_files
    texts = [part.read_text() for part in parts]
    assert all(text.startswith(header) for text in texts)
    assert "".join(text.removeprefix(header) for text in texts) == "".join(rows)
