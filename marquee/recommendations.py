"""Read the published recommendations from an application: this file, DuckDB and nothing else.

    from marquee import Recommendations

    recommendations = Recommendations("var/serving")
    for each in recommendations.for_user("42", k=10):
        print(each.position, each.title, each.score, each.source)

One object serves a whole process: any number of threads, for days. It follows the link `recommendations.duckdb` at
every call, so that a new release, or one that was taken back, is read from the next call on. A call reads one release
from its begin to its end, also where that one is no longer current, or its file is removed meanwhile.

The file imports no other of this project and can be copied into an application as it is.
"""

from __future__ import annotations

import os
import sys
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

LINK = "recommendations.duckdb"
#: Files are attached to a DuckDB of ours, in memory: an application may open the same file for itself, with other
#: options; and starting a DuckDB takes ten times as long as attaching a file to one.
#: One thread: a look-up reads little, and the next one waits for a core. Pages beyond the limit are read anew.
OPTIONS: Mapping[str, Any] = {"threads": 1, "memory_limit": "512MB", "autoinstall_known_extensions": False}
#: Each file has a name of its own within the DuckDB.
_NUMBERS = count(1)
#: How often a release is looked for that was replaced and removed between the look at the link and the opening.
LOOKS = 20


class ReadingError(Exception):
    """There is no release, or it can't be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Reason:
    """An item of the user's history, and its share of the score."""

    item_id: str
    title: str
    share: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An item at a position of a user's list, the first is 1."""

    user_id: str
    position: int
    item_id: str
    title: str
    score: float
    source: str
    because: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class PopularItem:
    """An item at a position of the list for users whom the model does not know."""

    position: int
    item_id: str
    title: str
    n_ratings: int


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """An item at a position of the list of those most like another."""

    position: int
    item_id: str
    title: str
    similarity: float


