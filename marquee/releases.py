"""Releases: published tables as DuckDB files, switched in one step.

    serving/recommendations.duckdb       a link to the release that is current
    serving/releases/<id>.duckdb         read-only, never changed
    serving/releases/.building-*         what a build that died has left; the next one removes it

DuckDB lets one process write a file, or many read it, never both. So a release is built beside the others, and readers
are led to it by one `os.replace` of the link. A reader that stays long takes `connect`, which opens the release by its
own name: within one process, DuckDB takes a second connection to the same path for the same database, also after a
switch.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from marquee.errors import MarqueeError, ReleaseError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    Rows: TypeAlias = pa.Table | Callable[[], Iterator[pa.RecordBatch]]

LINK = "recommendations.duckdb"
#: The published tables in the order in which they are built: some are made from those before them.
PUBLISHED = ("recommendations", "items", "release", "popular_items", "model")
UNFINISHED = ".building-"
RELEASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
MEMORY = "1GB"


def published_sql() -> list[str]:
    """The SQL of the published tables, `marquee/sql/<table>.sql`, in the order to run it in."""
    folder = resources.files("marquee") / "sql"
    return [(folder / f"{table}.sql").read_text(encoding="utf-8") for table in PUBLISHED]


def build(folder: Path, release_id: str, tables: Mapping[str, Rows], ddl: Sequence[str] | None = None) -> Path:
    """Build the release beside the others; it is current only after `switch`. One that is there is returned as it is.

    Args:
        folder: the serving folder.
        release_id: names the release; the same content has the same id.
        tables: the input of each name, which the SQL reads as `input_<name>`. A function gives batches, at least one;
            they are read once, as they come, and sorting spills to the disk beyond 1 GB. The published tables need
            `recommendations` and `items` (the columns of their contracts), `item_counts` (item_id, n_ratings),
            `model` (model_name, model_version, mlflow_run_id, source, rank, metric, value, floor: a row a metric) and
            `release` (one row: all columns of `release.sql` but n_users and n_items, which are counted).
        ddl: statements that make the tables; by default those of `published_sql`.

    Returns:
        The file, read-only: folder/releases/<release_id>.duckdb.

    Raises:
        ReleaseError: the id is no file name, another build is running (transient), the rows break a table's rules, or
            the disk is full. Nothing is left behind.
        MarqueeError: what the functions that give batches raise, as they raise it.
    """
    final = path_of(folder, release_id)
    with _release_errors(f"build release {release_id} in {folder}"):
        final.parent.mkdir(parents=True, exist_ok=True)
        with _only_builder(final.parent):
            _remove_unfinished(final.parent)
            if final.exists():
                return final
            unfinished = final.with_name(f"{UNFINISHED}{final.name}")
            try:
                _write(unfinished, tables, published_sql() if ddl is None else ddl)
                unfinished.chmod(0o444)
                _sync(unfinished)
                unfinished.replace(final)
                _sync(final.parent)
            finally:
                _remove_unfinished(final.parent)
    return final


def switch(folder: Path, release_id: str) -> None:
    """Let the link lead to this release, in one step; readers that hold another one keep it.

    Raises:
        ReleaseError: there is no such release.
    """
    target = path_of(folder, release_id)
    if not target.is_file():
        raise ReleaseError(f"There is no release {release_id} ({target}): publish it first (marquee publish).")
    with _release_errors(f"switch {folder / LINK} to release {release_id}"):
        new = folder / f".{LINK}.{os.getpid()}"
        new.unlink(missing_ok=True)
        new.symlink_to(target.relative_to(folder))
        try:
            new.replace(folder / LINK)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        _sync(folder)


def current(folder: Path) -> str | None:
    """The release that the link leads to; None where there is none.

    Raises:
        ReleaseError: a file or folder is where the link belongs.
    """
    link = folder / LINK
    if not link.is_symlink():
        if link.exists():
            raise ReleaseError(f"{link} is no link to a release: move it away, and publish again (marquee publish).")
        return None
    return link.readlink().stem if link.exists() else None


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A read-only connection to the current release, which it keeps also when another one becomes current.

    Raises:
        ReleaseError: there is no release yet, or it can't be opened.
    """
    import duckdb

    release_id = current(folder)
    if release_id is None:
        raise ReleaseError(f"There is no release in {folder} yet: publish one first (marquee publish).")
    with _release_errors(f"open release {release_id}"):
        return duckdb.connect(str(path_of(folder, release_id)), read_only=True)


