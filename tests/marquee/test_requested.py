"""How a source is read, from what the form of `ingest_ratings` says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from marquee.errors import SourceError
from marquee.sources import FORMATS, Located, Source, locate, recognise
from marquee.sources.requested import requested

ROWS = "".join(f"c{n % 9};s{n % 7};{n % 10 + 1};{n % 28 + 1:02d}.03.2021\n" for n in range(200))
BY_COLUMNS = {"format": "columns", "user_column": "1", "item_column": "2", "rating_column": "3", "time_column": "4"}


@pytest.fixture
def named(tmp_path: Path) -> Located:
    (tmp_path / "shop.csv").write_text("customer;sku;stars;day\n" + ROWS)
    return locate(str(tmp_path / "shop.csv"), tmp_path)


@pytest.fixture
def plain(tmp_path: Path) -> Located:
    (tmp_path / "export.txt").write_text(ROWS)
    return locate(str(tmp_path / "export.txt"), tmp_path)


def asked(located: Located, **params: Any) -> Source:
    source = requested(params, located)
    assert source is not None
    return source


def test_a_built_in_format_is_left_to_its_names(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t2\t3\t881250949\n" * 3)
    located = locate(str(tmp_path), tmp_path / "cache")
    assert requested({"format": "auto", "reading": None}, located) is None
    assert recognise(located).reading == FORMATS["movielens-100k"]


def test_a_format_by_its_name(plain: Located) -> None:
    assert asked(plain, format="baskets") == FORMATS["baskets"]
    with pytest.raises(SourceError, match="'movielens' is no format: write auto or one of movielens-csv"):
        requested({"format": "movielens"}, plain)


def test_a_reading_comes_first(named: Located) -> None:
    source = asked(named)
    assert asked(named, format="baskets", reading=source.to_json()) == source
    with pytest.raises(SourceError, match=r"The field reading: ratings.layout is 'csv', and has to be 'delimited'"):
        requested({"reading": {"name": "x", "ratings": {"layout": "csv"}}}, named)


def test_what_is_not_ambiguous_is_guessed_and_said(named: Located, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "marquee"):
        source = asked(named, format="auto")
    assert source.ratings.columns == {"user_id": "customer", "item_id": "sku", "rating": "stars", "rated_at": "day"}
    assert caplog.messages == [
        "Guessed (likely): delimited, separator ';': user_id = customer, item_id = sku, rating = stars, "
        "rated_at = day, ratings from 1 to 10, times as %d.%m.%Y.",
        "Where that is wrong, `marquee inspect` writes it down as a file to change.",
    ]


def test_what_is_ambiguous_is_refused_with_the_question(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("".join(f"{n % 9},{n % 7}\n" for n in range(200)))
    with pytest.raises(SourceError) as raised:
        requested({"format": "auto"}, locate(str(path), tmp_path))
    assert str(raised.value) == (
        f"{path} can't be read without an answer. Which column is the user, '1' or '2'? Which column is the item, "
        f"'1' or '2'? Run `marquee inspect {path}`, answer in the file that it writes (sources/pairs.toml), and ingest "
        "it again."
    )


def test_columns_of_the_form(named: Located, plain: Located) -> None:
    source = asked(plain, **BY_COLUMNS, separator="", time_unit="", lowest_rating=None, highest_rating=None)
    reading = source.ratings
    assert reading.columns == {"user_id": "1", "item_id": "2", "rating": "3", "rated_at": "4"}
    assert (reading.separator, reading.n_fields, reading.minimum, reading.maximum) == (";", 4, 1, 10)
    assert reading.time == "%d.%m.%Y"
    swapped = {
        "format": "columns",
        "user_column": "SKU",
        "item_column": "customer",
        "rating_column": "",
        "time_column": "",
    }
    assert asked(named, **swapped).ratings.columns == {"user_id": "sku", "item_id": "customer"}
    given = asked(
        plain, **BY_COLUMNS, separator=";", time_unit="%d.%m.%Y", lowest_rating=0, highest_rating=20.0
    ).ratings
    assert (given.minimum, given.maximum) == (0, 20)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"user_column": ""}, "Format columns needs the fields user_column and item_column: fill user_column."),
        ({"item_column": "9"}, "has no column '9' to be the item (it has 1, 2, 3, 4): mend its name."),
        ({"separator": "\\t"}, r"has no two fields with '\t' between them in most of its lines: name another, or"),
        ({"lowest_rating": 9, "highest_rating": 1}, "the lowest rating 9 is above the highest 1: mend it."),
    ],
)
def test_wrong_columns(plain: Located, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SourceError) as raised:
        requested(BY_COLUMNS | fields, plain)
    assert sentence in str(raised.value)
