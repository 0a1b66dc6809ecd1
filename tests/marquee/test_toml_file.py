"""Sources as TOML: what is written is read again, and what is wrong is one sentence."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.errors import SourceError
from marquee.settings import settings
from marquee.sources.formats import FORMATS
from marquee.sources.reading import ItemsReading, RatingsReading, Source, SplitReading
from marquee.sources.toml_file import dump, load, parse, path_of

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,20}\Z")
scales = st.floats(allow_nan=False, allow_infinity=False)


def common() -> dict[str, st.SearchStrategy[Any]]:
    return {
        "files": st.lists(texts, max_size=3).map(tuple),
        "separator": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        "quote": st.text(st.characters(exclude_categories=["Cs"]), max_size=1),
        "header": st.booleans(),
        "encoding": texts,
        "n_fields": st.integers(0, 10_000),
        "last_takes_rest": st.booleans(),
        "other_columns": st.sampled_from(["ignore", "refuse"]),
    }


@st.composite
def ratings(draw: st.DrawFn) -> RatingsReading:
    layout = draw(st.sampled_from(["delimited", "jsonl", "parquet", "baskets", "netflix"]))
    ours = ["user_id", "item_id", *draw(st.sets(st.sampled_from(["rating", "rated_at"])))]
    theirs = draw(st.lists(texts, min_size=len(ours), max_size=len(ours), unique=True))
    low, high = sorted(draw(st.lists(scales, min_size=2, max_size=2)))
    values = {name: draw(strategy) for name, strategy in common().items()}
    return RatingsReading(
        layout=layout,
        columns=dict(zip(ours, theirs, strict=True)),
        minimum=draw(st.sampled_from([low, None])),
        maximum=draw(st.sampled_from([high, None])),
        time=draw(texts),
        repeated=draw(st.sampled_from(["latest", "sum"])),
        **values,
    )


def items_reading(genre_flags: tuple[str, ...], n_fields: int, **values: Any) -> ItemsReading:
    return ItemsReading(genre_flags=genre_flags, n_fields=max(n_fields, len(genre_flags)), **values)


items = st.builds(
    items_reading,
    columns=st.dictionaries(texts, texts, max_size=3),
    genres_separator=texts,
    no_genres=texts,
    genre_flags=st.lists(texts, max_size=3).map(tuple),
    is_complete=st.booleans(),
    **common(),
)
splits = st.builds(
    SplitReading, split=texts.filter(bool), columns=st.dictionaries(texts, texts, max_size=3), **common()
)
sources = st.builds(
    Source,
    name=names,
    meaning=texts,
    ratings=ratings(),
    items=items | st.none(),
    splits=st.lists(splits, max_size=2).map(tuple),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the project's sources."""
    monkeypatch.setenv("MARQUEE_SOURCES", str(tmp_path / "sources"))
    settings.cache_clear()
    (tmp_path / "sources").mkdir()
    yield tmp_path / "sources"
    settings.cache_clear()


@given(source=sources, note=texts)
def test_what_is_written_is_read_again(source: Source, note: str) -> None:
    text = dump(source, {"ratings.separator": note, "ratings.columns.user_id": note})
    assert parse(text.encode(), "source.toml") == source


@pytest.mark.parametrize("name", FORMATS)
def test_the_built_in_formats_are_written_and_read_again(name: str) -> None:
    assert parse(dump(FORMATS[name]).encode(), "source.toml") == FORMATS[name]


