"""The link that leads readers to the current release: moved in one step, and never back by one who comes too late."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from marquee.errors import ReleaseError
from marquee.releases.files import LINK, path_of, release_errors, sync

if TYPE_CHECKING:
    import duckdb

#: Fencing number of the action that the link follows (`marquee.releases.lease`).
FENCE = ".fence"


def switch(folder: Path, release_id: str, *, fence: int | None = None) -> None:
    """Let the link lead to this release, in one step; readers that hold another one keep it.

    Args:
        folder: the serving folder.
        fence: number of the lease under which the release became current; it is kept, and a lower one is refused from
            then on. None: whatever it is (a machine that only reads).

    Raises:
        ReleaseError: there is no such release, or the link follows a later action already (transient).
    """
    target = path_of(folder, release_id)
    if not target.is_file():
        raise ReleaseError(f"There is no release {release_id} ({target}): publish it first (marquee publish).")
    with release_errors(f"switch {folder / LINK} to release {release_id}"), _only_switcher(target.parent):
        if fence is not None:
            _raise_fence(target.parent / FENCE, fence, release_id)
        for left in folder.glob(f".{LINK}.*"):  # of one that was killed
            left.unlink(missing_ok=True)
        new = folder / f".{LINK}.{os.getpid()}"
        new.symlink_to(target.relative_to(folder))
        try:
            new.replace(folder / LINK)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        sync(folder)


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
    with release_errors(f"open release {release_id}"):
        return duckdb.connect(str(path_of(folder, release_id)), read_only=True)


def _raise_fence(kept: Path, fence: int, release_id: str) -> None:
    highest = int(kept.read_text()) if kept.exists() else 0
    if fence < highest:
        raise ReleaseError(
            f"Release {release_id} became current under lease {fence}, and the link follows lease {highest} already: "
            f"nothing was switched; look at `marquee releases` (where the bucket was made anew, remove {kept}).",
            is_transient=True,
        )
    if fence > highest:
        new = kept.with_name(f"{FENCE}.new")
        new.write_text(str(fence))
        sync(new)
        new.replace(kept)


@contextmanager
def _only_switcher(folder: Path) -> Iterator[None]:
    """Wait for the lock of the link; it goes with the process, however that ends."""
    with (folder / ".switching").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
