"""Building: the tables of a release in a file beside the others, by SQL, checked before it takes its name."""

from __future__ import annotations

import fcntl
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from marquee.errors import MarqueeError, ReleaseError
from marquee.releases.files import UNFINISHED, path_of, put_in_place, quoted, rejected_path, release_errors

if TYPE_CHECKING:
    import pyarrow as pa

    Rows: TypeAlias = pa.Table | Callable[[], Iterator[pa.RecordBatch]]

#: The published tables in the order in which they are built: some are made from those before them.
PUBLISHED = (
    "recommendations",
    "places",
    "items",
    "release",
    "similar_items",
    "popular_items",
    "users",
    "clusters",
    "model_card",
    "evaluation",
    "data_quality",
)
#: Macros and views over them.
VIEWS = "views"
MEMORY = "1GB"
#: How a file is laid out: a look-up unpacks a row group's columns and reads whole blocks, so both are a third and a
#: quarter of what DuckDB takes of itself; smaller ones take more space and are no faster.
LAYOUT = "ROW_GROUP_SIZE 40960, BLOCK_SIZE 65536"


def published_sql() -> list[str]:
    """The SQL of the published tables and of the views, `marquee/sql/<name>.sql`, in the order to run it in."""
    return [sql_of(name) for name in (*PUBLISHED, VIEWS)]


def sql_of(name: str) -> str:
    """The SQL that makes and fills one published table."""
    return (resources.files("marquee") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


class RefusedError(ReleaseError):
    """A built file does not pass its checks."""


def build(
    folder: Path,
    release_id: str,
    tables: Mapping[str, Rows] | Callable[[], Mapping[str, Rows]],
    ddl: Sequence[str] | None = None,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Build the release beside the others; it is current only after `switch`. One that is there is returned as it is.

    Args:
        folder: the serving folder.
        release_id: names the release; the same content has the same id.
        tables: the input of each name, which the SQL reads as `input_<name>`. A function gives batches, at least one;
            they are read once, as they come, and sorting spills to the disk beyond 1 GB. The published tables need
            `recommendations`, `items`, `users`, `clusters`, `model_card`, `evaluation` and `data_quality` (the columns
            of their contracts), `similar_items` (the same but the title), `item_counts` (item_id, n_ratings, n_recent)
            and `release` (one row: all columns of `release.sql` but n_users and n_items, which are counted);
            `marquee.published` makes them. A function
            gives them when they are needed.
        ddl: statements that make the tables; by default those of `published_sql`.
        check: called with the file before it takes its name; raises `RefusedError` where it may not be a release. It
            is then kept as releases/rejected/<release_id>.duckdb.

    Returns:
        The file, read-only: folder/releases/<release_id>.duckdb.

    Raises:
        RefusedError: what `check` says, and where the file lies.
        ReleaseError: the id is no file name, another build is running (transient), the rows break a table's rules, or
            the disk is full. Nothing is left behind.
        MarqueeError: what the functions that give batches raise, as they raise it.
    """
    final = path_of(folder, release_id)
    with release_errors(f"build release {release_id} in {folder}"):
        final.parent.mkdir(parents=True, exist_ok=True)
        with _only_builder(final.parent):
            _remove_unfinished(final.parent)
            if final.exists():
                return final
            unfinished = final.with_name(f"{UNFINISHED}{final.name}")
            try:
                given = tables if isinstance(tables, Mapping) else tables()
                _write(unfinished, given, published_sql() if ddl is None else ddl)
                if check is not None:
                    _checked(unfinished, check, rejected_path(folder, release_id))
                put_in_place(unfinished, final)
            finally:
                _remove_unfinished(final.parent)
    return final


def _checked(unfinished: Path, check: Callable[[Path], None], rejected: Path) -> None:
    try:
        check(unfinished)
    except RefusedError as error:
        rejected.parent.mkdir(exist_ok=True)
        put_in_place(unfinished, rejected)
        raise RefusedError(f"{error} The file is kept for a look: {rejected}") from None


def _write(path: Path, tables: Mapping[str, Rows], ddl: Sequence[str]) -> None:
    """Make the database file, and close it: nothing of it is left in a `.wal` beside."""
    import duckdb

    # temp_directory: what a sort spills lies beside the file, on the disk that the release needs anyway.
    config = {"memory_limit": MEMORY, "temp_directory": f"{path}.tmp", "autoinstall_known_extensions": False}
    raised: list[MarqueeError] = []
    with duckdb.connect(config=config) as connection:
        connection.execute(f"ATTACH {quoted(path)} AS unfinished ({LAYOUT})")
        connection.execute("USE unfinished")
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
        connection.execute("CHECKPOINT unfinished")
        connection.execute("USE memory")
        connection.execute("DETACH unfinished")
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
