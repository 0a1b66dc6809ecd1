"""The files of a source: their samples, and which of them hold ratings or the catalogue."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from marquee.errors import SourceError
from marquee.sources.archive import Entry
from marquee.sources.contents import data_files, sample
from marquee.sources.files import file_errors
from marquee.sources.inspection.guesses import Confidence, Guess, Question
from marquee.sources.inspection.names import role_of
from marquee.sources.inspection.parquet import MAGIC, table_of_parquet
from marquee.sources.inspection.patterns import folder_of, patterns_of, shared_start
from marquee.sources.inspection.table import Table, table_of
from marquee.sources.inspection.text import Text, text_of
from marquee.sources.location import Located
from marquee.sources.packing import without_ending

#: Bytes, unpacked, that a source is guessed from; fewer where files are only told apart.
SAMPLE_BYTES = 4 << 20
GLANCE_BYTES = 64 << 10
#: Files that are told apart by a glance at each; of those that follow only the names count.
GLANCES = 40
LARGEST_PACKED_PARQUET = 64 << 20
#: Windows further in a plain file, and their size: what comes late is seen too.
WINDOWS, WINDOW_BYTES = 3, 256 << 10


@dataclass(frozen=True)
class Looked:
    """A file that was looked at: its table, and its text where it is one."""

    table: Table
    text: Text | None


@dataclass(frozen=True)
class Kind:
    """Files of a source that look alike."""

    entries: list[Entry]
    table: Table
    encoding: str

    @property
    def paths(self) -> list[str]:
        return [entry.path for entry in self.entries]

    @property
    def roles(self) -> set[str]:
        return {role for name in self.table.names if self.table.is_named and (role := str(role_of(name).role))}

    @property
    def may_be_ratings(self) -> bool:
        is_other_layout = self.table.reading["layout"] in ("netflix", "baskets")
        return is_other_layout or not self.table.is_named or {"user_id", "item_id"} <= self.roles

    @property
    def may_be_items(self) -> bool:
        return "item_id" in self.roles and not {"user_id", "rating", "count"} & self.roles


@dataclass
class Chosen:
    """The files of the ratings and of the catalogue, as patterns; none where the source is a single file."""

    ratings: Entry
    patterns: tuple[str, ...] = ()
    items: Kind | None = None
    item_patterns: tuple[str, ...] = ()
    guesses: list[Guess] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)


def looked_at(located: Located, entry: Entry, n_bytes: int = SAMPLE_BYTES, separator: str = "") -> Looked:
    """The table in a file's first bytes; `separator` as a person gave it.

    Raises:
        SourceError: it is no table, or can't be read.
    """
    name = located.shown(entry.path)
    head = sample(located, entry.path, n_bytes)
    if not head:
        raise SourceError(f"{name} is empty (0 bytes): put the data into it, or leave it out.")
    if head.startswith(MAGIC):
        stream, _ = opened(located, entry, len(MAGIC))
        with stream:
            return Looked(table_of_parquet(stream, name), None)
    text = text_of(head, name, is_whole=len(head) < n_bytes)
    return Looked(table_of(text.text, name, separator), text)


def further_texts(located: Located, text: Text) -> list[str]:
    """Whole lines from further on in a single plain file."""
    if located.kind != "file" or text.encoding.startswith("utf-16"):
        return []
    with file_errors(located.path):
        size = located.path.stat().st_size
        if size <= SAMPLE_BYTES:
            return []
        texts = []
        with located.path.open("rb") as file:
            for window in range(1, WINDOWS + 1):
                file.seek(SAMPLE_BYTES + (size - SAMPLE_BYTES - WINDOW_BYTES) * window // WINDOWS)
                data = file.read(WINDOW_BYTES)
                whole = data[data.find(b"\n") + 1 : data.rfind(b"\n") + 1]
                texts.append(whole.decode(text.encoding, errors="replace").replace("\r\n", "\n"))
        return texts


def chosen(located: Located) -> Chosen:
    """Which files hold the ratings, and which the catalogue.

    Raises:
        SourceError: none can be told to hold ratings.
    """
    entries = data_files(located)
    if any(entry.path == "xl/workbook.xml" for entry in entries):
        raise SourceError(f"{located.source} is an Excel workbook: save its sheet as CSV, and inspect that.")
    if not entries:
        raise SourceError(f"{located.source} holds no file with data: name one with ratings.")
    if len(entries) == 1:
        return Chosen(entries[0])
    kinds = _kinds(located, entries)
    able = [kind for kind in kinds if kind.may_be_ratings]
    named = [kind for kind in able if kind.table.is_named] or able
    if not named:
        names = ", ".join(entry.path for entry in entries[:10])
        raise SourceError(
            f"{located.source} holds no file with columns of users and items (found {names}): name the file that "
            "holds ratings."
        )
    ranked = sorted(
        named, key=lambda kind: ("rating" in kind.roles, "count" in kind.roles, len(kind.roles)), reverse=True
    )
    best, *others = ranked
    rivals = [kind for kind in others if kind.roles == best.roles]
    catalogues = [kind for kind in kinds if kind.may_be_items]
    items = catalogues[0] if len(catalogues) == 1 else None
    everything = [entry.path for entry in entries]
    folder = folder_of([*best.paths, *(items.paths if items else ())])
    found = Chosen(best.entries[0], _patterns(best, everything, folder))
    if items:
        found.items, found.item_patterns = items, _patterns(items, everything, folder)
    if rivals:
        root = PurePosixPath()
        either = " or ".join(", ".join(_patterns(kind, everything, root)) for kind in (best, *rivals))
        found.questions.append(Question("ratings.files", f"Which files hold the ratings, {either}?"))
    sure: Confidence = "unsure" if rivals else "likely"
    n_files = f"{len(best.entries):,} file{'' if len(best.entries) == 1 else 's'} with users and items"
    found.guesses.append(Guess("ratings.files", ", ".join(found.patterns), sure, n_files))
    return found


def _patterns(kind: Kind, everything: Sequence[str], folder: PurePosixPath) -> tuple[str, ...]:
    return patterns_of(kind.paths, [path for path in everything if path not in kind.paths], folder)


def _kinds(located: Located, entries: Sequence[Entry]) -> list[Kind]:
    """The files grouped by what they look like; what is no table is left out."""
    kinds: dict[tuple[object, ...], Kind] = {}
    for entry in entries[:GLANCES]:
        try:
            looked = looked_at(located, entry, GLANCE_BYTES)
        except SourceError:
            continue
        table, encoding = looked.table, looked.text.encoding if looked.text else "utf-8"
        ending = PurePosixPath(without_ending(entry.path)).suffix.lower()
        depth = len(PurePosixPath(entry.path).parts)
        look = (depth, ending, str(table.reading), tuple(table.names))
        kinds.setdefault(look, Kind([], table, encoding)).entries.append(entry)
    for entry in entries[GLANCES:]:
        # One more part file of many is told by its name alone.
        for kind in kinds.values():
            first, last = kind.entries[0].path, kind.entries[-1].path
            if len(kind.entries) > 1 and entry.path.startswith(shared_start([first, last])):
                kind.entries.append(entry)
                break
    return list(kinds.values())


def opened(located: Located, entry: Entry, n_bytes: int) -> tuple[BinaryIO, bool]:
    """A file as a stream for a reader, and whether only its beginning counts: a text's first bytes, or a Parquet file.

    Raises:
        SourceError: it can't be read, or is too large a Parquet file inside of another file.
    """
    head = sample(located, entry.path, n_bytes)
    if not head.startswith(MAGIC):
        return io.BytesIO(head), len(head) == n_bytes
    if located.kind != "archive":
        path = located.path / entry.path if located.kind == "folder" else located.path
        with file_errors(path):
            file = path.open("rb")
            if file.peek(len(MAGIC)).startswith(MAGIC):
                return file, True
            file.close()
    everything = sample(located, entry.path, LARGEST_PACKED_PARQUET + 1)
    if len(everything) > LARGEST_PACKED_PARQUET:
        name = located.shown(entry.path)
        raise SourceError(f"{name} is a large Parquet file inside another file: unpack it, and inspect that.")
    return io.BytesIO(everything), True
