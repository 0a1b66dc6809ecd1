"""The page of the contract is the contract's, and says all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations import data_contract
from expectations.contracts import DRIFTS, REASONS, TABLES, Column
from marquee.settings import PROJECT

PAGE = PROJECT / "docs" / "data-contract.md"


def test_the_committed_page_is_what_the_contract_makes(tmp_path: Path) -> None:
    made = tmp_path / "page.md"
    assert data_contract.main([str(made)]) == 0
    assert made.read_text() == PAGE.read_text(), (
        "the contract changed: run python -m expectations.data_contract docs/data-contract.md"
    )


def test_without_a_file_it_goes_to_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert data_contract.main([]) == 0
    assert capsys.readouterr().out == PAGE.read_text()


def test_it_names_everything() -> None:
    page = PAGE.read_text()
    for table in TABLES.values():
        section = page.split(f"\n### {table.name}\n", 1)[1].split("\n### ", 1)[0]
        assert table.grain in section
        for column in table.columns:
            assert f"| `{column.name}` | `{column.type}` | {'yes' if column.is_nullable else 'no'} |" in section
            assert column.meaning in section
    for reason in REASONS:
        assert f"| `{reason.code}` | {reason.meaning} | {'yes' if reason.is_fault else 'no'} |" in page
    for drift in DRIFTS:
        assert f"| `{drift.name}` | {drift.statistic} | {drift.meaning} | {drift.warn:g} |" in page


def test_its_tables_are_whole() -> None:
    blocks = [block.splitlines() for block in PAGE.read_text().split("\n\n") if block.startswith("|")]
    assert len(blocks) == 4 + len(TABLES)
    for lines in blocks:
        assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (Column("c", "string", "m"), ""),
        (Column("c", "string", "m", min_length=1), "not empty"),
        (Column("c", "string", "m", min_length=3), "at least 3 characters"),
        (Column("c", "string", "m", max_length=9), "0 to 9 characters"),
        (Column("c", "string", "m", min_length=3, max_length=3), "3 characters"),
        (Column("c", "string", "m", allowed=("a", "b")), "`a`, `b`"),
        (Column("c", "string", "m", allowed=tuple("abcdef")), "one of 6 codes"),
        (Column("c", "double", "m"), "finite"),
        (Column("c", "long", "m", minimum=1, maximum=10), "at least 1, at most 10"),
        (Column("c", "long", "m", maximum=0), "at most 0"),
    ],
)
def test_values_in_words(column: Column, words: str) -> None:
    assert data_contract.values(column) == words


def test_a_bar_ends_no_cell() -> None:
    assert data_contract.markdown(["a|b"], [["c"]]) == "| a\\|b |\n| --- |\n| c |\n"
