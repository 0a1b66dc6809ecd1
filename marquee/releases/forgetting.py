"""Forgetting reaches every kept release: its file, and its copy in the bucket, are made anew without the rows.

A new file is written from the old one, for what is deleted in place stays in its blocks, and takes its name in one
step: a reader that has the old one open keeps it until it closes it. The release keeps its id, and has another sha256.
The sinks get the current one anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from marquee.lake.objects import Lake
from marquee.releases import lease, ledger, remote
from marquee.releases.building import LAYOUT, MEMORY, sql_of
from marquee.releases.files import LINK, UNFINISHED, path_of, put_in_place, quoted, release_errors, sha256_of
from marquee.releases.following import fill
from marquee.releases.standing import standing

if TYPE_CHECKING:
    import duckdb

    from marquee.forgetting.subject import Subject
    from marquee.sinks import Sink


def clean(lake: Lake, folder: Path, subject: Subject, sinks: Sequence[Sink] = ()) -> list[str]:
    """Take a subject's rows out of all releases of this machine, of the bucket and of the sinks. Can be repeated.

    Returns:
        The releases that were changed by this call, here or there; those among the rejected are removed.

    Raises:
        ReleaseError: a file can't be read or written, another holds the lease (transient), or a sink has not got the
            current release as it is now.
        LakeError: the store refuses.
    """
    changed: set[str] = set()
    with lease.hold(lake, "take forgotten rows out of the releases") as held:
        for path in sorted((folder / "releases").glob("[!.]*.duckdb")):
            held.check()
            if renew(path, subject):
                changed.add(path.stem)
        for path in sorted((folder / "releases" / "rejected").glob("*.duckdb")):
            with _opened(path) as connection:
                is_hit = bool(hit_tables(connection, subject))
            if is_hit:
                path.unlink()
        for release_id in remote.ids(lake):
            held.check()
            if _renew_copy(lake, folder, release_id, subject):
                changed.add(release_id)
        newest = standing(ledger.read(lake)).newest
        if newest is not None:
            held.check()
            fill(lake, folder, newest, sinks, held.fence)
    return sorted(changed)


def renew(path: Path, subject: Subject) -> bool:
    """Put a file without the subject's rows in the place of this one, in one step, where it has such rows.

    Returns:
        Whether it had.

    Raises:
        ReleaseError: the disk or DuckDB refuses.
    """
    with release_errors(f"take forgotten rows out of {path}"):
        with _opened(path) as connection:
            hit = hit_tables(connection, subject)
        if not hit:
            return False
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{UNFINISHED}forget-") as scratch:
            new = Path(scratch, path.name)
            _copy(path, new, subject, hit)
            put_in_place(new, path)
    return True


def hit_tables(connection: duckdb.DuckDBPyConnection, subject: Subject) -> dict[str, tuple[str, str]]:
    """Tables of `old` that name the subject: name -> SQL of its columns without it, and SQL of the rows that go."""
    found = {}
    for table, columns in _columns(connection).items():
        goes = " OR ".join(f'"{name}" = $id' for name, kind in columns if _is_own(name, kind, subject)) or "false"
        lists = {name: kind for name, kind in columns if _is_list_of(name, kind, subject)}
        in_lists = " OR ".join(f'len({_without(name, kind, subject)}) <> len("{name}")' for name, kind in lists.items())
        row = connection.execute(
            f'SELECT count(*) FROM old."{table}" WHERE $id IS NOT NULL AND ({goes} OR {in_lists or "false"})',  # noqa: S608
            {"id": subject.id},
        ).fetchone()
        if row and row[0]:
            kept = ", ".join(
                f'{_without(name, kind, subject)} AS "{name}"' if name in lists else f'"{name}"'
                for name, kind in columns
            )
            found[table] = (kept, goes)
    return found


def _copy(path: Path, new: Path, subject: Subject, hit: dict[str, tuple[str, str]]) -> None:
    """All tables, views, macros and comments of a file, in the order of its rows, without the subject's."""
    with _opened(path) as connection:
        connection.execute(f"ATTACH {quoted(new)} AS new ({LAYOUT})")
        connection.execute("COPY FROM DATABASE old TO new (SCHEMA)")
        tables = _columns(connection)
        for table in tables:
            kept, goes = hit.get(table, ("*", "false"))
            connection.execute(
                f'INSERT INTO new."{table}" SELECT {kept} FROM old."{table}" '  # noqa: S608 - names of its own catalogue
                f"WHERE $id IS NOT NULL AND NOT coalesce({goes}, false)",
                {"id": subject.id},
            )
        if "recommendations" in hit and "places" in tables:  # rows have moved up
            connection.execute("USE new; DROP TABLE places")
            connection.execute(sql_of("places"))
            connection.execute("USE memory")
        connection.execute("CHECKPOINT new")
        connection.execute("DETACH new")


def _renew_copy(lake: Lake, folder: Path, release_id: str, subject: Subject) -> bool:
    """The copy in the bucket; that of a release of this machine is compared with its file by the sha256."""
    there = remote.manifest(lake, release_id)
    if there is None:
        remote.remove(lake, release_id)  # of an upload that was cut off: nothing leads to it
        return False
    here = path_of(folder, release_id)
    with release_errors(f"take forgotten rows out of the copy of release {release_id}"):
        if here.is_file():
            if sha256_of(here) == there["files"][LINK]["sha256"]:
                return False
            remote.send(lake, here, release_id)
            return True
        here.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=here.parent, prefix=f"{UNFINISHED}forget-") as scratch:
            fetched = Path(scratch, here.name)
            remote.download(lake, release_id, fetched)
            is_changed = renew(fetched, subject) or sha256_of(fetched) != there["files"][LINK]["sha256"]
            if is_changed:
                remote.send(lake, fetched, release_id)
    return is_changed


@contextmanager
def _opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The file as `old`, read-only, in a database of no file."""
    import duckdb

    config = {"memory_limit": MEMORY, "temp_directory": f"{path.parent}/{UNFINISHED}forget.tmp"}
    with duckdb.connect(config=config) as connection:
        connection.execute(f"ATTACH {quoted(path)} AS old (READ_ONLY)")
        yield connection


def _columns(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    """Table of `old` -> names and types of its columns, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = connection.execute(
        """
        SELECT table_name, column_name, data_type
        FROM duckdb_columns()
        SEMI JOIN (SELECT table_name FROM duckdb_tables() WHERE database_name = 'old') USING (table_name)
        WHERE database_name = 'old'
        ORDER BY table_name, column_index
        """
    ).fetchall()
    for table, column, kind in rows:
        found.setdefault(table, []).append((column, kind))
    return found


def _is_own(column: str, kind: str, subject: Subject) -> bool:
    """Whether a row is the subject's where this column is its id: user_id, similar_item_id."""
    return kind == "VARCHAR" and (column == subject.column or column.endswith(f"_{subject.column}"))


def _is_list_of(column: str, kind: str, subject: Subject) -> bool:
    """Whether a column is a list of ids (item_ids), or of structures that have one (because)."""
    is_structures = kind.startswith("STRUCT(") and kind.endswith("[]") and f"{subject.column} VARCHAR" in kind
    return is_structures or (kind == "VARCHAR[]" and column.endswith(f"{subject.column}s"))


def _without(column: str, kind: str, subject: Subject) -> str:
    element = "element_" if kind == "VARCHAR[]" else f"struct_extract(element_, '{subject.column}')"
    return f'list_filter("{column}", lambda element_: {element} <> $id)'