class Release:
    """One release, open for reading, until `close`; every method may be called by many threads at once.

    Args:
        file: of the release.
        mark: see below.
        database: a DuckDB that has not attached this file, and is not closed before the release.

    Attributes:
        id: names the release.
        mark: tells a file from one that took its place under the same name.

    Raises:
        ReadingError: the file is no release.
        duckdb.Error: the file can't be read.
    """

    def __init__(self, file: Path, mark: str, database: duckdb.DuckDBPyConnection) -> None:
        self.file, self.mark = file, mark
        self._name = f"release_{next(_NUMBERS)}"
        self._owner = database  # closing it, or letting it go, would close the cursors
        self._database = database.cursor()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        quoted = str(file).replace("'", "''")
        try:
            self._database.execute(f"ATTACH '{quoted}' AS {self._name} (READ_ONLY)")
            ((release_id,),) = self._database.execute(f"SELECT release_id FROM {self._name}.release").fetchall()  # noqa: S608
            self.id = str(release_id)
            places = self._ask(f"SELECT first_row, user_id FROM {self._name}.places ORDER BY first_row", [])  # noqa: S608
            self._rows, self._users = [row for row, _ in places], [user for _, user in places]
        except BaseException:
            self.close()
            raise

    def for_user(self, user_id: str, k: int = 10) -> list[Recommendation]:
        """The first k of the user's list, fewer where it has fewer; popular items for a user who has none."""
        _require_k(k)
        # The rows lie in the order of users and positions: sorting them again would take longer than finding them.
        rows = self._ask(
            "SELECT user_id, position, item_id, title, score, source, because "  # noqa: S608
            f"FROM {self._name}.recommendations WHERE rowid BETWEEN ? AND ? AND user_id = ?",
            [*self._between(user_id), user_id],
        )[:k]
        if not rows:
            return [
                Recommendation(user_id, each.position, each.item_id, each.title, float(each.n_ratings), "popular")
                for each in self.popular(k)
            ]
        return [
            Recommendation(user, position, item_id, title, score, source, tuple(Reason(**reason) for reason in because))
            for user, position, item_id, title, score, source, because in rows
        ]

    def popular(self, k: int = 10, scope: str = "overall") -> list[PopularItem]:
        """The first k popular items: "overall", of a genre ("genre:Horror") or lately ("recent"); fewer where there are
        fewer, none for an unknown scope."""
        _require_k(k)
        rows = self._ask(
            f"SELECT position, item_id, title, n_ratings FROM {self._name}.popular_items "  # noqa: S608
            "WHERE scope = ? ORDER BY position LIMIT ?",
            [scope, k],
        )
        return [PopularItem(*row) for row in rows]

    def similar(self, item_id: str, k: int = 10) -> list[SimilarItem]:
        """The k items most like this one, fewer where fewer are published, none for an unknown one."""
        _require_k(k)
        rows = self._ask(
            "SELECT position, similar_item_id, title, similarity "  # noqa: S608
            f"FROM {self._name}.similar_items WHERE item_id = ? ORDER BY position LIMIT ?",
            [item_id, k],
        )
        return [SimilarItem(*row) for row in rows]

    def has_item(self, item_id: str) -> bool:
        """Whether the catalogue has the item."""
        return bool(self._ask(f"SELECT 1 FROM {self._name}.items WHERE item_id = ?", [item_id]))  # noqa: S608

    def about(self) -> dict[str, Any]:
        """The row of table `release`: where every other row comes from."""
        with self._cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self._name}.release")  # noqa: S608
            names = [column[0] for column in cursor.description or ()]
            return dict(zip(names, cursor.fetchone() or (), strict=True))

    def close(self) -> None:
        """Close the file; nobody may be reading it."""
        for cursor in self._idle:
            cursor.close()
        self._database.execute(f"DETACH DATABASE IF EXISTS {self._name}")
        self._database.close()

    def _between(self, user_id: str) -> tuple[int, int]:
        """The first and the last row of `recommendations` that may be the user's; texts sort alike here and there."""
        after = bisect_right(self._users, user_id)
        last = self._rows[after] if after < len(self._rows) else sys.maxsize
        return self._rows[max(bisect_left(self._users, user_id, hi=after) - 1, 0)] if self._rows else 0, last

    def _ask(self, query: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            rows: list[tuple[Any, ...]] = cursor.execute(query, list(parameters)).fetchall()
        return rows

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that no other call uses meanwhile; there are as many as there were calls at once."""
        try:
            cursor = self._idle.pop()
        except IndexError:
            cursor = self._database.cursor()
        try:
            yield cursor
        except duckdb.Error as error:
            said = " ".join(str(error).split())[:300]
            raise ReadingError(f"Release {self.id} ({self.file}) can't be read: {said}; publish it anew.") from error
        finally:
            self._idle.append(cursor)


class Recommendations:
    """The recommendations of the release that is current at each call.

    Args:
        path: the serving folder, the link `recommendations.duckdb` in it, or the file of one release.

    Raises:
        ReadingError: there is no release there (also by every method, until there is one).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = Path(path)
        self._link = given / LINK if given.is_dir() else given
        self._lock = threading.Lock()
        self._current: _Held | None = None
        self._files: list[Path] = []
        self._database: duckdb.DuckDBPyConnection | None = None
        self._process = os.getpid()
        with self.held():
            pass

    @property
    def release(self) -> str:
        """The id of the release that is current."""
        with self.held() as release:
            return release.id

    def for_user(self, user_id: str, k: int = 10) -> list[Recommendation]:
        """The first k of the user's list, fewer where it has fewer; for an unknown user popular items, whose source is
        "popular" and whose score is their number of ratings.

        Raises:
            ReadingError: the release can't be read.
            ValueError: k is less than 1.
        """
        with self.held() as release:
            return release.for_user(user_id, k)

    def popular(self, k: int = 10, scope: str = "overall") -> list[PopularItem]:
        """The first k popular items: "overall", "genre:Horror" or "recent"; raises as `for_user`."""
        with self.held() as release:
            return release.popular(k, scope)

    def similar(self, item_id: str, k: int = 10) -> list[SimilarItem]:
        """The k items most like this one, none for an unknown one; raises as `for_user`."""
        with self.held() as release:
            return release.similar(item_id, k)

    @contextmanager
    def held(self) -> Iterator[Release]:
        """The current release, for several questions that belong together; the next `with` may get another."""
        held = self._hold()
        try:
            yield held.release
        finally:
            self._let_go(held)

    def close(self) -> None:
        """Close the files; calls that run end as they would, and a later call opens them anew."""
        with self._lock:
            held, self._current, self._database = self._current, None, None
        if held is not None:
            self._let_go(held)

    def __enter__(self) -> Recommendations:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hold(self) -> _Held:
        with self._lock:
            if self._process != os.getpid():  # a fork: the open database is the parent's, and closing it here aborts
                _OF_PARENTS.append((self._current, self._database))
                self._current, self._database, self._files, self._process = None, None, [], os.getpid()
            replaced = None
            for looks_left in reversed(range(LOOKS)):
                found = _look(self._link)
                if self._current is not None and found in (None, self._current.found):
                    break
                if found is None:
                    raise ReadingError(f"There is no release at {self._link}: publish one first (marquee publish).")
                try:
                    opened = _Held(found, self._open(found))
                except duckdb.Error as error:
                    if looks_left and (_look(self._link) != found or not found.file.exists()):
                        continue
                    said = " ".join(str(error).split())[:300]
                    raise ReadingError(f"Release {found.file} can't be opened: {said}; publish it anew.") from error
                replaced, self._current = self._current, opened
                break
            held = self._current
            if held is None:
                raise ReadingError(f"{self._link} changes faster than it can be read: try again.")
            held.holders += 1
        if replaced is not None:
            self._let_go(replaced)
        return held

    def _open(self, found: _Found) -> Release:
        if self._database is None or found.file in self._files:  # replaced, or current again, and somebody reads it
            self._database = duckdb.connect(":memory:", config=dict(OPTIONS))
        release = Release(found.file, f"{found.inode:x}-{found.changed_ns:x}", self._database)
        self._files.append(found.file)
        return release

    def _let_go(self, held: _Held) -> None:
        with self._lock:
            held.holders -= 1
            if held.holders == 0:
                held.release.close()
                self._files.remove(held.found.file)


#: What was open when the process was forked: never touched again, nor closed.
_OF_PARENTS: list[tuple[_Held | None, duckdb.DuckDBPyConnection | None]] = []


@dataclass(frozen=True, slots=True)
class _Found:
    """What the link leads to. A file that was replaced under its name is another one."""

    file: Path
    device: int
    inode: int
    changed_ns: int


@dataclass(slots=True)
class _Held:
    """An open release; it is closed when its last holder lets go. Being current counts as one."""

    found: _Found
    release: Release
    holders: int = 1


def _look(link: Path) -> _Found | None:
    """What the link leads to now; None where there is nothing."""
    try:
        target = link.parent / link.readlink() if link.is_symlink() else link
        about = target.stat()
    except OSError:
        return None
    return _Found(target, about.st_dev, about.st_ino, about.st_mtime_ns)


def _require_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k is {k}: ask for at least 1 item.")
