"""The catalogue beside the ratings: which column is the item, the title and the genres."""

from __future__ import annotations

from collections.abc import Sequence

from marquee.sources.inspection.files import Kind
from marquee.sources.inspection.guesses import Guess
from marquee.sources.inspection.names import role_of, words_of
from marquee.sources.reading import ItemsReading

TITLES = ("title", "name", "label", "description")
GENRES = ("genres", "genre", "categories", "category", "tags", "tag")
GENRE_SEPARATORS = ("|", ";", ",", "/")


def items_of(kind: Kind, files: Sequence[str], item: str) -> tuple[ItemsReading, list[Guess]]:
    """How the catalogue is read.

    Args:
        kind: its files, which have a column whose name tells an item.
        files: patterns that name them.
        item: the ratings' own name of the item, which the catalogue may use too.
    """
    names = kind.table.names
    titles = [name for word in TITLES for name in names if words_of(name)[-1:] == [word]]
    ranked = sorted((name for name in names if name not in titles), key=lambda name: -_strength(name, item))
    columns = {"item_id": ranked[0] if ranked and _strength(ranked[0], item) else titles[0]}
    columns |= {"title": titles[0]} if titles and titles[0] != columns["item_id"] else {}
    genres = [
        name for word in GENRES for name in names if words_of(name)[-1:] == [word] and name not in columns.values()
    ]
    separator = "|"
    if genres:
        columns["genres"] = genres[0]
        values = kind.table.column(names.index(genres[0]))
        separator = next((each for each in GENRE_SEPARATORS if any(each in value for value in values)), "|")
    guesses = [Guess("items.files", ", ".join(files), "likely", "items, and no users and ratings beside them")]
    guesses += [
        Guess(f"items.columns.{ours}", repr(theirs), "likely", "so its name says") for ours, theirs in columns.items()
    ]
    reading = {name: value for name, value in kind.table.reading.items() if name != "n_fields"}
    made = ItemsReading(
        files=tuple(files), columns=columns, encoding=kind.encoding, genres_separator=separator, **reading
    )
    return made, guesses


def _strength(name: str, item: str) -> int:
    named = role_of(name)
    return 9 if name == item else named.strength if named.role == "item_id" else 0
