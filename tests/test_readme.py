"""The README's commands exist, its links lead somewhere, its SQL and Python run, and its pictures are there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from marquee import releases
from marquee.cli import app

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def commands(program: str) -> list[list[str]]:
    """Each line of the README's shell blocks, and each inline code, that calls the program; comments left out."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    lines += re.findall(rf"`({program} [^`]+)`", README)
    return [shlex.split(line, comments=True) for line in lines if line.startswith(f"{program} ")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `var/serving` as a demo leaves it, small."""
    folder = tmp_path_factory.mktemp("home")
    serving = folder / "var" / "serving"
    about = {"model_name": "marquee", "model_version": "1", "mlflow_run_id": "run"}
    metric = {**about, "source": "als", "rank": 8, "metric": "ndcg_at_10", "value": 0.2, "floor": 0.1}
    stamp = {
        **about, "release_id": "model-1-0", "created_at": "2026-11-23T18:30:00+00:00", "ratings_version": 0,
        "items_version": 0, "recommendations_version": 0, "raw_sha256": ["a" * 64], "ingest_run_ids": ["manual__1"],
        "train_run_id": "asset__1", "publish_run_id": "asset__2", "is_generated": False, "k": 2,
        "marquee_version": "0.1.0",
    }  # fmt: skip
    item = {"genres": ["Drama"], "is_listed": True, "source_sha256": "a" * 64, "source_file": "movies.csv"}
    item |= {"source_line": 2}
    rows = [
        {"user_id": user, "position": at, "item_id": f"i{at}", "title": f"Title {at}", "score": 1 / at, "source": "als"}
        for user in ("1", "2")
        for at in (1, 2)
    ]
    releases.build(
        serving,
        "model-1-0",
        {
            "recommendations": pa.Table.from_pylist(rows),
            "items": pa.Table.from_pylist([{"item_id": f"i{at}", "title": f"Title {at}", **item} for at in (1, 2)]),
            "item_counts": pa.table({"item_id": ["i1", "i2"], "n_ratings": [7, 5]}),
            "model": pa.Table.from_pylist([metric]),
            "release": pa.Table.from_pylist([stamp]),
        },
    )
    releases.switch(serving, "model-1-0")
    return folder


def test_each_command_is_one() -> None:
    """Every `marquee …` parses: the command is there, and takes these options and arguments."""
    found = commands("marquee")
    assert {command[1] for command in found} >= {"ingest", "train", "publish", "sql", "generate", "status"}
    for command in found:
        name, *arguments = command[1:]
        known = get_command(app).commands[name]  # type: ignore[attr-defined]
        known.make_context(name, arguments, resilient_parsing=False)
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_each_make_target_is_one() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = {command[1] for command in commands("make")}
    assert targets >= {"demo", "test", "setup", "up", "down", "status"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"make {target} is no target"


def test_the_sql_commands_answer(home: Path) -> None:
    asked = [command for command in commands("marquee") if command[1] == "sql"]
    assert asked
    for command in asked:
        done = subprocess.run(
            [sys.executable, "-m", "marquee.cli", *command[1:]],
            env={**os.environ, "MARQUEE_VAR": str(home / "var"), "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Title 1" in done.stdout


def test_each_sql_block_answers(home: Path) -> None:
    asked = [query for block in blocks("sql") for query in block.split(";") if query.strip()]
    assert len(asked) == 4
    with duckdb.connect(str(home / "var/serving/recommendations.duckdb"), read_only=True) as connection:
        for query in asked:
            assert connection.execute(query).fetchall(), query


def test_the_duckdb_block_runs_as_it_stands(home: Path) -> None:
    block = next(block for block in blocks("python") if "import duckdb" in block)
    done = subprocess.run([sys.executable, "-c", block], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Title 1" in done.stdout


def test_links_and_pictures_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README)
    assert links
    for link in links:
        if not link.startswith("http"):
            assert (PROJECT / link).exists(), link


def test_the_tables_named_are_those_published() -> None:
    section = README.split("| table | a row is |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == set(releases.PUBLISHED)
