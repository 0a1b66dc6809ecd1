"""The demo in a scratch folder: how long it takes, cold and a second time, what it costs, and how good the model is.

    python -m benchmarks.demo                         MovieLens latest-small, downloaded as `make demo` does
    python -m benchmarks.demo ml-latest-small.zip     another folder, file, archive or URL

Prints the demo's own output, and as its last line one JSON object: seconds of both runs (without the installation of
packages), the peak of the resident memory of all processes together (pages that they share count in each of them; the
line before tells it with shared pages counted once), nDCG@10 of the model and of the popularity floor, and the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.process_tree import PeakMemory
from marquee import services
from marquee.airflow_client import AirflowClient
from marquee.cli.pipelines import INGEST, absolute
from marquee.releases import connect
from marquee.services.ports import free_ports
from marquee.settings import PROJECT, Ports, Settings

METRIC = "ndcg_at_10"


def main(argv: list[str]) -> int:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_argument("place", nargs="?", default="", metavar="SOURCE", help="as of `marquee demo`")
    arguments.add_argument("--source", default="", help="the same, by name")
    given = arguments.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="marquee-benchmark-", ignore_cleanup_errors=True) as folder:
        measured = measure(Path(folder), absolute(given.source or given.place))
    print(json.dumps(measured))
    return 0


def measure(folder: Path, source: str) -> dict[str, Any]:
    """Run the demo twice with all state in the folder, and look at what it left."""
    names = list(Ports.model_fields)
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    settings = Settings(var=folder / "var", cache=folder / "cache", ports=Ports(**ports))
    # what a person's shell says about Marquee is not what is measured here
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MARQUEE_")}
    environment |= {f"MARQUEE_PORTS__{name.upper()}": str(port) for name, port in ports.items()}
    environment |= {"MARQUEE_VAR": str(settings.var), "MARQUEE_CACHE": str(settings.cache)}
    try:
        with PeakMemory(settings.var) as peak:
            cold = seconds_of_demo(source, environment)
            ingested = ingested_rows(settings)
            second = seconds_of_demo(source, environment)
        print(f"Peak of {peak.processes} processes: RSS {peak.rss_mb:,.0f} MB, PSS {peak.pss_mb:,.0f} MB", flush=True)
        value, floor, recommendations = released(settings)
    finally:
        services.down(settings)
    return {
        "cold_s": round(cold, 1),
        "second_s": round(second, 1),
        "peak_rss_mb": round(peak.rss_mb),
        METRIC: round(value, 4),
        f"floor_{METRIC}": round(floor, 4),
        "rows": {**ingested, "recommendations": recommendations},
    }


def seconds_of_demo(source: str, environment: dict[str, str]) -> float:
    """Wall time of one `marquee demo`; ends the benchmark where the demo fails, which has said why."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "marquee.cli", "demo", *([source] if source else [])]
    done = subprocess.run(command, cwd=PROJECT, env=environment, check=False)
    if done.returncode != 0:
        raise SystemExit(f"The demo failed with exit code {done.returncode}: its last lines above say why.")
    return time.monotonic() - begin


def ingested_rows(settings: Settings) -> dict[str, int]:
    """What the ingest has read, accepted (ratings and items) and quarantined, as its task told Airflow."""
    with AirflowClient.of(settings) as client:
        newest = client.last_run(INGEST)
        counts = client.xcom(INGEST, newest[0], "normalize") if newest else None
    if counts is None:
        raise SystemExit(f"Airflow knows no counts of a run of {INGEST}: look at its task normalize.")
    return {
        "raw": counts["read"],
        "accepted": counts["ratings"] + counts["items"],
        "quarantined": counts["quarantined"],
    }


def released(settings: Settings) -> tuple[float, float, int]:
    """nDCG@10 of the published model, that of the floor, and the number of recommendations, by SQL."""
    with connect(settings.var / "serving") as connection:
        row = connection.execute(
            "SELECT any_value(value) FILTER (is_champion), any_value(value) FILTER (is_floor) "
            "FROM evaluation WHERE metric = ? HAVING count(*) > 0",
            [METRIC],
        ).fetchone()
        count = connection.execute("SELECT count(*) FROM recommendations").fetchone()
    if row is None or count is None:
        raise SystemExit(f"The release has no {METRIC}: look at its table evaluation.")
    return float(row[0]), float(row[1]), int(count[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