def test_every_field_has_a_line_of_meaning_above_it() -> None:
    lines = dump(FORMATS["movielens-100k"]).split("\n")
    fields = [at for at, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(fields) > 60
    in_columns = False
    for at in range(len(lines)):
        in_columns = lines[at].endswith("columns]") or (in_columns and not lines[at].startswith("["))
        if at in fields and not in_columns:
            assert lines[at - 1].startswith("# "), lines[at]


def shop(**fields: Any) -> Source:
    columns = {"user_id": "buyer", "item_id": "sku"}
    return Source(name="shop", ratings=RatingsReading(columns=columns, **fields))


def test_the_file_reads_as_a_person_would_write_it() -> None:
    text = dump(shop(separator="\t", minimum=1), {"ratings.separator": "certain: all lines have 2 fields"})
    assert '# certain: all lines have 2 fields\nseparator = "\\t"\n' in text
    assert "quote = '\"'\n" in text and "\n# maximum = 5.0\n" in text and "\nminimum = 1.0\n" in text
    assert text.endswith('user_id = "buyer"\nitem_id = "sku"\n')


@pytest.mark.parametrize("layout", ["jsonl", "parquet"])
def test_what_says_nothing_of_a_layout_is_left_out(layout: str) -> None:
    text = dump(shop(layout=layout))
    assert "\nseparator" not in text and "\nheader" not in text and "\nrepeated" in text
    assert "\nseparator = ';'" in dump(shop(layout=layout, separator=";")).replace('"', "'")


def test_an_open_question_is_the_sentence_and_an_answer_below_it_closes_it() -> None:
    question = 'Which column is the user,\n"buyer" or "seller"?'
    text = dump(shop(), {}, {"ratings.columns.user_id": question})
    assert "buyer" not in tomllib.loads(text)["ratings"]["columns"].values()
    with pytest.raises(
        SourceError, match=r"shop.toml, line \d+, has an open question: Which column is .* in the line below"
    ):
        parse(text.encode(), "shop.toml")
    answered = text.replace('# user_id = "buyer"', 'user_id = "seller"')
    assert parse(answered.encode(), "shop.toml").ratings.columns["user_id"] == "seller"
    # taken out, as the question to a column that there may not be allows
    both_out = dump(shop(), {}, {"ratings.minimum": "Is it?"}).replace("# QUESTION: Is it?", "# It is none.")
    assert parse(both_out.encode(), "shop.toml") == shop()


HEAD = 'name = "shop"\n[ratings]\n'
COLUMNS = 'columns = { user_id = "u", item_id = "i" }\n'


FAULTS = [
    ("", ": name is missing; it is name of the source: add it."),
    ("name = \n", " is no TOML (Invalid value (at line 1, column 8)): mend that place."),
    (b"name = '\xff'", " is no UTF-8 text (byte 9 is 0xff): save it as UTF-8."),
    ('nme = "shop"\n', ": nme is no field of a source (did you mean name): mend its name, or leave it out."),
    (
        "name = 7\n[ratings]\n" + COLUMNS,
        ': name is the number 7, and has to be text: write "7", with quotes.',
    ),
    (
        'name = "Shop"\n[ratings]\n' + COLUMNS,
        ": name is 'Shop' (string should match pattern '^[a-z0-9][a-z0-9._-]*$'); it is name of the source: mend it.",
    ),
    (
        HEAD,
        ": in ratings, columns must name user_id and item_id, and may name rating and rated_at; missing ['item_id', "
        "'user_id'], unknown []: mend it.",
    ),
    (
        HEAD + COLUMNS + 'layout = "csv"\n',
        ": ratings.layout is 'csv', and has to be 'delimited', 'jsonl', 'parquet', 'baskets' or 'netflix': mend it.",
    ),
    (
        HEAD + COLUMNS + 'seperator = ";"\n',
        ": ratings.seperator is no field of a source (did you mean separator): mend its name, or leave it out.",
    ),
    (
        HEAD + 'columns = "u, i"\n',
        ": ratings.columns is 'u, i', and has to be a table of names and values: write it so.",
    ),
    (
        HEAD + 'columns = { user_id = 1, item_id = "2" }\n',
        ': ratings.columns.user_id is the number 1, and has to be text: write "1", with quotes.',
    ),
    (
        HEAD + 'columns = { user_id = "u", item_id = "u" }\n',
        ": in ratings, columns name 'u' more than once: mend it.",
    ),
    (
        HEAD + COLUMNS + "minimum = 5\nmaximum = 1\n",
        ": in ratings, the lowest rating 5 is above the highest 1: mend it.",
    ),
    (
        HEAD + COLUMNS + "minimum = inf\n",
        ": ratings.minimum is inf (input should be a finite number); it is lowest rating of the scale; none: "
        "unbounded: mend it.",
    ),
    (
        HEAD + COLUMNS + '[items]\nheader = false\ngenre_flags = ["Action", "Drama"]\n',
        ": in items, genre_flags are the last 2 fields of a line without a header, so n_fields must say how many a "
        "line has; it is 0: mend it.",
    ),
    (
        'name = "shop"\nratings = "all"\n',
        ": ratings is 'all', and has to be a table of fields, under its name in brackets: write it so.",
    ),
    (
        HEAD + COLUMNS + "[[splits]]\n",
        ": splits.0.split is missing; it is name of the split, as 'probe': add it.",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), FAULTS)
def test_what_is_wrong_is_one_sentence(text: str | bytes, sentence: str) -> None:
    with pytest.raises(SourceError) as raised:
        parse(text if isinstance(text, bytes) else text.encode(), "shop.toml")
    assert str(raised.value) == f"shop.toml{sentence}"


def test_a_name_is_a_file_of_the_projects_sources(folder: Path, tmp_path: Path) -> None:
    (folder / "shop.2024.toml").write_text("\ufeff" + dump(shop()), encoding="utf-8")
    other = tmp_path / "other.TOML"
    other.write_text(dump(shop()).replace("\n", "\r\n"), encoding="utf-8", newline="")
    assert load("shop.2024") == load(str(other)) == shop()
    assert path_of("other.TOML") == Path("other.TOML")
    with pytest.raises(
        SourceError, match=r"shops.toml does not exist \(sources there: shop.2024\): make it by `marquee"
    ):
        load("shops")
    with pytest.raises(SourceError, match=r"no/such\.toml does not exist: check its spelling"):
        load("no/such.toml")


def test_a_file_that_is_no_toml_at_all_is_not_read_whole(tmp_path: Path) -> None:
    large = tmp_path / "large.toml"
    large.write_bytes(bytes(2 << 20))
    with pytest.raises(SourceError, match="has more than 1,048,576 bytes, too many for a source"):
        load(str(large))
