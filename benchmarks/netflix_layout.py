"""The layout of the Netflix Prize, made up at any size: its files, its ids, its dates and its long tails.

    python -m benchmarks.netflix_layout FOLDER                              full size: 100,480,507 ratings, 2 GB
    python -m benchmarks.netflix_layout FOLDER --ratings 1e6 --seed 1       a small one of the same density
    python -m benchmarks.netflix_layout FOLDER --files mv                   a file for each movie, as first published

    combined_data_1.txt .. _4.txt    "1:", then CustomerID,Rating,Date lines of movie 1; "2:", ...
    mv_0000001.txt ..                (--files mv, in training_set/) the same, one movie a file
    movie_titles.csv                 MovieID,Year,Title: latin-1, no quotes, titles with commas, a few years NULL
    probe.txt                        "1:", then CustomerIDs: pairs of the ratings above that the Prize put aside

The original's data may not be passed on, its layout is public. Nothing in here is of a real person. The same size and
seed give the same bytes (on the same numpy); no pair comes twice, and every customer rates at least once.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from marquee.errors import SourceError
from marquee.generator.catalogue import ADJECTIVES, NOUNS

RATINGS, CUSTOMERS, MOVIES, PROBE = 100_480_507, 480_189, 17_770, 1_408_395
HIGHEST_CUSTOMER_ID = 2_649_429
FEWEST = 10_000
FIRST_DAY, LAST_DAY = date(1999, 11, 11), date(2005, 12, 31)
#: Where the original's four files end: the last movie of each.
LAST_MOVIES = (4_499, 9_210, 13_367, 17_770)
#: Sigma of the log of ratings a movie and a customer; a movie has at most this share of the customers.
MOVIE_SPREAD, CUSTOMER_SPREAD, MOST_OF_A_MOVIE = 2.1, 1.2, 0.48
STARS = (0.05, 0.10, 0.28, 0.34, 0.23)
NO_YEAR = 0.0004

GROUP = 1 << 20
URN_SLOTS = 1 << 23
LINE_WIDTH = 21  # of the longest: "2649429,5,2005-12-31\n"

Files = Literal["combined", "mv"]
Indices = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Made:
    """What was written: counts, the files of ratings in order, and the two beside them."""

    ratings: int
    customers: int
    movies: int
    probe: int
    rating_files: tuple[Path, ...]
    titles: Path
    probe_file: Path


@dataclass(frozen=True)
class Group:
    """Ratings of some movies, in the order of the file.

    Attributes:
        movies: movie ids, shape (n_movies,); `counts` how many ratings each has, none is 0.
        customers, stars, days: customer index, 1 .. 5, days since FIRST_DAY; each of shape (counts.sum(),).
    """

    movies: Indices
    counts: Indices
    customers: Indices
    stars: Indices
    days: Indices


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.netflix_layout",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="a new or empty folder")
    parser.add_argument("--ratings", type=float, default=RATINGS, help="how many, as 1e6")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", choices=("combined", "mv"), default="combined")
    given = parser.parse_args(argv)
    begin = time.monotonic()

    def progress(done: int) -> None:
        print(f"{time.monotonic() - begin:7.1f} s  {done:,} ratings", file=sys.stderr, flush=True)

    try:
        made = write(given.folder, ratings=int(given.ratings), seed=given.seed, files=given.files, progress=progress)
    except SourceError as error:
        raise SystemExit(str(error)) from None
    counts = {name: getattr(made, name) for name in ("ratings", "customers", "movies", "probe")}
    print(json.dumps({**counts, "files": len(made.rating_files), "seconds": round(time.monotonic() - begin, 1)}))
    return 0


def write(
    folder: Path,
    *,
    ratings: int = RATINGS,
    seed: int = 1,
    files: Files = "combined",
    progress: Callable[[int], None] = lambda _: None,
) -> Made:
    """Write the layout. Customers and movies shrink by the root of the size, so the density is the original's.

    Takes about 300 MB of memory beside 100 bytes a customer, whatever the number of ratings.

    Args:
        folder: made where it is missing; must be empty.
        ratings: 10,000 to 100,480,507, exactly so many are made.
        files: "combined" as Kaggle has it, or "mv" as the Prize had it.
        progress: called with the number of ratings so far, about once every million.

    Raises:
        SourceError: the size is out of range, or the folder is not empty.
    """
    if not FEWEST <= ratings <= RATINGS:
        raise SourceError(f"{ratings:,} ratings can't be made: ask for {FEWEST:,} to {RATINGS:,}.")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SourceError(f"{folder} is not empty: name a new folder.")
    scale = math.sqrt(ratings / RATINGS)
    n_customers, n_movies = max(1, round(CUSTOMERS * scale)), max(1, round(MOVIES * scale))
    n_probe = round(PROBE * ratings / RATINGS)
    random = np.random.default_rng([seed, 0])
    ids = customer_ids(n_customers, random)
    counts = deal(np.exp(MOVIE_SPREAD * random.standard_normal(n_movies)), ratings, n_customers)
    is_probe_at = np.sort(random.choice(ratings, n_probe, replace=False))
    titles, probe_file = folder / "movie_titles.csv", folder / "probe.txt"
    write_titles(titles, n_movies, np.random.default_rng([seed, 1]))

    rating_files, done = RatingFiles(folder, files, n_movies), 0
    # A group is written while the next is drawn: both mostly run outside of Python's lock.
    with rating_files, probe_file.open("wb") as probe, ThreadPoolExecutor(max_workers=1) as writer:
        written: Future[None] | None = None
        for group in draw(counts, n_customers, seed):
            first, last = np.searchsorted(is_probe_at, (done, done + group.customers.size))
            aside = is_probe_at[first:last] - done
            if written is not None:
                written.result()
            written = writer.submit(_write_group, rating_files, probe, group, ids, aside)
            done += group.customers.size
            progress(done)
        if written is not None:
            written.result()
    return Made(ratings, n_customers, n_movies, n_probe, tuple(rating_files.paths), titles, probe_file)


def customer_ids(n: int, random: np.random.Generator) -> Indices:
    """n ids without order, sparse in 1 .. HIGHEST_CUSTOMER_ID (for fewer: as sparse below it), shape (n,)."""
    highest = round(HIGHEST_CUSTOMER_ID * n / CUSTOMERS)
    ids: Indices = random.choice(highest - 1, n - 1, replace=False) + 1
    return random.permutation(np.append(ids, highest))


def deal(weights: NDArray[np.float64], ratings: int, n_customers: int) -> Indices:
    """How many ratings each movie has: in proportion to the weights, 3 at least, never more than there are customers.

    count_m = min(most, 3 + floor(scale * weight_m)), with the scale found by bisection; what rounding leaves over goes
    to the first movies that have room. Shape (n_movies,), the sum is `ratings`.
    """
    most = max(3, int(MOST_OF_A_MOVIE * n_customers))

    def counts_of(scale: float) -> Indices:
        counts: Indices = np.minimum(most, 3 + np.floor(scale * weights)).astype(np.int64)
        return counts

    low, high = 0.0, most / float(weights.min())
    for _ in range(64):  # halvings; a double has 53 bits
        middle = (low + high) / 2
        low, high = (middle, high) if counts_of(middle).sum() <= ratings else (low, middle)
    counts = counts_of(low)
    while left := ratings - int(counts.sum()):
        counts[np.flatnonzero(counts < most)[:left]] += 1
    return counts


def draw(counts: Indices, n_customers: int, seed: int) -> Iterator[Group]:
    """All ratings, movie by movie, in groups of about a million; each group has its own random stream.

    Every customer is dealt one movie first, so that all are there; the other ratings go to customers by their activity.
    """
    random = np.random.default_rng([seed, 2])
    activity = np.exp(CUSTOMER_SPREAD * random.standard_normal(n_customers))
    slots = np.maximum(1, np.rint(activity / activity.sum() * max(URN_SLOTS, 4 * n_customers))).astype(np.int64)
    urn = np.repeat(np.arange(n_customers, dtype=np.int32), slots)
    n_dealt = random.multivariate_hypergeometric(counts, n_customers, method="marginals")
    dealt, dealt_at = random.permutation(n_customers), np.concatenate(([0], n_dealt.cumsum()))
    is_heavy = counts > n_customers // 8
    first_day = (0.6 * N_DAYS * random.random(counts.size) ** 2).astype(np.int64)
    taste = 0.5 * random.standard_normal(counts.size)

    start = 0
    while start < counts.size:
        rows = counts[start:].cumsum()
        stop = start + max(1, int(np.searchsorted(rows, GROUP, side="right")))
        group, random = slice(start, stop), np.random.default_rng([seed, 3, start])
        keys = np.repeat(np.arange(stop - start), n_dealt[group]) * n_customers
        keys += dealt[dealt_at[start] : dealt_at[stop]]
        keys = _complete(keys, counts[group], is_heavy[group], urn, slots, random)
        movie, customer = np.divmod(keys, n_customers)
        earliest = first_day[group][movie]
        # more and more were given, year by year
        days = earliest + ((N_DAYS - earliest) * np.sqrt(random.random(keys.size))).astype(np.int64)
        quality = taste[group][movie] + random.standard_normal(keys.size)
        stars = np.searchsorted(STAR_BORDERS * math.sqrt(1.25), quality) + 1
        yield Group(np.arange(start, stop) + 1, counts[group], customer, stars, days)
        start = stop


def _complete(
    dealt: Indices, counts: Indices, is_heavy: NDArray[np.bool_], urn: NDArray[np.int32], slots: Indices,
    random: np.random.Generator,
) -> Indices:  # fmt: skip
    """Ascending keys (movie * n_customers + customer), as many a movie as asked for, the dealt ones among them."""
    n_customers, n_movies = slots.size, counts.size
    complete, kept = [np.empty(0, np.int64)], np.sort(dealt)
    for heavy in np.flatnonzero(is_heavy):
        # All customers race, and the first so many are taken: Efraimidis and Spirakis, "Weighted random sampling with
        # a reservoir", Information Processing Letters 97(5), 2006. Drawing again and again would take for ever here.
        arrival = random.standard_exponential(n_customers) / slots
        arrival[kept[kept // n_customers == heavy] - heavy * n_customers] = -1.0
        complete.append(heavy * n_customers + np.argpartition(arrival, counts[heavy] - 1)[: counts[heavy]])
    kept = kept[~is_heavy[kept // n_customers]]
    missing = np.where(is_heavy, 0, counts - np.bincount(kept // n_customers, minlength=n_movies))
    while missing.any():
        # A round draws exactly what is missing, so that no movie ever gets too much.
        movie = np.repeat(np.arange(n_movies), missing)
        kept = np.concatenate((kept, movie * n_customers + urn[random.integers(0, urn.size, movie.size)]))
        kept.sort()  # and not np.unique, which is ten times slower on integers
        kept = kept[np.append(True, kept[1:] != kept[:-1])]
        owner = kept // n_customers
        missing = np.where(missing > 0, counts - np.bincount(owner, minlength=n_movies), 0)
        is_complete = missing[owner] == 0
        complete.append(kept[is_complete])
        kept = kept[~is_complete]
    complete.append(kept)
    keys = np.concatenate(complete)
    keys.sort()
    return keys


class RatingFiles:
    """The files that the ratings go to: a movie's lines are in one file, and the movies in order."""

    def __init__(self, folder: Path, files: Files, n_movies: int) -> None:
        self.paths: list[Path] = []
        self._folder, self._files, self._open = folder, files, ExitStack()
        last = np.array(LAST_MOVIES) * n_movies // MOVIES
        self._last = np.arange(1, n_movies + 1) if files == "mv" else np.unique(np.append(last[last > 0], n_movies))
        self._stream: BinaryIO | None = None

    def __enter__(self) -> RatingFiles:
        if self._files == "mv":
            (self._folder / "training_set").mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, movies: Indices, blocks: list[Bytes]) -> None:
        """Write the bytes of each movie to its file."""
        file_of = np.searchsorted(self._last, movies)
        for number in np.unique(file_of):
            inside = np.flatnonzero(file_of == number)
            stream = self._stream_of(int(number))
            for at in inside:
                stream.write(blocks[at].data)

    def _stream_of(self, number: int) -> BinaryIO:
        while len(self.paths) <= number:
            self._open.close()
            n = len(self.paths) + 1
            name = f"training_set/mv_{n:07d}.txt" if self._files == "mv" else f"combined_data_{n}.txt"
            self.paths.append(self._folder / name)
            self._stream = self._open.enter_context(self.paths[-1].open("wb"))
        assert self._stream is not None
        return self._stream


