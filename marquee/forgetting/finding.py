"""Where a subject's rows are in the raw files: read as they were when they came in, row by row, in bounded memory.

A row is the subject's where its id is exactly the subject's; a line that could not be read as a row, where it holds
the id as a whole token. Files that nothing is read from (they lie in the same archive) lose the lines that have the id
as a field. A file that can't hold the id, by its bytes, is not taken apart at all.
"""

from __future__ import annotations

import codecs
import io
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marquee.errors import DataError
from marquee.forgetting.archives import walk
from marquee.forgetting.edits import UNREAD, Edit
from marquee.forgetting.lines import END, Stretch, letters_of, stretches_of
from marquee.forgetting.subject import Subject
from marquee.formats import read
from marquee.formats.lines import CHUNK_BYTES, chunks, encoding_name
from marquee.formats.netflix import sections
from marquee.lake.objects import Lake
from marquee.lake.raw import Manifest, Member, file_key, open_object
from marquee.sources.archive import archive_errors
from marquee.sources.packing import HEAD_BYTES, packing_of, unpacked

if TYPE_CHECKING:
    from marquee.formats.blocks import Block
    from marquee.sources.reading import Reading

HEAD = 1 << 13
#: Encodings in which a text's bytes are the same wherever it stands.
_PLAIN = re.compile(r"utf-8|ascii|iso8859-\d+|cp125\d|koi8-[rtu]|mac-roman")
_FIELDS = re.compile(r"::|[,;\t|]")


def find(lake: Lake, manifests: Sequence[Manifest], subject: Subject, scratch: Path) -> list[Edit]:
    """What is to be taken out of the raw files of one sha256.

    Args:
        manifests: all ways in which they are read.
        scratch: folder for a file at a time that is unpacked.

    Raises:
        LakeError: the store refuses.
        SourceError: what is packed is damaged.
    """
    found: list[Edit] = []
    for file in manifests[0].files:
        readings: dict[str | None, list[tuple[Member, Reading]]] = {}
        for manifest in manifests:
            for member in manifest.members:
                if member.file == file.name:
                    readings.setdefault(member.member, []).append((member, manifest.reading_of(member)))
        key = file_key(manifests[0].sha256, file.name)
        with archive_errors(file.name), open_object(lake, key) as opened:
            if set(readings) <= {None}:
                found += look(opened, file.name, None, readings.get(None, []), subject, scratch)
                continue
            for path, stream in walk(opened, file.name):
                found += look(stream, file.name, path, readings.get(path, []), subject, scratch)
    return found


def look(
    stream: IO[bytes],
    file: str,
    path: str | None,
    readings: Sequence[tuple[Member, Reading]],
    subject: Subject,
    scratch: Path,
) -> list[Edit]:
    """What is to be taken out of one file, or member of an archive, that is read in these ways (none: not at all)."""
    of_subject = [(member, reading) for member, reading in readings if member.table in subject.tables]
    if readings and not of_subject:
        return []
    with ExitStack() as closing:
        head = stream.peek(HEAD_BYTES)[:HEAD_BYTES]  # type: ignore[attr-defined]
        packing = of_subject[0][0].packing if of_subject else packing_of(head)
        # What is packed can't go back, or only from its start.
        is_plain = path is None and not packing
        plain = stream if is_plain else _copy(unpacked(stream, packing, path or file), scratch, closing)
        blank = Edit(file, path, packing, f"{file}!/{path}" if path else file, UNREAD, "utf-8", 0, ())
        if not of_subject:
            return [edit for edit in [unread(plain, blank, subject, as_token=False)] if edit.stretches]
        edits = []
        for member, reading in {repr(each[1].model_dump()): each for each in of_subject}.values():
            if may_hold(plain, reading, subject):
                plain.seek(0)
                edits.append(_of_reading(plain, replace(blank, name=member.name), reading, subject))
        return [edit for edit in edits if edit.stretches]


def _of_reading(plain: IO[bytes], blank: Edit, reading: Reading, subject: Subject) -> Edit:
    edit = replace(
        blank,
        layout=reading.layout,
        encoding=reading.encoding,
        separator=reading.separator,
        quote=reading.quote if reading.layout in ("delimited", "baskets") and not reading.last_takes_rest else "",
    )
    try:
        if reading.layout == "netflix" and subject.kind == "item":
            return section(plain, edit, subject)
        return rows(read(reading, _Unclosed(plain)), edit, subject)  # type: ignore[arg-type]
    except DataError:
        # It is not of its layout at all, and nothing of it came in.
        return unread(plain, replace(edit, layout=UNREAD, quote="", separator=""), subject, as_token=True)


def rows(blocks: Iterable[Block], edit: Edit, subject: Subject) -> Edit:
    """The rows and unreadable lines that are the subject's."""
    may_run_on = edit.layout == "delimited" and bool(edit.quote)
    stretches: list[Stretch] = []
    lines: list[NDArray[np.int64]] = []
    n_rows = 0
    open_start: int | None = None
    for block in blocks:
        hits = block.lines[equal(block.columns[subject.column], subject.id)]
        bad = [line.line for line in block.bad if subject.is_in(line.raw)]
        n_rows += len(hits) + len(bad)
        found = np.unique(np.concatenate((hits, np.array(bad, np.int64))))
        if not may_run_on:
            lines.append(found)
            continue
        # What is no text may stand inside a record, so it ends none.
        others = [line.line for line in block.bad if line.reason != "undecodable_text"]
        starts = np.unique(np.concatenate((block.lines, np.array(others, np.int64), found)))
        if open_start is not None and len(starts):
            stretches.append((open_start, int(starts[0])))
            open_start = None
        for start in found.tolist():
            behind = int(np.searchsorted(starts, start, side="right"))
            if behind < len(starts):
                stretches.append((start, int(starts[behind])))
            else:
                open_start = start
    if open_start is not None:
        stretches.append((open_start, END))
    if lines:
        stretches = stretches_of(np.concatenate(lines))
    is_cut = edit.layout == "baskets" and subject.kind == "item"
    return replace(edit, rows=n_rows, stretches=tuple(stretches), is_whole=not may_run_on, is_cut=is_cut)


