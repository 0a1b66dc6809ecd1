"""The formats that Marquee understands: which file holds which table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Table = Literal["ratings", "items"]

# A file of this name beside the data marks it as generated; it holds the generator's parameters.
GENERATED = "generated.json"


@dataclass(frozen=True)
class Format:
    """A format, by the names of its files (lower case; other cases of the same name fit too), and its rating scale."""

    name: str
    ratings: str
    items: str
    meaning: str
    rating_range: tuple[float, float]


MOVIELENS_CSV = Format(
    name="movielens-csv",
    ratings="ratings.csv",
    items="movies.csv",
    meaning="ratings.csv (userId,movieId,rating,timestamp), movies.csv if there is one; or a single *.csv of ratings",
    rating_range=(0.5, 5.0),
)
MOVIELENS_100K = Format(
    name="movielens-100k",
    ratings="u.data",
    items="u.item",
    meaning="u.data (tabs: user, item, rating, timestamp), and u.item if there is one",
    rating_range=(1.0, 5.0),
)

FORMATS = {known.name: known for known in (MOVIELENS_CSV, MOVIELENS_100K)}

# Files that MovieLens CSV data brings along and that are no ratings, so never "the single ratings file".
BESIDE_RATINGS = frozenset({"movies.csv", "tags.csv", "links.csv", "genome-scores.csv", "genome-tags.csv"})


def understood() -> str:
    """All formats in words, for messages."""
    return "; ".join(f"{known.name}: {known.meaning}" for known in FORMATS.values())
