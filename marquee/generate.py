"""Generated ratings in MovieLens's CSV layout, for want of a network or of enough data; always marked as generated.

Memory does not grow with the number of ratings. Users are taken in groups of about `GROUP` ratings; a group is
drawn, written and forgotten, and since all ratings of a user are in one group, no pair can come twice in two of them.
Besides that there are 8 bytes a user (how many ratings each gives) and 200 bytes an item (the catalogue) at the most.

The same parameters give the same bytes: each group has its own random stream, made of the seed and its number. (With
the same numpy on the same kind of processor, that is: numpy keeps its bit streams, but may improve how it makes a
distribution out of them, and its exp() may round the last bit otherwise elsewhere.)
"""

from __future__ import annotations

import csv
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from marquee import __version__
from marquee.errors import SourceError
from marquee.generator import activity, catalogue, histories

GENERATOR_VERSION = 1
"""Raised with every change that changes the bytes."""

GROUP = 1 << 18
MAX_USERS, MAX_ITEMS = 100_000_000, 10_000_000

RATINGS_HEADER = "userId,movieId,rating,timestamp\n"
STARS = pa.array([f"{half / 2:.1f}" for half in range(11)])


@dataclass(frozen=True)
class Generated:
    """What was made: the counts asked for, and where the files are."""

    folder: Path
    ratings_csv: Path
    movies_csv: Path
    generated_json: Path
    users: int
    items: int
    ratings: int
    seed: int
    is_new: bool