def section(plain: IO[bytes], edit: Edit, subject: Subject) -> Edit:
    """The sections of an item, its own line and all to the next section's (what is left would be another item's)."""
    stretches: list[Stretch] = []
    start: int | None = None
    number = 1
    for chunk in chunks(_Unclosed(plain), edit.encoding, 1):  # type: ignore[arg-type]
        names, at = sections(chunk.data)
        for name, position in zip(names, at.tolist(), strict=True):
            if start is not None:
                stretches.append((start, number + position))
            start = number + position if name == subject.id else None
        number += chunk.data.count(b"\n")
        if chunk.is_last and not chunk.data.endswith(b"\n"):
            number += 1
    if start is not None:
        stretches.append((start, number))
    n_rows = sum(stop - start - 1 for start, stop in stretches)
    return replace(edit, rows=n_rows, stretches=tuple(stretches), quote="")


def unread(plain: IO[bytes], edit: Edit, subject: Subject, *, as_token: bool) -> Edit:
    """Lines of a text that have the id as a field; with `as_token` those that hold it as a token."""
    plain.seek(0)
    head = plain.read(HEAD)
    is_wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not is_wide:
        return edit
    letters = letters_of("utf-16" if is_wide else "utf-8", head)
    needles = {subject.id.encode(letters.encoding)}
    if not is_wide:
        needles |= {subject.id.encode(name) for name in ("latin-1",) if _can_encode(subject.id, name)}
    found: list[int] = []
    for first, data, ends in whole_lines(plain, letters.line_ends):
        hits = sorted({offset for needle in needles for offset in offsets(data, needle)})
        for at in sorted(set(np.searchsorted(ends, hits, side="right").tolist())):
            line = data[int(ends[at - 1]) if at else 0 : int(ends[at])]
            texts = {line.decode(name, errors="replace") for name in (letters.encoding, "latin-1")}
            if any(_is_of(text, subject, as_token=as_token) for text in texts):
                found.append(first + at)
    encoding = letters.encoding if is_wide else "latin-1"
    return replace(edit, encoding=encoding, rows=len(found), stretches=tuple(stretches_of(found)))


def _is_of(line: str, subject: Subject, *, as_token: bool) -> bool:
    if as_token:
        return subject.is_in(line)
    return any(field.strip(" \"'\r\n\ufeff") == subject.id for field in _FIELDS.split(line))


def may_hold(plain: IO[bytes], reading: Reading, subject: Subject) -> bool:
    """Whether a file's bytes can spell the id; where that can't be told, they can."""
    needles = needles_of(reading, subject)
    if not needles:
        return True
    plain.seek(0)
    overlap = max(len(needle) for needle in needles) - 1
    before = b""
    while piece := plain.read(CHUNK_BYTES):
        data = before + piece
        if any(needle in data for needle in needles):
            return True
        before = data[-overlap:] if overlap else b""
    return False


def needles_of(reading: Reading, subject: Subject) -> list[bytes]:
    """Bytes of which one is in every file that holds the id; none where that can't be told."""
    name = encoding_name(reading.encoding)
    name = "utf-8" if name == "utf-8-sig" else name
    if not _PLAIN.fullmatch(name) or not _can_encode(subject.id, name):
        return []
    spelt = subject.id.encode(name)
    if reading.layout == "jsonl":
        return [spelt, b"\\"]  # any letter may be written as \uXXXX
    is_literal = reading.layout in ("delimited", "netflix") and not (reading.quote and reading.quote in subject.id)
    return [spelt] if is_literal else []


def equal(values: Any, wanted: str) -> NDArray[np.bool_]:
    """Which of the ids (texts, a dictionary of them, or other values) are the one wanted; of shape (n,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        is_wanted = equal(values.dictionary, wanted)
        return np.asarray(is_wanted[values.indices.to_numpy(zero_copy_only=False)], bool)
    found = pc.fill_null(pc.equal(values.cast(pa.string()), pa.scalar(wanted, pa.string())), fill_value=False)
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def whole_lines(plain: IO[bytes], line_ends: Any) -> Iterator[tuple[int, bytes, NDArray[np.int64]]]:
    """Whole lines of a file from its start: number of the first, their bytes, and the offset behind each."""
    plain.seek(0)
    number, rest = 1, b""
    while piece := plain.read(CHUNK_BYTES):
        data = rest + piece
        ends = line_ends(data)
        used = int(ends[-1]) if len(ends) else 0
        if used:
            yield number, data[:used], ends
        number, rest = number + len(ends), data[used:]
    if rest:
        yield number, rest, np.array([len(rest)])


def offsets(data: bytes, needle: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)


def _copy(stream: IO[bytes], scratch: Path, closing: ExitStack) -> IO[bytes]:
    """The stream's bytes in a file without a name, which can go back."""
    scratch.mkdir(parents=True, exist_ok=True)
    copy = closing.enter_context(tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115
    shutil.copyfileobj(stream, copy, CHUNK_BYTES)
    return copy


class _Unclosed(io.RawIOBase):
    """A stream that stays open when its reader is done."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream
        stream.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
