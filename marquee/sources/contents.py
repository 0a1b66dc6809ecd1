"""What lies in a located source, whatever its kind: its files, their first bytes unpacked, whether they are whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO

from marquee.errors import SourceError
from marquee.sources.archive import CHUNK, Entry, archive_errors, entries, open_inside, streams
from marquee.sources.files import file_errors
from marquee.sources.formats import GENERATED
from marquee.sources.location import Located
from marquee.sources.names import has_control_letters
from marquee.sources.packing import HEAD_BYTES, check_understood, packing_of, unpacked, without_ending

#: How many folders deep a folder is looked into.
DEPTH = 3

_NO_DATA_NAMES = ("readme", "license", "licence", "copying", "notice", "checksums", "thumbs.db")
_NO_DATA_ENDINGS = (
    ".md",
    ".html",
    ".htm",
    ".pdf",
    ".png",
    ".jpg",
    ".gif",
    ".md5",
    ".sha256",
    ".crc",
    ".pl",
    ".py",
    ".sh",
)


def everything(located: Located) -> list[Entry]:
    """All files of the source but for hidden ones; the one entry of a single file is itself.

    Raises:
        SourceError: it can't be read.
    """
    if located.kind == "file":
        with file_errors(located.path):
            return [Entry(located.name, located.path.stat().st_size)]
    found = entries(located.path) if located.kind == "archive" else _entries_of_folder(located.path)
    return [entry for entry in found if not _is_hidden(entry)]


def data_files(located: Located) -> list[Entry]:
    """The files of the source that may hold rows: none that is empty, or by its name something to read for people.

    Raises:
        SourceError: it can't be read.
    """
    return [entry for entry in everything(located) if entry.size and (located.kind == "file" or _may_be_data(entry))]


def sample(located: Located, path: str | None, n_bytes: int) -> bytes:
    """The first bytes of one of the source's files, unpacked.

    Args:
        path: which, as an entry has it; None: the only one.

    Raises:
        SourceError: it is damaged within these bytes or can't be read; or no path is given where there are several.
    """
    if path is None:
        path = _only(located)
    with ExitStack() as closing:
        stream = _opened(located, path, closing)
        with archive_errors(located.shown(path)):
            head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]  # type: ignore[attr-defined]
            check_understood(located.shown(path), head)
            return unpacked(stream, packing_of(head), located.shown(path)).read(n_bytes)


def packings(located: Located, wanted: Iterable[Entry]) -> dict[str, str]:
    """How each of these files is packed itself; whatever is packed is read to its end, which checks its sums.

    Raises:
        SourceError: a file is damaged, cut off, encrypted, or packed in a way that is not understood.
    """
    listed = list(wanted)
    found: dict[str, str] = {}
    # All of a tar was read when it was listed: only members that are packed once more are left to be checked.
    for entry in listed:
        if entry.head is not None:
            check_understood(located.shown(entry.path), entry.head)
            found[entry.path] = packing_of(entry.head)
    unchecked = [entry.path for entry in listed if entry.head is None or found[entry.path]]
    for path, stream in _streams(located, unchecked):
        name = located.shown(path)
        with archive_errors(name):
            head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]  # type: ignore[attr-defined]
            check_understood(name, head)
            found[path] = packing_of(head)
            if found[path] or located.kind == "archive":
                plain = unpacked(stream, found[path], name)
                while plain.read(CHUNK):
                    pass
    return found


def _only(located: Located) -> str:
    found = data_files(located)
    if len(found) != 1:
        raise SourceError(f"{located.source} holds {len(found):,} files of data: name one of them.")
    return found[0].path


def _streams(located: Located, paths: list[str]) -> Iterator[tuple[str, IO[bytes]]]:
    if located.kind == "archive" and paths:
        with archive_errors(located.name), located.path.open("rb") as file:
            yield from streams(file, paths, located.name)
    elif paths:
        for path in paths:
            with ExitStack() as closing:
                yield path, _opened(located, path, closing)


def _opened(located: Located, path: str, closing: ExitStack) -> IO[bytes]:
    local = located.path / path if located.kind == "folder" else located.path
    with file_errors(local):
        file = closing.enter_context(local.open("rb"))
    if located.kind != "archive":
        return file
    with archive_errors(located.name):
        return open_inside(file, path, located.name, closing)


def _entries_of_folder(folder: Path, depth: int = 1) -> list[Entry]:
    """The files of a folder, then those of the folders in it."""
    with file_errors(folder):
        inside = sorted(folder.iterdir())
        found = [Entry(path.name, path.stat().st_size) for path in inside if path.is_file()]
        below = [path for path in inside if path.is_dir()] if depth < DEPTH else []
    for sub in below:
        found += [Entry(f"{sub.name}/{entry.path}", entry.size) for entry in _entries_of_folder(sub, depth + 1)]
    return found


def _is_hidden(entry: Entry) -> bool:
    """Whether it is no person's data: hidden files, what macOS adds to archives, names that can't be written."""
    if has_control_letters(entry.path):
        return True
    return any(
        (part.startswith(".") and part != "..") or part == "__MACOSX" for part in PurePosixPath(entry.path).parts
    )


def _may_be_data(entry: Entry) -> bool:
    name = PurePosixPath(entry.path).name.lower()
    plain = without_ending(name)
    # Spark and its like mark their folders by files as `_SUCCESS`.
    is_mark = name.startswith("_") and "." not in name
    return not (is_mark or name == GENERATED or plain.startswith(_NO_DATA_NAMES) or plain.endswith(_NO_DATA_ENDINGS))