def path_of(folder: Path, release_id: str) -> Path:
    """The file of a release.

    Raises:
        ReleaseError: the id is no plain file name.
    """
    if not RELEASE_ID.fullmatch(release_id):
        raise ReleaseError(f"Release id {release_id!r} is no plain name: use letters, digits, '.', '_' and '-'.")
    return folder / "releases" / f"{release_id}.duckdb"


def _write(path: Path, tables: Mapping[str, Rows], ddl: Sequence[str]) -> None:
    """Make the database file, and close it: nothing of it is left in a `.wal` beside."""
    import duckdb

    # temp_directory: what a sort spills lies beside the file, on the disk that the release needs anyway.
    config = {"memory_limit": MEMORY, "temp_directory": f"{path}.tmp", "autoinstall_known_extensions": False}
    raised: list[MarqueeError] = []
    with duckdb.connect(str(path), config=config) as connection:
        # Not in `config`: icu, which knows time zones, is there only after the start.
        connection.execute("SET TimeZone = 'UTC'")
        for name, rows in tables.items():
            connection.register(f"input_{name}", _readable(name, rows, raised))
        try:
            for statements in ddl:
                connection.execute(statements)
        except duckdb.Error:
            if raised:  # DuckDB keeps only the words of what a stream raised: not its class, nor whether it will pass
                raise raised[0] from None
            raise
        connection.execute("CHECKPOINT")
    wal = path.with_name(f"{path.name}.wal")
    if wal.exists():
        raise ReleaseError(f"{wal} is left after the checkpoint, so the release is not whole: build it again.")


def _readable(name: str, rows: Rows, raised: list[MarqueeError]) -> pa.Table | pa.RecordBatchReader:
    """What DuckDB can scan. A stream is read once (DuckDB refuses a second scan); what it raises goes to `raised`."""
    import pyarrow as pa

    if isinstance(rows, pa.Table):
        return rows

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from rows()
        except MarqueeError as error:
            raised.append(error)
            raise

    batches = watched()
    first = next(batches, None)
    if first is None:
        raise ReleaseError(
            f"There is not a single row for table {name} of the release: publish from a table that has rows."
        )
    return pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it goes with the process, however that ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReleaseError(
                f"Another release is being built in {folder}: wait for it, and run it again.", is_transient=True
            ) from None
        yield


def _remove_unfinished(folder: Path) -> None:
    """Remove what builds have left: the file, its `.wal`, and the folder of spilled rows. The caller holds the lock."""
    import shutil

    for left in folder.glob(f"{UNFINISHED}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(FileNotFoundError):
                left.unlink()


@contextmanager
def _release_errors(what: str) -> Iterator[None]:
    import duckdb

    try:
        yield
    except OSError as error:
        raise ReleaseError(f"Can't {what}: {error}; {_advice(error.errno, str(error))}.") from error
    except duckdb.Error as error:
        said = " ".join(str(error).split())
        raise ReleaseError(f"Can't {what}: {said[:500]}; {_advice(None, said)}.") from error


def _advice(number: int | None, said: str) -> str:
    is_full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or any(
        os.strerror(full) in said for full in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    )
    return "free some space there, and publish again" if is_full else "mend what it names, and publish again"


def _sync(path: Path) -> None:
    """Bring a file, or a folder's names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
