"""`marquee inspect`, and what `marquee ingest` makes of what it wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from marquee.cli import app
from marquee.cli.readings import reading_of
from marquee.errors import DataError, SourceError
from marquee.settings import settings
from marquee.sources import FORMATS
from marquee.sources.toml_file import load

ROWS = [f"c{n % 9},s{n % 7},{n % 5 + 1},{n % 28 + 1:02d}.03.2021" for n in range(200)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a person works in, with their sources and files."""
    monkeypatch.setenv("MARQUEE_SOURCES", str(tmp_path / "sources"))
    monkeypatch.setenv("MARQUEE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    (tmp_path / "shop.csv").write_text("\n".join(["customer,sku,stars,day", *ROWS]) + "\n")
    (tmp_path / "pairs.csv").write_text("\n".join(row.rpartition(",")[0].rpartition(",")[0] for row in ROWS) + "\n")
    (tmp_path / "u.data").write_text("1\t2\t3\t881250949\n" * 3)
    yield tmp_path
    settings.cache_clear()


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner(env={"COLUMNS": "160"}).invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


def test_what_it_prints_and_writes() -> None:
    code, out, error = run("inspect", "shop.csv")
    assert code == 0, error
    lines = [line.rstrip() for line in out.splitlines()]
    assert "ratings.columns.user_id   'customer'  certain  so its name says" in lines
    assert "ratings.separator         ','         certain  by it all lines have 4 fields" in lines
    assert "c0       s0       1       2021-03-01 00:00:00" in lines
    assert "0 of the first 200 rows would be refused." in lines
    assert lines[-1] == "Wrote sources/shop.toml. Next: marquee ingest shop.csv"
    assert load("shop").ratings.time == "%d.%m.%Y"


def test_questions_are_asked_written_and_stop_an_ingest() -> None:
    code, out, _ = run("inspect", "pairs.csv")
    assert code == 0
    assert "QUESTION  ratings.columns.user_id: Which column is the user, '1' or '2'?" in out
    assert out.endswith(
        "Wrote sources/pairs.toml with 2 questions. Next: answer there, then marquee ingest pairs.csv\n"
    )
    code, _, error = run("ingest", "pairs.csv")
    assert code == 1 and "pairs.toml, line " in error and "has an open question: Which column is the user" in error
    code, out, _ = run("inspect", "pairs.csv", "--user", "2")
    assert out.endswith("Wrote sources/pairs.toml. Next: marquee ingest pairs.csv\n")
    assert load("pairs").ratings.columns == {"user_id": "2", "item_id": "1"}


@pytest.mark.parametrize(
    ("options", "path", "hint"),
    [
        (["--name", "mine"], "sources/mine.toml", "shop.csv --source mine"),
        (["--output", "here/other.toml"], "here/other.toml", "shop.csv --source here/other.toml"),
        (["--output", "sources/shop.toml"], "sources/shop.toml", "shop.csv"),
    ],
)
def test_another_name_or_place(options: list[str], path: str, hint: str) -> None:
    code, out, error = run("inspect", "shop.csv", *options)
    assert code == 0, error
    assert out.endswith(f"Wrote {path}. Next: marquee ingest {hint}\n")
    assert load(f"./{path}").name == Path(path).stem


def test_a_changed_file_is_not_replaced_unless_by_force(folder: Path) -> None:
    run("inspect", "shop.csv")
    toml = folder / "sources" / "shop.toml"
    toml.write_text(toml.read_text().replace("maximum = 5.0", "maximum = 6.0"))
    code, _, error = run("inspect", "shop.csv")
    assert code == 1 and "was written or changed by a person" in error
    assert load("shop").ratings.maximum == 6
    assert run("inspect", "shop.csv", "--force")[0] == 0
    assert load("shop").ratings.maximum == 5


def test_a_built_in_format_needs_no_file(folder: Path) -> None:
    code, out, _ = run("inspect", "u.data")
    assert code == 0
    assert out.endswith("movielens-100k is built in, and needs no TOML file. Next: marquee ingest u.data\n")
    assert not (folder / "sources").exists()
    assert run("inspect", "u.data", "--name", "mine")[0] == 0
    assert load("mine").ratings == FORMATS["movielens-100k"].ratings


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("inspect", "none.csv"), "none.csv does not exist"),
        (("inspect", "shop.csv", "--name", "My Shop"), "'My Shop' is no name of a source"),
        (("inspect", "shop.csv", "--user", "buyer"), "has no column 'buyer' to be the user"),
        (("ingest", "shop.csv", "--source", "a", "--format", "baskets"), "--source and --format both say"),
        (("ingest", "shop.csv", "--source", "a"), "a.toml does not exist (sources there: none yet): make it by"),
        (("ingest", "shop.csv", "--format", "csv"), "'csv' is no format: write auto or one of movielens-csv"),
    ],
)
def test_what_is_wrong_is_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    code, _, error = run(*words)
    assert code == 1 and sentence in error
    assert "Traceback" not in error and len(error.strip().splitlines()) == 1


def readings(source: str, described: str = "", format_name: str = "auto") -> tuple[object, list[str]]:
    said: list[str] = []
    return reading_of(source, described, format_name, said.append), said


def test_ingest_reads_as_it_is_told_then_as_is_written_then_as_is_guessed(folder: Path) -> None:
    guessed, said = readings("shop.csv")
    assert said[0].startswith("Guessed (likely): delimited, separator ',': user_id = customer") and len(said) == 2
    run("inspect", "shop.csv")
    assert readings("shop.csv") == (guessed, [f"Read as {folder}/sources/shop.toml says."])
    run("inspect", "shop.csv", "--name", "swapped", "--user", "sku", "--item", "customer")
    assert readings("shop.csv", "swapped") == (load("swapped"), [])
    assert readings("shop.csv", format_name="baskets") == (FORMATS["baskets"], [])
    assert readings("u.data") == (FORMATS["movielens-100k"], ["Read as movielens-100k."])


def test_what_is_elsewhere_is_left_to_the_task_unless_its_name_is_written_down() -> None:
    assert readings("https://example.org/data/shop.csv?key=1") == (None, [])
    run("inspect", "shop.csv")
    reading, said = readings("https://example.org/data/shop.csv?key=1")
    assert reading == load("shop") and len(said) == 1
    assert readings("/elsewhere/other.csv") == (None, [])


def test_a_file_that_is_not_as_was_written_down_is_refused_before_anything_runs(folder: Path) -> None:
    run("inspect", "shop.csv")
    (folder / "shop.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column 'customer', 'sku', 'stars', 'day'"):
        readings("shop.csv")


def test_an_ambiguous_file_is_refused_with_its_questions() -> None:
    with pytest.raises(SourceError, match="can't be read without an answer"):
        readings("pairs.csv")
