"""Where releases lie, and how what the disk and DuckDB say becomes a sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marquee.errors import ReleaseError

LINK = "recommendations.duckdb"
UNFINISHED = ".building-"
RELEASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def path_of(folder: Path, release_id: str) -> Path:
    """The file of a release.

    Raises:
        ReleaseError: the id is no plain file name.
    """
    if not RELEASE_ID.fullmatch(release_id):
        raise ReleaseError(f"Release id {release_id!r} is no plain name: use letters, digits, '.', '_' and '-'.")
    return folder / "releases" / f"{release_id}.duckdb"


def rejected_path(folder: Path, release_id: str) -> Path:
    """Where a release lies that its checks refused."""
    path = path_of(folder, release_id)
    return path.parent / "rejected" / path.name


def put_in_place(unfinished: Path, final: Path) -> None:
    """Make a whole file the release of that name, read-only, in one step; readers of an earlier one keep that."""
    unfinished.chmod(0o444)
    sync(unfinished)
    unfinished.replace(final)
    sync(final.parent)


def quoted(path: Path) -> str:
    """A path as a text of SQL, for ATTACH and COPY, which take no parameter."""
    return "'" + str(path).replace("'", "''") + "'"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def release_errors(what: str) -> Iterator[None]:
    """Turn refusals of the disk and of DuckDB into one sentence.

    Raises:
        ReleaseError: in place of the library's error.
    """
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


def sync(path: Path) -> None:
    """Bring a file, or a folder's names, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
