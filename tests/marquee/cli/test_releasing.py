"""The commands about releases, as a person types them, beside a real S3 server."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from marquee import releases
from marquee.cli import app
from marquee.lake.objects import Lake
from marquee.releases import ledger, remote
from tests.marquee.releases import small

pytestmark = pytest.mark.usefixtures("connected")


@pytest.fixture
def published(fresh_lake: Lake, tmp_path: Path) -> None:
    """Releases r1 and r2 of another machine, with copies in the bucket."""
    asked = small.asked("before")
    folder = tmp_path / "another machine"
    for name in ("r1", "r2"):
        releases.build(folder, name, small.inputs(name, small.lists()), small.DDL)
        remote.upload(fresh_lake, folder, name)
    rows = [
        ledger.row("publish", "r1", asked, model_name="m", model_version="1"),
        ledger.row("publish", "r2", asked, model_name="m", model_version="2", jaccard=0.5, rbo=0.25),
    ]
    ledger.add(fresh_lake, lambda _: rows, fence=1, schema=small.SCHEMA)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words))
    return done.exit_code, done.stdout + done.stderr


def table(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines() if line.startswith("r") and "release" not in line]


def test_before_anything_is_published() -> None:
    assert run("releases") == (0, "Nothing was published yet: marquee publish\n")
    code, out = run("fetch-release")
    assert code == 1 and "Nothing was published yet" in out


def test_the_releases_and_their_pins(published: None, fresh_lake: Lake) -> None:
    code, out = run("releases")
    size = f"{(remote.manifest(fresh_lake, 'r1') or {})['files'][releases.LINK]['size'] / 1e6:,.1f}"
    when = ["2026-01-02", "03:04"]
    assert code == 0
    assert table(out) == [["r2", *when, "2", "yes", size, "MB"], ["r1", *when, "1", size, "MB"]]
    assert run("pin", "r1", "--why", "the one for the fair")[0] == 0
    assert table(run("releases")[1])[1] == ["r1", *when, "1", "yes", size, "MB"]
    newest = ledger.read(fresh_lake)[-1]
    assert (newest["action"], newest["release_id"], newest["why"]) == ("pin", "r1", "the one for the fair")
    assert run("unpin", "r1")[0] == 0
    assert table(run("releases")[1])[1] == ["r1", *when, "1", size, "MB"]
    code, out = run("pin", "r9")
    assert code == 1 and "There is no release r9" in out


def test_churn_is_drawn(published: None, tmp_path: Path) -> None:
    file = tmp_path / "churn.png"
    code, out = run("releases", "--plot", str(file))
    assert code == 0 and str(file) in out
    assert file.read_bytes().startswith(b"\x89PNG")


def test_what_was_rolled_back_is_told(published: None, fresh_lake: Lake) -> None:
    back = ledger.row("rollback", "r1", small.asked("back", "it lies"), model_name="m", model_version="1")
    ledger.add(fresh_lake, lambda _: [back], fence=2)
    assert "Version 2 of the model was rolled back on 2026-01-02 03:04 by ada (it lies)" in run("releases")[1]


def test_a_release_is_fetched(published: None, tmp_path: Path) -> None:
    serving = tmp_path / "var" / "serving"
    assert run("fetch-release")[0] == 0
    assert releases.current(serving) == "r2"
    code, out = run("fetch-release", "r1")
    assert code == 0 and str(serving / "releases" / "r1.duckdb") in out
    assert releases.current(serving) == "r2", "the link leads to what is current, and to nothing else"
    code, out = run("fetch-release", "r9")
    assert code == 1 and "Release r9 has no copy in the bucket" in out
    assert releases.current(serving) == "r2"


def test_a_rollback_is_asked_for_and_done_by_airflow(published: None) -> None:
    done = CliRunner().invoke(app, ["rollback", "--why", "it lies"], input="n\n")
    assert done.exit_code == 1 and "Release r1 takes the place of r2. Go on?" in done.stdout
    code, out = run("rollback", "--why", "it lies", "--yes")
    assert code == 1 and "run `marquee up`" in out
    code, out = run("rollback", "r9", "--why", "it lies")
    assert code == 1 and "Can't go to release r9" in out
