"""The shape of a delimited file: how many fields a line has, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from marquee.errors import DataError
from marquee.sources.reading import TIME_UNITS, RatingsReading, Reading

FLAG = "flag_"
MAX_NAMED = 8
ENCODED = pa.dictionary(pa.int32(), pa.string())
ENCODED_COLUMNS = ("user_id", "item_id", "rated_at")


@dataclass(frozen=True)
class Shape:
    """A line of `n_fields` fields (0: as many as the first line has); `positions` of the wanted ones, the first is 0.

    `types` are those that a column may have where all of its values fit.
    """

    separator: str
    quote: str
    n_fields: int
    positions: dict[str, int]
    types: dict[str, pa.DataType]
    labels: tuple[str, ...] = ()
    last_takes_rest: bool = False

    @property
    def names(self) -> list[str]:
        return list(self.positions)

    def split(self, line: str) -> list[str] | None:
        """The fields of a line; None where its quotes don't close."""
        from marquee.formats.delimited import split_record

        if self.last_takes_rest:
            return line.split(self.separator, self.n_fields - 1)
        return split_record(line, self.separator, self.quote)

    def has_line_end(self, record: Sequence[str]) -> bool:
        """Whether a line ends inside an id, a rating or a time: then a stray quote has joined lines."""
        wanted = ("user_id", "item_id", "rating", "rated_at")
        return any("\n" in record[place] for name, place in self.positions.items() if name in wanted)

    def miscounted(self, n: int) -> str:
        named = ", ".join(self.labels[:MAX_NAMED]) + (", ..." if len(self.labels) > MAX_NAMED else "")
        return f"{n} fields where {self.n_fields} are due" + (f" ({named})" if named else "")


def shape_of(reading: Reading, header: Sequence[str] | None, n_fields: int = 0) -> Shape:
    """The shape of files read so.

    Args:
        header: their first line, taken apart, where it names the columns.
        n_fields: of their first line, where it is a row and the reading does not say how many fields a line has.

    Raises:
        DataError: columns are missing, unknown (where others are refused) or named twice, or a position is no number.
    """
    if header is None:
        labels: tuple[str, ...] = ()
        positions = {ours: _position(ours, theirs, reading) for ours, theirs in reading.columns.items()}
        n_fields = reading.n_fields or n_fields
        last = max(positions.values(), default=0) + 1
        if 0 < n_fields < last:
            raise DataError(
                f"line 1: {n_fields} fields, but a column is said to be field {last}: mend the line, or say in the "
                "source's TOML how many fields a line has (n_fields), and ingest it again."
            )
    else:
        labels = tuple(header)
        positions = _named(reading, header)
        n_fields = len(header)
    flags = getattr(reading, "genre_flags", ())
    for at, genre in enumerate(flags):
        if genre:
            positions[f"{FLAG}{genre}"] = n_fields - len(flags) + at
    # Ids come again and again: Arrow's parser makes their dictionary faster than their texts.
    types = {name: ENCODED if name in ENCODED_COLUMNS else pa.string() for name in positions}
    if isinstance(reading, RatingsReading):
        if "rating" in positions:
            types["rating"] = pa.float64()
        if "rated_at" in positions and reading.time in TIME_UNITS:
            types["rated_at"] = pa.int64()
    return Shape(
        reading.separator, reading.quote, n_fields, positions, types, labels, getattr(reading, "last_takes_rest", False)
    )


def _position(ours: str, theirs: str, reading: Reading) -> int:
    last = reading.n_fields or 100_000
    if not theirs.isdecimal() or not 1 <= int(theirs) <= last:
        raise DataError(
            f"Column {ours} is said to be {theirs!r}, but a file without a header has numbered columns: write its "
            "position, the first is '1'."
        )
    return int(theirs) - 1


def _named(reading: Reading, header: Sequence[str]) -> dict[str, int]:
    found = [name.strip().casefold() for name in header]
    wanted = {ours: theirs.strip().casefold() for ours, theirs in reading.columns.items()}
    absent = [reading.columns[ours] for ours, theirs in wanted.items() if theirs not in found]
    twice = sorted({theirs for theirs in wanted.values() if found.count(theirs) > 1})
    unknown = [name for name in found if name not in wanted.values()] if reading.other_columns == "refuse" else []
    faults = [
        f"{what} {', '.join(repr(name) for name in names)}"
        for what, names in (("no column", absent), ("unknown column", unknown), ("twice the column", twice))
        if names
    ]
    if faults:
        due = reading.separator.join(reading.columns.values())
        shown = reading.separator.join(header)
        raise DataError(
            f"line 1: {'; '.join(faults)}. The first line has to name {due!r} in any order (found: {shown[:200]!r}): "
            "rename the columns, or name them as they are in the source's TOML (marquee inspect), and ingest it again."
        )
    return {ours: found.index(theirs) for ours, theirs in wanted.items()}
