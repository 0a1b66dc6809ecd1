"""What is to be taken out of one raw file: which lines, and how they are read. Holds no id, so it may be kept.

An edit can be applied again and again: lines that are empty already stay so.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from marquee.forgetting.lines import Stretch, changed
from marquee.forgetting.packing import packed
from marquee.forgetting.subject import Subject
from marquee.formats.delimited import split_record
from marquee.sources.packing import unpacked

#: Layout of files that nothing is read from, and of those that could not be read as they were meant to be.
UNREAD = "unread"
PARQUET = "parquet"


@dataclass(frozen=True)
class Edit:
    """Lines of a raw file, or of a member of an archive, that are the subject's.

    Attributes:
        file: name of the raw object.
        member: path in it where it is an archive.
        packing: how the file, or the member in the archive, is packed.
        name: the file as quarantine names it.
        rows: rows of the subject in them.
        stretches: in order; of delimited text a stretch is a record, which may end before it (`lines.changed`).
        is_whole: whether all lines of a stretch are the subject's; else only the first is a row's own.
        is_cut: whether only the item is cut out of the lines (baskets).
    """

    file: str
    member: str | None
    packing: str
    name: str
    layout: str
    encoding: str
    rows: int
    stretches: tuple[Stretch, ...]
    separator: str = ""
    quote: str = ""
    is_whole: bool = True
    is_cut: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Edit:
        stretches = tuple((int(start), int(stop)) for start, stop in value.pop("stretches"))
        return cls(stretches=stretches, **value)

    def holds(self, lines: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the lines (int64 of shape (n,)) are rows of the subject."""
        if not self.stretches:
            return np.zeros(len(lines), bool)
        starts, stops = (np.array(ends, np.int64) for ends in zip(*self.stretches, strict=True))
        at = np.searchsorted(starts, lines, side="right") - 1
        near = np.maximum(at, 0)
        return (at >= 0) & ((lines < stops[near]) if self.is_whole else (lines == starts[near]))


def apply(edits: Sequence[Edit], subject: Subject, source: IO[bytes], target: IO[bytes]) -> None:
    """Write a file, or a member of an archive, without the lines of its edits; packed again as it was.

    Args:
        source: its bytes; of Parquet they have to be seekable.
    """
    packing = edits[0].packing
    stream: IO[bytes] = unpacked(source, packing, edits[0].name)
    for edit in edits[:-1]:
        stream = io.BufferedReader(_Pieces(_pieces(edit, subject, stream)), io.DEFAULT_BUFFER_SIZE)
    with packed(target, packing) as out:
        for piece in _pieces(edits[-1], subject, stream):
            out.write(piece)


def _pieces(edit: Edit, subject: Subject, stream: IO[bytes]) -> Iterator[bytes]:
    if edit.layout == PARQUET:
        return without_rows(stream, edit)
    if not edit.is_cut:
        return changed(stream, edit.encoding, edit.stretches, quote=edit.quote)

    def cut(line: str) -> str:
        return without_item(line, subject.id, edit.separator, edit.quote)

    return changed(stream, edit.encoding, edit.stretches, change=cut)


def without_item(line: str, item: str, separator: str, quote: str) -> str:
    """A basket without an item; empty where it can't be taken apart."""
    import csv

    entries = split_record(line, separator, quote)
    if entries is None:
        return ""
    kept = [entry for entry in entries if entry != item]
    if len(kept) == len(entries):
        return line
    if not quote or quote not in line:
        return separator.join(kept)
    out = io.StringIO()
    csv.writer(out, delimiter=separator, quotechar=quote, lineterminator="").writerow(kept)
    return out.getvalue()


def without_rows(stream: IO[bytes], edit: Edit) -> Iterator[bytes]:
    """A Parquet file in whose rows of the stretches (the first row is 1) every column is null."""
    import tempfile

    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryFile() as seekable, tempfile.TemporaryFile() as out:
        shutil.copyfileobj(stream, seekable, 1 << 20)
        file = pq.ParquetFile(seekable)
        schema = pa.schema(
            [field.with_nullable(nullable=True) for field in file.schema_arrow], file.schema_arrow.metadata
        )
        first = 1
        compression = _compression(file)
        with pq.ParquetWriter(out, schema, compression=compression) as writer:
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(batch_size=1 << 18, row_groups=[group]):
                    positions = np.arange(batch.num_rows)
                    gone = edit.holds(positions + first)
                    first += batch.num_rows
                    table = pa.Table.from_batches([batch])
                    if gone.any():
                        table = table.take(pa.array(positions, mask=gone))
                    writer.write_table(table.cast(schema))
        out.seek(0)
        while piece := out.read(1 << 20):
            yield piece


def _compression(file: Any) -> str:
    metadata = file.metadata
    if metadata.num_row_groups == 0 or metadata.num_columns == 0:
        return "snappy"
    name = str(metadata.row_group(0).column(0).compression).lower()
    return {"uncompressed": "none"}.get(name, name)


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = iter(pieces), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        chunk, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)
