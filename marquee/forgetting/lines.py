"""Lines of a text file emptied or changed in place, so that all others keep their numbers and every byte they have.

Lines end where the readers of `marquee.formats` end them: at newlines, in the file's own encoding; in a file of old
that has none, at carriage returns.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from marquee.formats.lines import CHUNK_BYTES, encoding_name

#: A stretch of lines: the first, and the one behind its last; the file's first line is 1.
Stretch = tuple[int, int]
#: Stands for "to the end of the file".
END = 1 << 62

_NEWLINE, _RETURN = ord("\n"), ord("\r")
_MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@dataclass(frozen=True)
class Letters:
    """How letters lie in a file's bytes: the encoding (its byte order told), bytes of a unit, and what ends a line."""

    encoding: str
    unit: str
    ends: tuple[int, ...]

    @property
    def width(self) -> int:
        return np.dtype(self.unit).itemsize

    def line_ends(self, data: bytes) -> NDArray[np.int64]:
        """Offsets behind each line end."""
        units = np.frombuffer(data, self.unit, len(data) // self.width)
        is_end = units == self.ends[0]
        for other in self.ends[1:]:
            is_end |= units == other
        return (np.flatnonzero(is_end) + 1) * self.width

    def split(self, line: bytes) -> tuple[bytes, str, bytes]:
        """A line taken apart: its byte order mark, its text (what is none stands as U+FFFD), and its line end."""
        mark = _MARKS.get(self.encoding, b"")
        mark = mark if mark and line.startswith(mark) else b""
        rest = line[len(mark) :]
        stop = len(rest)
        for letter in ("\n", "\r"):
            end = letter.encode(self.encoding)
            if rest[:stop].endswith(end):
                stop -= len(end)
        return mark, rest[:stop].decode(self.encoding, errors="replace"), rest[stop:]


def letters_of(encoding: str, head: bytes) -> Letters:
    """How letters lie in a file of that encoding that starts with `head` (as much as readers look at)."""
    name = encoding_name(encoding)
    name = "utf-8" if name == "utf-8-sig" else name
    for width, family in ((2, "utf-16"), (4, "utf-32")):
        if name.startswith(family):
            if name == family:
                name += "-be" if head.startswith(_MARKS[f"{family}-be"]) else "-le"
            return Letters(name, f"{'>' if name.endswith('be') else '<'}u{width}", (_NEWLINE,))
    is_old = b"\n" not in head and b"\r" in head
    return Letters(name, "u1", (_RETURN, _NEWLINE) if is_old else (_NEWLINE,))


def changed(
    stream: IO[bytes],
    encoding: str,
    stretches: Iterable[Stretch],
    *,
    quote: str = "",
    change: Callable[[str], str] | None = None,
) -> Iterator[bytes]:
    """The bytes of a text file, in pieces, with the lines of the stretches emptied (or as `change` has them).

    Args:
        stretches: in order, apart from each other.
        quote: what encloses fields: then a stretch ends before its last line where the quotes of its lines so far
            close, for what follows is a record of its own. Empty: all its lines are emptied.
        change: what becomes of a line's text, without its end; by default nothing of it is left.
    """
    letters: Letters | None = None
    waiting = _Waiting(iter(stretches), quote, change or (lambda _: ""))
    number, rest = 1, b""
    while piece := stream.read(CHUNK_BYTES):
        letters = letters or letters_of(encoding, piece)
        data = rest + piece
        ends = letters.line_ends(data)
        used = int(ends[-1]) if len(ends) else 0
        if used:
            yield from waiting.pass_over(data[:used], ends, number, letters)
        number, rest = number + len(ends), data[used:]
    if rest and letters is not None:
        yield from waiting.pass_over(rest, np.array([len(rest)]), number, letters)


class _Waiting:
    """The stretches that are still to come, and how far the quotes of the one at hand are open."""

    def __init__(self, stretches: Iterator[Stretch], quote: str, change: Callable[[str], str]) -> None:
        self._stretches, self._quote, self._change = stretches, quote, change
        self._start, self._stop = next(stretches, (END, END))
        self._n_quotes = 0

    def pass_over(self, data: bytes, ends: NDArray[np.int64], first: int, letters: Letters) -> Iterator[bytes]:
        """Whole lines, the first of them number `first`, with those changed that are waited for."""
        behind = first + len(ends)
        done = 0
        while self._start < behind:
            at = self._start - first
            begin, end = int(ends[at - 1]) if at else 0, int(ends[at])
            mark, text, line_end = letters.split(data[begin:end])
            instead = self._change(text)
            if instead != text:
                yield data[done:begin]
                yield mark + instead.encode(letters.encoding, errors="replace") + line_end
                done = end
            self._advance(text)
        yield data[done:]

    def _advance(self, text: str) -> None:
        self._start += 1
        if self._quote:
            self._n_quotes += text.count(self._quote)
        is_record_over = bool(self._quote) and self._n_quotes % 2 == 0
        if is_record_over or self._start >= self._stop:
            self._start, self._stop = next(self._stretches, (END, END))
            self._n_quotes = 0


def stretches_of(lines: Sequence[int] | NDArray[np.int64]) -> list[Stretch]:
    """Lines, in order, as stretches: neighbours are one."""
    numbers = np.unique(np.asarray(lines, np.int64))
    if not len(numbers):
        return []
    breaks = np.flatnonzero(np.diff(numbers) > 1)
    starts = numbers[np.concatenate(([0], breaks + 1))]
    stops = numbers[np.concatenate((breaks, [len(numbers) - 1]))] + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
