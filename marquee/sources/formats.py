"""The formats that Marquee understands by themselves: which file holds which table, and how its lines are read.

A pattern names a file within its folder, in any case of letters and with or without the ending of its packing
(`ratings.csv` fits `Ratings.CSV.gz` too). Two patterns of one table are two ways to lay the same rows out, never both.
"""

from __future__ import annotations

from marquee.errors import SourceError
from marquee.sources.reading import ISO, ItemsReading, RatingsReading, Source, SplitReading

AUTO = "auto"

# A file of this name beside the data marks it as generated; it holds the generator's parameters.
GENERATED = "generated.json"

# The archive inside the archive that Netflix gave out; "!" stands behind it as behind every archive.
TRAINING_SET = "training_set.tar!/training_set/mv_*.txt"

RATINGS_COLUMNS = {"user_id": "1", "item_id": "2", "rating": "3", "rated_at": "4"}

MOVIELENS_CSV = Source(
    name="movielens-csv",
    meaning="ratings.csv (userId,movieId,rating,timestamp), whole or in parts, and movies.csv if there is one",
    ratings=RatingsReading(
        files=("ratings.csv", "ratings[-_.][0-9]*.csv", "part-*.csv"),
        columns={"user_id": "userId", "item_id": "movieId", "rating": "rating", "rated_at": "timestamp"},
        other_columns="refuse",
        minimum=0.5,
        maximum=5,
    ),
    items=ItemsReading(
        files=("movies.csv",),
        columns={"item_id": "movieId", "title": "title", "genres": "genres"},
        other_columns="refuse",
        no_genres="(no genres listed)",
    ),
)

MOVIELENS_100K = Source(
    name="movielens-100k",
    meaning="u.data (tabs: user, item, rating, timestamp), and u.item and the folds u1.test to u5.test if there",
    ratings=RatingsReading(
        files=("u.data",),
        separator="\t",
        quote="",
        header=False,
        columns=RATINGS_COLUMNS,
        n_fields=4,
        minimum=1,
        maximum=5,
    ),
    items=ItemsReading(
        files=("u.item",),
        separator="|",
        quote="",
        header=False,
        encoding="latin-1",
        columns={"item_id": "1", "title": "2"},
        n_fields=24,
        genre_flags=(
            "", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
            "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
        ),
    ),
    splits=tuple(
        SplitReading(
            split=fold,
            files=(f"{fold}.test",),
            separator="\t",
            quote="",
            header=False,
            columns={"user_id": "1", "item_id": "2"},
            n_fields=4,
        )
        for fold in ("u1", "u2", "u3", "u4", "u5", "ua", "ub")
    ),
)  # fmt: skip

_DAT_RATINGS = RatingsReading(
    files=("ratings.dat",),
    separator="::",
    quote="",
    header=False,
    columns=RATINGS_COLUMNS,
    n_fields=4,
    minimum=1,
    maximum=5,
)
_DAT_ITEMS = ItemsReading(
    files=("movies.dat",),
    separator="::",
    quote="",
    header=False,
    columns={"item_id": "1", "title": "2", "genres": "3"},
    n_fields=3,
)

MOVIELENS_1M = Source(
    name="movielens-1m",
    meaning="ratings.dat (user::item::rating::timestamp, 1 to 5), and movies.dat (latin-1) if there is one",
    ratings=_DAT_RATINGS,
    items=_DAT_ITEMS.model_copy(update={"encoding": "latin-1"}),
)

MOVIELENS_10M = Source(
    name="movielens-10m",
    meaning="ratings.dat (user::item::rating::timestamp, 0.5 to 5), and movies.dat (utf-8) if there is one",
    ratings=_DAT_RATINGS.model_copy(update={"minimum": 0.5}),
    items=_DAT_ITEMS.model_copy(update={"no_genres": "(no genres listed)"}),
)

NETFLIX_PRIZE = Source(
    name="netflix-prize",
    meaning="combined_data_*.txt or mv_*.txt ('MovieID:', then CustomerID,Rating,Date), movie_titles.csv, probe.txt",
    ratings=RatingsReading(
        files=("combined_data_*.txt", "mv_*.txt", "training_set/mv_*.txt", TRAINING_SET),
        layout="netflix",
        quote="",
        header=False,
        minimum=1,
        maximum=5,
        time=ISO,
    ),
    items=ItemsReading(
        files=("movie_titles.csv", "movie_titles.txt"),
        quote="",
        header=False,
        encoding="latin-1",
        columns={"item_id": "1", "title": "3"},
        n_fields=3,
        last_takes_rest=True,
    ),
    splits=(SplitReading(split="probe", files=("probe.txt",), layout="netflix", quote="", header=False),),
)

BASKETS = Source(
    name="baskets",
    meaning="*.basket or *.basket.csv: a line is a basket, its items stand between commas",
    ratings=RatingsReading(files=("*.basket", "*.basket.csv"), layout="baskets", header=False),
)

FORMATS: dict[str, Source] = {
    known.name: known for known in (MOVIELENS_CSV, MOVIELENS_100K, MOVIELENS_1M, MOVIELENS_10M, NETFLIX_PRIZE, BASKETS)
}


def format_named(name: str) -> Source | None:
    """The format of that name; None for "auto".

    Raises:
        SourceError: there is no such format.
    """
    if name == AUTO:
        return None
    if name not in FORMATS:
        raise SourceError(f"{name!r} is no format: write {AUTO} or one of {', '.join(FORMATS)}.")
    return FORMATS[name]


def understood() -> str:
    """All formats in words, for messages."""
    return "; ".join(f"{known.name}: {known.meaning}" for known in FORMATS.values())