def _write_group(files: RatingFiles, probe: BinaryIO, group: Group, ids: Indices, aside: Indices) -> None:
    customers = ids[group.customers]
    lines = np.zeros((customers.size, LINE_WIDTH), np.uint8)
    lines[:, :7] = digits(customers, 7)
    lines[:, 7] = ord(",")
    lines[:, 8:] = TAILS[(group.stars - 1) * N_DAYS + group.days]
    ends = group.counts.cumsum()
    heads = section_lines(group.movies)
    blocks = []
    for movie, end, count in zip(range(group.movies.size), ends, group.counts, strict=True):
        body = lines[end - count : end]
        blocks.append(np.concatenate((heads[movie][heads[movie] != 0], body[body != 0])))
    files.add(group.movies, blocks)
    movie_of = np.searchsorted(ends, aside, side="right")
    asides = np.zeros((aside.size, LINE_WIDTH), np.uint8)
    asides[:, :7] = digits(customers[aside], 7)
    asides[:, 7] = ord("\n")
    named, first = np.unique(movie_of, return_index=True)
    out = np.insert(asides, first, heads[named], axis=0)
    probe.write(out[out != 0].data)


def section_lines(movies: Indices) -> Bytes:
    """ "123:\\n" for each movie, shape (n, LINE_WIDTH), filled up with zeros."""
    out = np.zeros((movies.size, LINE_WIDTH), np.uint8)
    out[:, :5], out[:, 5], out[:, 6] = digits(movies, 5), ord(":"), ord("\n")
    return out


