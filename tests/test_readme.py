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
from tests import small_release

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
    items = [small_release.item(f"i{at}", f"Title {at}", ["Drama"]) for at in (1, 2)]
    lists = [
        {"user_id": user, "position": at, "item_id": f"i{at}", "title": f"Title {at}", "score": 1 / at, "source": "als",
         "because": [{"item_id": "i2", "title": "Title 2", "share": 0.5}]}
        for user in ("1", "2")
        for at in (1, 2)
    ]  # fmt: skip
    tables = small_release.tables("model-1-0", lists, items, k=2)
    tables["evaluation"] = small_release.evaluation(ndcg_at_10=(0.2, 0.1))
    alike = [{"item_id": "318", "position": 1, "similar_item_id": "i1", "title": "", "similarity": 0.9}]
    tables["similar_items"] = small_release.of("similar_items", alike).drop_columns(["title"])
    releases.build(serving, "model-1-0", tables)
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
    assert len(asked) == 6
    rated = {"user_id": "1", "item_id": "i2", "rating": 4.0, "source_sha256": "a", "source_file": "f", "source_line": 2}
    with duckdb.connect(str(home / "var/serving/recommendations.duckdb"), read_only=True) as connection:
        connection.register("lake_ratings", pa.Table.from_pylist([rated]))
        for query in asked:
            assert connection.execute(query).fetchall(), query


def test_the_python_blocks_for_the_file_run_as_they_stand(home: Path) -> None:
    for module in ("duckdb", "marquee"):
        block = next(block for block in blocks("python") if f"import {module}\n" in block)
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
