"""Bad input, over the running services: one sentence, nothing moves, and the same command works after mending.

The expensive cases share what they can: a mended file becomes the small good batch, which the first of them takes in
(training is paused by then, so that it stays the one release) and the others find there.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from expectations.contracts import RATINGS
from expectations.prepared import load_witnesses, save_witnesses
from expectations.witnesses import witnesses
from marquee import registry, releases, services
from marquee.airflow_client import Run
from marquee.lake import tables
from marquee.services.processes import marked
from marquee.sources import FORMATS

pytestmark = pytest.mark.end_to_end

HEADER = "userId,movieId,rating,timestamp\n"
GOOD = HEADER + "".join(
    f"new{user},{item},{item % 9 / 2 + 0.5},{1_600_000_000 + item}\n" for user in range(9) for item in range(1, 9)
)
N_GOOD = 72


@dataclass(frozen=True)
class Refused:
    """A failed command, its run, and what stood before and after it."""

    done: subprocess.CompletedProcess[str]
    run: Run
    before: dict[str, Any]
    after: dict[str, Any]


@pytest.fixture
def state(installation: Any, in_mlflow: None) -> Callable[[], dict[str, Any]]:
    """A function that tells what must not move."""

    def look() -> dict[str, Any]:
        return {
            "release": releases.current(installation.settings.var / "serving"),
            "champion": registry.champion("marquee"),
            "tables": {
                name: tables.current_version(installation.lake, name)
                for name in ("ratings", "items", "quarantine", "recommendations")
            },
        }

    return look


@pytest.fixture
def refuse(installation: Any, pipeline: Any, state: Callable[[], dict[str, Any]]) -> Callable[..., Refused]:
    """A function that runs `marquee ingest` with these words, which has to fail."""

    def ingest(*words: str) -> Refused:
        before = state()
        done = installation.marquee("ingest", "--no-chain", *words)
        assert done.returncode == 1, done.stdout + done.stderr
        with installation.client() as client:
            run_id = client.last_run("ingest_ratings")[0]
            return Refused(done, client.follow("ingest_ratings", run_id), before, state())

    return ingest


@pytest.fixture(scope="module", autouse=True)
def no_training(installation: Any, pipeline: Any) -> Iterator[None]:
    """What the mended files bring in trains nothing: the release of the first ingest is to stay."""
    with installation.client() as client:
        client._send("PATCH", "/dags/train_recommender", json={"is_paused": True})
        yield


def check(refused: Refused, task: str, *patterns: str) -> None:
    """One sentence that names the task and all of the patterns; that task failed at its first try; nothing moved."""
    (line,) = refused.done.stderr.strip().splitlines()
    assert line.startswith(f"Task {task} of ingest_ratings failed. ")
    assert f"/runs/{quote(refused.run.run_id, safe='')}/tasks/{task})" in line
    for pattern in patterns:
        assert re.search(pattern, line), f"{pattern} is not in {line}"
    assert "Traceback" not in refused.done.stdout + refused.done.stderr
    states = {each.task_id: (each.state, each.try_number) for each in refused.run.tasks}
    assert states[task] == ("failed", 1), "what needs a person is not tried again"
    assert states["accept"][0] == "upstream_failed"
    assert refused.after == refused.before


def check_at_once(refused: Refused, pattern: str) -> None:
    """One sentence, before or in the task `stage`; nothing moved."""
    (line,) = refused.done.stderr.strip().splitlines()
    assert re.search(pattern, line), f"{pattern} is not in {line}"
    assert "Traceback" not in refused.done.stdout + refused.done.stderr
    assert refused.after == refused.before


def works(installation: Any, *words: str) -> str:
    done = installation.marquee("ingest", "--no-chain", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def test_a_missing_source(refuse: Callable[..., Refused], installation: Any, pipeline: Any, tmp_path: Path) -> None:
    source = tmp_path / "ml.zip"
    check(refuse(str(source)), "stage", re.escape(f"{source} does not exist: check its spelling"))
    shutil.copy(pipeline.source, source)
    # the same bytes in a file of another name are the same batch
    assert "These bytes are in the lake already" in works(installation, str(source))


def test_an_archive_that_is_cut_off(
    refuse: Callable[..., Refused], installation: Any, pipeline: Any, tmp_path: Path
) -> None:
    source = tmp_path / "ml-latest-small.zip"
    source.write_bytes(pipeline.source.read_bytes()[:500_000])
    check_at_once(
        refuse(str(source)),
        r"ml-latest-small\.zip can't be read as an archive, it is cut off or damaged .*: get the file again",
    )
    shutil.copy(pipeline.source, source)
    assert "already" in works(installation, str(source))


def test_a_wrong_checksum(refuse: Callable[..., Refused], installation: Any, pipeline: Any, tmp_path: Path) -> None:
    whole = pipeline.source.read_bytes()
    source, expected = tmp_path / "ml.zip", hashlib.sha256(whole).hexdigest()
    source.write_bytes(whole + b"\n")
    found = hashlib.sha256(whole + b"\n").hexdigest()
    check(
        refuse(str(source), "--sha256", expected),
        "stage",
        rf"ml\.zip has the wrong checksum \(sha256 expected {expected}, found {found}\): get the file again",
    )
    source.write_bytes(whole)
    assert "already" in works(installation, str(source), "--sha256", expected)


@dataclass(frozen=True)
class Batch:
    """The small good batch in the lake: its name and the run that brought it in."""

    name: str
    run_id: str


@pytest.fixture(scope="module")
def batch(installation: Any, no_training: None, tmp_path_factory: pytest.TempPathFactory) -> Batch:
    source = tmp_path_factory.mktemp("good") / "ratings.csv"
    source.write_text(GOOD)
    works(installation, str(source))
    name = f"{hashlib.sha256(GOOD.encode()).hexdigest()}-{FORMATS['movielens-csv'].digest}"
    runs = {entry.get("marquee.batch"): entry for entry in tables.history(installation.lake, "ratings")}
    return Batch(name, runs[name]["marquee.ingest_run_id"])


def test_missing_and_unknown_columns(refuse: Callable[..., Refused], installation: Any, tmp_path: Path) -> None:
    source = tmp_path / "ratings.csv"
    source.write_text(GOOD.replace("rating,", "stars,", 1))
    check(
        refuse(str(source), "--format", "movielens-csv"),
        "normalize",
        r"ratings\.csv, line 1: no column 'rating'; unknown column 'stars'\. The first line has to name "
        r"'userId,movieId,rating,timestamp' .*: rename the columns",
    )
    before = tables.current_version(installation.lake, "ratings")
    source.write_text(GOOD)
    assert "accept" in works(installation, str(source))
    assert tables.current_version(installation.lake, "ratings") == before + 1
    with installation.client() as client:
        run = client.follow("ingest_ratings", client.last_run("ingest_ratings")[0])
        assert client.xcom("ingest_ratings", run.run_id, "normalize")["ratings"] == N_GOOD
    assert run.is_success and {task.state for task in run.tasks} == {"success"}


def test_an_empty_file(refuse: Callable[..., Refused], installation: Any, batch: Batch, tmp_path: Path) -> None:
    source = tmp_path / "ratings.csv"
    source.touch()
    check_at_once(refuse(str(source)), re.escape(f"{source} is empty (0 bytes): name a file with ratings"))
    source.write_text(GOOD)
    assert "already" in works(installation, str(source))


def test_a_file_of_mostly_invalid_rows(
    refuse: Callable[..., Refused], installation: Any, batch: Batch, tmp_path: Path
) -> None:
    source = tmp_path / "ratings.csv"
    lines = GOOD.splitlines(keepends=True)
    bad = [line.replace(",", ";") if at % 3 else line for at, line in enumerate(lines[1:])]
    source.write_text(lines[0] + "".join(bad))
    check(
        refuse(str(source)),
        "normalize",
        r"48 of 72 ratings \(66\.7%\) break a rule, more than the 1\.0% allowed \(48 wrong_field_count\): "
        r"ratings\.csv, line 3: 1 fields where 4 are due .*; ratings\.csv, line 4: .*"
        r"mend the file and ingest it again, or allow more with the parameter max_quarantined",
    )
    source.write_text(GOOD)
    assert "already" in works(installation, str(source))


def test_a_failing_expectation_stops_accept(
    installation: Any, batch: Batch, state: Callable[[], dict[str, Any]]
) -> None:
    """Rows that the job would never let through are put among the prepared ones, and the run goes on from there."""
    lake = installation.lake
    prepared = tables.load_prepared(lake, "ratings", batch.name)
    witnesses_before = load_witnesses(lake, "ratings", batch.name)
    rows = pa.concat_tables(tables.read_parts(lake, prepared))
    wrong = rows.set_column(rows.column_names.index("rating"), "rating", pc.add(rows["rating"], 10.0))
    part = tables.write_part(lake, "ratings", batch.name, wrong, bucket=0)
    before = state()
    tables.save_prepared(lake, tables.Prepared("ratings", batch.name, (part,), n_buckets=1))
    save_witnesses(lake, "ratings", batch.name, witnesses(wrong, RATINGS))

    failed = again_from(installation, batch.run_id, "validate_ratings")
    states = {task.task_id: task.state for task in failed.tasks}
    assert states["validate_ratings"] == "failed" and states["accept"] == "upstream_failed"
    with installation.client() as client:
        sentence = client.failure(failed)
    assert sentence.startswith("Task validate_ratings of ingest_ratings failed. Table ratings breaks 1 of its ")
    # the count, and one of the ratings of 11 to 14.5 as an example
    assert re.search(rf"\({N_GOOD} rows\): rating: .*\b{N_GOOD}\b.*\b1[1-4]\.[05]\b", sentence), sentence
    assert state() == before

    tables.save_prepared(lake, prepared)
    save_witnesses(lake, "ratings", batch.name, witnesses_before)
    assert again_from(installation, batch.run_id, "validate_ratings").is_success
    assert state() == before


def again_from(installation: Any, run_id: str, task: str) -> Run:
    """Clear a task and those after it, as the button in Airflow's page does, and wait for the end of the run."""
    what = {"dag_run_id": run_id, "task_ids": [task], "include_downstream": True, "only_failed": False}
    with installation.client() as client:
        client._send(
            "POST", "/dags/ingest_ratings/clearTaskInstances", json={**what, "dry_run": False, "reset_dag_runs": True}
        )
        return client.follow("ingest_ratings", run_id, timeout=300)


def test_the_release_of_the_first_ingest_still_answers(installation: Any, pipeline: Any) -> None:
    with releases.connect(installation.settings.var / "serving") as connection:
        assert connection.execute("SELECT count(*) FROM recommendations").fetchone() == (6_100,)
        assert connection.execute("SELECT train_run_id FROM release").fetchone() == (
            pipeline.runs["train_recommender"].run_id,
        )


def test_down_leaves_nothing(installation: Any) -> None:
    done = installation.marquee("down")
    assert done.returncode == 0 and "none left" in done.stdout
    assert marked(installation.settings.var) == []
    assert services.down(installation.settings) == 0