def digits(numbers: Indices, width: int) -> Bytes:
    """Positive numbers as ASCII digits, shape (n, width), with zero bytes in place of leading zeros."""
    rest, out = numbers.astype(np.uint32), np.empty((numbers.size, width), np.uint8)
    for at in range(width - 1, -1, -1):
        higher = rest // np.uint32(10)
        out[:, at] = np.where(rest > 0, ord("0") + (rest - higher * np.uint32(10)), 0)
        rest = higher
    return out


def write_titles(path: Path, n_movies: int, random: np.random.Generator) -> None:
    """The catalogue: one movie a line, in latin-1; what is behind the second comma is the title, commas and all."""
    forms = ("{} {}", "{} {}, The", "{} {}: Season 2", "Café {} {}", "Señor {}, {} and Friends", "{} & {} à la Carte")
    form = random.choice(len(forms), n_movies, p=(0.5, 0.2, 0.15, 0.05, 0.05, 0.05))
    words = random.integers(0, (len(ADJECTIVES), len(NOUNS)), (n_movies, 2))
    years = random.integers(1915, 2006, n_movies)
    is_unknown = random.random(n_movies) < NO_YEAR
    is_unknown[n_movies // 2] = True  # one at least, at any size
    with path.open("w", encoding="latin-1", newline="") as file:
        for at in range(n_movies):
            title = forms[form[at]].format(ADJECTIVES[words[at, 0]], NOUNS[words[at, 1]])
            file.write(f"{at + 1},{'NULL' if is_unknown[at] else years[at]},{title}\n")


def _tails() -> Bytes:
    """ "3,2005-09-06\\n" for each stars and day, shape (5 * N_DAYS, 13)."""
    days = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in range(N_DAYS)]
    text = "".join(f"{stars},{day}\n" for stars in range(1, 6) for day in days)
    return np.frombuffer(text.encode(), np.uint8).reshape(-1, 13)


def _star_borders() -> NDArray[np.float64]:
    """Where a standard normal splits into the shares of 1 to 5 stars, shape (4,)."""
    from statistics import NormalDist

    return np.array([NormalDist().inv_cdf(share) for share in np.cumsum(STARS)[:4]])


N_DAYS = (LAST_DAY - FIRST_DAY).days + 1
TAILS = _tails()
STAR_BORDERS = _star_borders()

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