def generate(
    folder: Path,
    *,
    users: int,
    items: int,
    ratings: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Generated:
    """Write `ratings.csv`, `movies.csv` and `generated.json` into a new folder.

    The folder appears when all is written, and not before. If it holds exactly this data set already, nothing is done.

    Args:
        folder: where to; must not exist, or be empty, or hold the same data set.
        users: number of users, ids 1 .. users; each gives at least one rating.
        items: number of items, ids 1 .. items; all are listed in movies.csv, not all need be rated.
        ratings: number of rows of ratings.csv, exactly; no (user, item) twice.
        seed: 0 or more; another seed is another world.
        progress: called with the number of rows made so far, after each group.

    Returns:
        Counts and paths; `is_new` is False where the data set was there already.

    Raises:
        SourceError: the request is impossible, the folder holds something else or is being written by another process,
            or the disk refuses.
    """
    _check(users=users, items=items, ratings=ratings, seed=seed)
    parameters = {
        "generator": "marquee",
        "generator_version": GENERATOR_VERSION,
        "marquee_version": __version__,
        "numpy_version": np.__version__,
        "users": users,
        "items": items,
        "ratings": ratings,
        "seed": seed,
    }
    folder = folder.absolute()
    is_new = not _holds(folder, parameters)
    if is_new:
        with _new_folder(folder) as partial:
            world = catalogue.make(items, np.random.default_rng([seed, 0]))
            _write_movies(partial / "movies.csv", world, np.random.default_rng([seed, 1]))
            counts = activity.ratings_per_user(users, items, ratings, np.random.default_rng([seed, 2]))
            _write_ratings(partial / "ratings.csv", counts, world, seed, progress)
            (partial / "generated.json").write_text(json.dumps(parameters, indent=2) + "\n", encoding="utf-8")
    return Generated(
        folder=folder,
        ratings_csv=folder / "ratings.csv",
        movies_csv=folder / "movies.csv",
        generated_json=folder / "generated.json",
        users=users,
        items=items,
        ratings=ratings,
        seed=seed,
        is_new=is_new,
    )


def _check(*, users: int, items: int, ratings: int, seed: int) -> None:
    for name, value, most in (("users", users, MAX_USERS), ("items", items, MAX_ITEMS)):
        if not 1 <= value <= most:
            raise SourceError(f"{value} {name} can't be generated: ask for 1 to {most:,}.")
    if ratings < users:
        raise SourceError(
            f"{ratings} ratings are too few for {users} users, who give at least one each: "
            "ask for more ratings or fewer users."
        )
    if ratings > users * items:
        raise SourceError(
            f"{ratings} ratings are too many: {users} users can rate {items} items {users * items} times, each "
            "item once; ask for fewer ratings, or more users or items."
        )
    if seed < 0:
        raise SourceError(f"The seed is {seed}: it must be 0 or more.")


def _holds(folder: Path, parameters: dict[str, object]) -> bool:
    """Whether this data set is in the folder; an error where something else is."""
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return False
        names = ("ratings.csv", "movies.csv", "generated.json")
        if folder.is_dir() and all((folder / name).is_file() for name in names):
            found = json.loads((folder / "generated.json").read_text(encoding="utf-8"))
            # Not the versions of marquee and numpy: a data set stays what it is when those move on.
            names_it = ("generator", "generator_version", "users", "items", "ratings", "seed")
            if isinstance(found, dict) and all(found.get(name) == parameters[name] for name in names_it):
                return True
    except ValueError:
        raise _something_else(folder) from None
    except OSError as error:
        raise SourceError(f"{folder} can't be read ({error.strerror}): give another folder.") from None
    raise _something_else(folder)


def _something_else(folder: Path) -> SourceError:
    return SourceError(f"{folder} holds something else already, and is left as it is: give a new folder, or delete it.")


def _groups(counts: NDArray[np.int32]) -> Iterator[slice]:
    """Users in groups of at most GROUP ratings, or of one user who gives more."""
    start = 0
    while start < counts.size:
        rows = counts[start : start + GROUP].cumsum(dtype=np.int64)
        stop = start + max(1, int(np.searchsorted(rows, GROUP, side="right")))
        yield slice(start, stop)
        start = stop


def _write_ratings(
    path: Path,
    counts: NDArray[np.int32],
    world: catalogue.Catalogue,
    seed: int,
    progress: Callable[[int], None] | None,
) -> None:
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    n_done = 0
    # One group is written while the next is drawn: both mostly run outside of Python's lock. Never more than these two.
    with path.open("wb") as file, ThreadPoolExecutor(max_workers=1) as writer:
        file.write(RATINGS_HEADER.encode())
        written: Future[None] | None = None
        for number, group in enumerate(_groups(counts)):
            drawn = histories.draw(counts[group], world, np.random.default_rng([seed, 3, number]))
            table = pa.table(
                {
                    "userId": drawn.user + (group.start + 1),
                    "movieId": drawn.item + 1,
                    "rating": STARS.take(pa.array(drawn.half_stars)),
                    "timestamp": drawn.rated_at,
                }
            )
            if written is not None:
                written.result()
            written = writer.submit(pa.csv.write_csv, table, file, options)
            n_done += table.num_rows
            if progress is not None:
                progress(n_done)
        if written is not None:
            written.result()


def _write_movies(path: Path, world: catalogue.Catalogue, random: np.random.Generator) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["movieId", "title", "genres"])
        rows.writerows((i, title, genres) for i, (title, genres) in enumerate(catalogue.titles(world, random), start=1))


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one, which takes its place if all goes well and is gone otherwise.

    What a killed process left there is cleared; what a running one is writing is not (it holds a lock on it).
    """
    partial = folder.parent / f".{folder.name}.partial"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between the two lines above the other process may have finished, and renamed the folder we opened.
            if not partial.exists() or not os.path.samestat(os.fstat(lock), partial.stat()):
                raise BlockingIOError
            for left_over in partial.iterdir():
                left_over.unlink()
            try:
                yield partial
                partial.replace(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        finally:
            os.close(lock)
    except BlockingIOError:
        raise SourceError(
            f"Another process is generating into {folder}: wait for it, or give another folder.", is_transient=True
        ) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            what_to_do = "make room (a rating takes about 25 bytes), or give a folder on another disk"
        else:
            what_to_do = "give a folder that can be written"
        raise SourceError(f"{folder} can't be written ({error.strerror or error}): {what_to_do}.") from None
