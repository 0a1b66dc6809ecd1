"""The rows that were refused, for people: how many for which reason, examples, and the lines to mend.

Rows of accepted batches lie in the table `quarantine`. Where a batch was refused as a whole, its rows are only
prepared: no version of the table has them, and just then they are wanted most.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marquee.errors import DataError, LakeError
from marquee.lake import tables
from marquee.lake.objects import Lake, lake_errors
from marquee.reasons import REASONS

if TYPE_CHECKING:
    import pyarrow as pa

    from marquee.lake.raw import Manifest, Member
    from marquee.sources.reading import Source

TABLE = "quarantine"
COLUMNS = ("source_sha256", "source_file", "source_line", "kind", "reason", "sentence", "raw")
PREFIX = f"prepared/{TABLE}/"
#: Layouts whose lines stand for themselves, so that some of them are a file again.
LINES = ("delimited", "jsonl", "baskets")


@dataclass(frozen=True)
class Refused:
    """A row that was refused: where it stood, what it was to become, why it did not, and the line as received."""

    source_sha256: str
    source_file: str
    source_line: int
    kind: str
    reason: str
    sentence: str
    raw: str


@dataclass(frozen=True)
class Wanted:
    """Which rows are wanted: of a batch (as its name or its sha256 starts), of a reason; empty: of any."""

    batch: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        known = [reason.code for reason in REASONS]
        if self.reason and self.reason not in known:
            raise DataError(f"{self.reason!r} is no reason: name one of {', '.join(known)}.")

    def of(self, rows: pa.RecordBatch | pa.Table) -> pa.Table:
        """Those among the rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        if self.batch:
            table = table.filter(pc.starts_with(table["source_sha256"], pattern=self.batch[:64]))
        return table.filter(pc.equal(table["reason"], self.reason)) if self.reason else table


@dataclass
class Summary:
    """Rows by reason, and the first `limit` of each."""

    limit: int
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Refused]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(self.counts.values())

    def add(self, rows: pa.Table) -> None:
        import pyarrow.compute as pc

        for counted in rows["reason"].value_counts().to_pylist():
            reason = counted["values"]
            self.counts[reason] = self.counts.get(reason, 0) + counted["counts"]
            shown = self.examples.setdefault(reason, [])
            if len(shown) < self.limit:
                of_reason = rows.filter(pc.equal(rows["reason"], reason)).slice(0, self.limit - len(shown))
                shown.extend(refused(of_reason))


def summary_of(rows: Iterable[pa.Table], limit: int) -> Summary:
    found = Summary(limit)
    for some in rows:
        found.add(some)
    return found


def accepted(lake: Lake, wanted: Wanted) -> Iterator[pa.Table]:
    """Rows of the batches that are in the table, some at a time; none where there is no table.

    Raises:
        LakeError: the store refuses.
    """
    version = tables.current_version(lake, TABLE)
    if version is not None:
        for batch in tables.read_table(lake, TABLE, version, COLUMNS):
            yield wanted.of(batch)


def prepared(lake: Lake, batch: str, wanted: Wanted) -> Iterator[pa.Table]:
    """Rows of a batch that was prepared and not accepted, some at a time.

    Raises:
        LakeError: there is no such batch, or the store refuses.
    """
    for part in tables.read_parts(lake, tables.load_prepared(lake, TABLE, batch), COLUMNS):
        yield wanted.of(part)


def refused_batch(lake: Lake, start: str = "") -> str | None:
    """The newest batch (of those whose names start so) that is prepared and in no table; None where a later one is.

    Raises:
        LakeError: the store refuses.
    """
    with lake_errors(f"list {lake.uri(PREFIX)}", lake):
        pages = lake.client().get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=PREFIX)
        listed = [entry for page in pages for entry in page.get("Contents", [])]
    # Rows that a merge left out are listed too; they belong to a batch that is accepted.
    prepared_at = {
        entry["Key"].removeprefix(PREFIX).removesuffix(".json"): entry["LastModified"]
        for entry in listed
        if entry["Key"].endswith(".json") and "+" not in entry["Key"]
    }
    fitting = {batch: at for batch, at in prepared_at.items() if batch.startswith(start)}
    # The ratings are committed last: a batch is accepted when they are.
    commits = tables.history(lake, "ratings") if tables.exists(lake, "ratings") else []
    known = {entry.get("marquee.batch") for entry in commits}
    held_back = max((batch for batch in fitting if batch not in known), key=fitting.__getitem__, default=None)
    is_outdated = held_back is not None and any(
        at > fitting[held_back] for batch, at in fitting.items() if batch in known
    )
    return None if is_outdated else held_back


