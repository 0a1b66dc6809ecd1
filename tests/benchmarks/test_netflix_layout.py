"""The made-up Netflix Prize at a small size, read back line by line."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from benchmarks import netflix_layout
from benchmarks.netflix_layout import FIRST_DAY, LAST_DAY, Made, write
from marquee.errors import SourceError

N = 30_000
LINE = re.compile(r"(?:([1-9]\d*):|([1-9]\d*),([1-5]),(\d{4}-\d\d-\d\d))\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return write(tmp_path_factory.mktemp("netflix") / "combined", ratings=N)


def rows(files: tuple[Path, ...]) -> list[tuple[int, int, int, str]]:
    """(movie, customer, stars, day) in the order of the files; every line is one of the two kinds."""
    found, movie = [], 0
    for file in files:
        with file.open(newline="") as lines:
            for line in lines:
                match = LINE.fullmatch(line)
                assert match is not None, line
                if match[1]:
                    assert int(match[1]) == movie + 1
                    movie += 1
                else:
                    found.append((movie, int(match[2]), int(match[3]), match[4]))
    return found


def test_the_layout_is_the_originals(made: Made) -> None:
    found = rows(made.rating_files)
    assert [file.name for file in made.rating_files] == [f"combined_data_{n}.txt" for n in (1, 2, 3, 4)]
    assert len(found) == len({(movie, customer) for movie, customer, _, _ in found}) == N == made.ratings
    assert {movie for movie, *_ in found} == set(range(1, made.movies + 1))
    customers = {customer for _, customer, _, _ in found}
    assert len(customers) == made.customers < max(customers) / 3
    assert {stars for _, _, stars, _ in found} == {1, 2, 3, 4, 5}
    days = [date.fromisoformat(day) for *_, day in found]
    assert min(days) >= FIRST_DAY and max(days) <= LAST_DAY
    # long tails: the most rated tenth of the movies has more than half of the ratings
    counts = sorted(([movie for movie, *_ in found].count(each) for each in range(1, made.movies + 1)), reverse=True)
    assert sum(counts[: len(counts) // 10]) > N / 2 and counts[-1] >= 3


def test_titles_are_latin_1_with_commas_and_years_that_nobody_knows(made: Made) -> None:
    lines = made.titles.read_text(encoding="latin-1").splitlines()
    titles = [line.split(",", 2) for line in lines]
    assert [int(movie) for movie, _, _ in titles] == list(range(1, made.movies + 1))
    assert any("," in title for _, _, title in titles) and any(year == "NULL" for _, year, _ in titles)
    with pytest.raises(UnicodeDecodeError):
        made.titles.read_bytes().decode("utf-8")


def test_the_probe_is_a_part_of_the_ratings(made: Made) -> None:
    movie, pairs = 0, []
    for line in made.probe_file.read_text().splitlines():
        if line.endswith(":"):
            assert int(line[:-1]) > movie
            movie = int(line[:-1])
        else:
            pairs.append((movie, int(line)))
    assert len(pairs) == len(set(pairs)) == made.probe > 0
    assert set(pairs) <= {(movie, customer) for movie, customer, _, _ in rows(made.rating_files)}


def test_a_file_for_each_movie_holds_the_same(made: Made, tmp_path: Path) -> None:
    single = write(tmp_path / "mv", ratings=N, files="mv")
    assert len(single.rating_files) == single.movies
    assert single.rating_files[6].relative_to(tmp_path).as_posix() == "mv/training_set/mv_0000007.txt"
    assert rows(single.rating_files) == rows(made.rating_files)


def test_the_same_seed_makes_the_same_bytes(made: Made, tmp_path: Path) -> None:
    again, other = (write(tmp_path / str(seed), ratings=N, seed=seed) for seed in (1, 2))
    assert [file.read_bytes() for file in again.rating_files] == [file.read_bytes() for file in made.rating_files]
    assert again.probe_file.read_bytes() == made.probe_file.read_bytes()
    assert other.rating_files[0].read_bytes() != made.rating_files[0].read_bytes()


def test_what_can_not_be_made_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"9,999 ratings can't be made"):
        write(tmp_path / "new", ratings=9_999)
    (tmp_path / "kept.txt").touch()
    with pytest.raises(SourceError, match="is not empty"):
        write(tmp_path, ratings=N)


def test_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert netflix_layout.main([str(tmp_path / "new"), "--ratings", "1e4", "--seed", "3"]) == 0
    assert '"ratings": 10000' in capsys.readouterr().out
