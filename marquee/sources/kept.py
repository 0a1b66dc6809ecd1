"""The cache of what was fetched: files that appear whole or not at all, and a note of what they are versions of."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from marquee.sources.files import file_errors

ORIGIN = "origin.json"
TEMPORARY = ".part"
STALE_SECONDS = 24 * 3600


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, beside `path`; it takes its place at the end, and goes where the work fails.

    Raises:
        SourceError: the disk refuses.
    """
    with file_errors(path):
        handle, temporary = tempfile.mkstemp(suffix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        with file_errors(path):
            Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def note(folder: Path, origin: Any) -> None:
    """Keep in the folder, as JSON, what its files are versions of."""
    with writing(folder / ORIGIN) as file, file_errors(folder):
        file.write(json.dumps(origin).encode())


def noted(folder: Path) -> Any:
    """What `note` kept; None where it kept nothing that can be read."""
    try:
        return json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def remove_stale(folder: Path) -> None:
    """Remove what a killed download left; younger ones may be somebody's who is at work."""
    for left in folder.rglob(f"*{TEMPORARY}"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                left.unlink()