def refused(rows: pa.Table) -> list[Refused]:
    return [Refused(**row) for row in rows.select(list(COLUMNS)).to_pylist()]


@dataclass(frozen=True)
class Lines:
    """Refused lines of one file as a file of the same layout: its first line if it has names, and how it is read."""

    header: str | None
    encoding: str
    source: Source
    rows: Iterator[Refused]


def lines_to_mend(lake: Lake, rows: Iterable[pa.Table], batch: str | None) -> Lines:
    """The refused ratings of one file as they were received, ready to be mended and ingested as a correction.

    Rows that are no faults (an earlier rating of the same item, the very same row twice) are left out.

    Args:
        batch: the batch of the rows where it is only prepared; None: it is one that the table ratings holds.

    Raises:
        DataError: there are none, they are of several files, or their layout has no lines that stand for themselves.
        LakeError: the store refuses.
    """
    from marquee.lake.raw import read_manifest

    faults = {reason.code for reason in REASONS if reason.is_fault}
    found = (row for some in rows for row in refused(some) if row.kind == "ratings" and row.reason in faults)
    first = next(found, None)
    if first is None:
        raise DataError("No rating that could be mended is in quarantine: see `marquee quarantine`.")
    manifest = read_manifest(lake, batch or _batch_of(lake, first.source_sha256))
    member = _member(manifest, first)
    reading = manifest.reading_of(member)
    if reading.layout not in LINES:
        raise DataError(
            f"{first.source_file} has the layout {reading.layout}, whose lines are no file by themselves: mend "
            f"{manifest.source} and ingest it again."
        )

    def checked() -> Iterator[Refused]:
        yield first
        for row in found:
            if (row.source_sha256, row.source_file) != (first.source_sha256, first.source_file):
                raise DataError(
                    f"The refused lines are of several files, as {first.source_file} and {row.source_file}: name one "
                    "batch, by --batch."
                )
            yield row

    return Lines(_header(lake, manifest, member), reading.encoding, manifest.reading, checked())


def _member(manifest: Manifest, row: Refused) -> Member:
    for member in manifest.of("ratings"):
        if member.name == row.source_file:
            return member
    raise LakeError(f"Batch {manifest.batch} has no file {row.source_file}: ingest {manifest.source} again.")


def _header(lake: Lake, manifest: Manifest, member: Member) -> str | None:
    """The file's first line, where it names the columns."""
    from marquee.formats.lines import chunks
    from marquee.lake.raw import open_member

    reading = manifest.reading_of(member)
    if reading.layout != "delimited" or not reading.header:
        return None
    with open_member(lake, manifest, member) as stream:
        for chunk in chunks(stream, reading.encoding, 1):
            return chunk.data.split(b"\n", 1)[0].decode().removesuffix("\r")
    return ""


def _batch_of(lake: Lake, sha256: str) -> str:
    """The batch of these raw bytes that the table ratings holds; of several the one that came last."""
    version = tables.current_version(lake, "ratings")
    found = [] if version is None else tables.batches(lake, "ratings", version)
    fitting = [batch for batch in found if batch.startswith(sha256)]
    if not fitting:
        raise LakeError(f"No batch of {sha256} is in table ratings any more: ingest its source again.")
    return fitting[-1]


def as_file(lines: Lines) -> Iterator[bytes]:
    """The lines as bytes of a file that is read as they were."""
    encoder = codecs.getincrementalencoder(lines.encoding)(errors="backslashreplace")
    if lines.header is not None:
        yield encoder.encode(f"{lines.header}\n")
    for row in lines.rows:
        yield encoder.encode(f"{row.raw}\n")
