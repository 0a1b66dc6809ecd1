"""The README's section "Bring your own ratings", word by word: its commands in their order, and what they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marquee.lake import tables
from marquee.settings import PROJECT
from tests.end_to_end.conftest import Installation, installed

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

SECTION = (
    (PROJECT / "README.md").read_text(encoding="utf-8").split("\n## Bring your own ratings\n")[1].split("\n## ")[0]
)
BLOCKS = re.findall(r"^```(bash|text)\n(.*?)^```", SECTION, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A fresh installation, in a folder with the examples that the project brings along."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(PROJECT / "sources" / "examples", folder / "sources" / "examples")
    # For speed, what is trained is the popularity floor alone.
    with installed(folder, ranks=()) as made:
        yield made


@pytest.fixture(scope="module")
def shell(at_home: Installation) -> dict[str, str]:
    """A person's shell there, in which `marquee` is a command."""
    commands = at_home.settings.var.parent / "commands"
    commands.mkdir()
    command = commands / "marquee"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m marquee.cli "$@"\n')
    command.chmod(0o755)
    path = os.pathsep.join([str(commands), at_home.shell["PATH"]])
    return at_home.shell | {"PATH": path, "PYTHONPATH": str(PROJECT)}


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def stands_in(shown: list[str], printed: list[str]) -> bool:
    """Whether the lines stand in the printed ones, one under the other."""
    return any(printed[at : at + len(shown)] == shown for at in range(len(printed)))


def test_the_section_word_by_word(at_home: Installation, shell: dict[str, str]) -> None:
    printed: list[str] = []
    for language, block in BLOCKS:
        if language == "text":
            assert stands_in(lines(block), printed), f"the README shows\n{block}\nand printed was\n" + "\n".join(
                printed
            )
            continue
        done = subprocess.run(
            ["bash", "-euc", block],
            env=shell,
            cwd=at_home.settings.var.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        printed = lines(done.stdout)
    assert [language for language, _ in BLOCKS] == ["bash", "text", "bash", "bash", "text", "bash"]
    first_places = [line.split()[0] for line in printed if line.split()[1:2] == ["1"]]
    assert len(first_places) == 3 and all(user.endswith("@example.org") for user in first_places)

    every_rating = tables.read_table(
        at_home.lake, "ratings", int(tables.current_version(at_home.lake, "ratings") or 0), ["user_id", "rating"]
    )
    ratings = [(row["user_id"], row["rating"]) for batch in every_rating for row in batch.to_pylist()]
    received = Path(PROJECT / "sources/examples/tea.csv").read_text(encoding="utf-8").splitlines()
    assert len(ratings) == len(received) - 1
    assert ("otto@example.org", 7.0) in ratings
