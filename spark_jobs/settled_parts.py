"""What a settling task does: its bucket's ratings as one sorted part, and the refused rows as parts of quarantine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.batch_profile import profile_part
from expectations.contracts import QUARANTINE, RATINGS
from expectations.schema import arrow_schema
from expectations.witnesses import witnesses
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.pieces import Piece, raw_lines
from marquee.lake.raw import Manifest
from spark_jobs.buckets import SENT_DDL, message, note, one_array, packed, unpacked
from spark_jobs.narrow import widened
from spark_jobs.settling import settle

EXAMPLES = 3
#: Lines of a file are fewer than 2^40.
LINE_BITS = 40
#: Lists of bytes in a part: dictionaries for what repeats, differences for lines; zstd's fastest level.
LAYOUT: dict[str, Any] = {
    "row_group_size": 1 << 20,
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["user_id", "item_id", "rating", "source_sha256", "source_file"],
    "column_encoding": {"source_line": "DELTA_BINARY_PACKED", "rated_at": "DELTA_BINARY_PACKED"},
    "write_statistics": ["rating", "rated_at"],
}


def settle_buckets(
    batches: Iterator[pa.RecordBatch], manifest: Manifest, work: list[list[Piece]]
) -> Iterator[pa.RecordBatch]:
    """Messages about the buckets of a task: part, profile, witnesses, items, read, merged, counts, examples, lost."""
    received: dict[int, dict[str, list[pa.Table]]] = {}
    for batch in batches:
        for bucket, kind, frame in zip(*(batch.column(at) for at in range(3)), strict=True):
            if kind.as_py() == "read":
                yield message(0, "read", frame.as_py())
                continue
            frames = received.setdefault(bucket.as_py(), {})
            frames.setdefault(kind.as_py(), []).append(unpacked(frame.as_buffer()))
    lake = Lake.from_environment()
    for bucket in sorted(received):
        frames = received.pop(bucket)
        if "refused" in frames:
            yield from _refused(lake, manifest, pa.concat_tables(frames.pop("refused")))
        if "ratings" in frames:
            yield from _ratings(lake, manifest, work, bucket, frames.pop("ratings"))


def _ratings(
    lake: Lake, manifest: Manifest, work: list[list[Piece]], bucket: int, frames: list[pa.Table]
) -> Iterator[pa.RecordBatch]:
    names = [member.name for member in manifest.members]
    settled = settle(pa.concat_tables([widened(frame) for frame in frames]), manifest.reading.ratings.repeated, names)
    frames.clear()
    rows = contracted(settled.ratings, manifest, names)
    part = tables.write_part(lake, RATINGS.name, manifest.batch, rows, bucket=bucket, **LAYOUT)
    yield message(bucket, "part", note({"table": RATINGS.name, **vars(part)}))
    yield message(bucket, "profile", note(profile_part(rows).to_json()))
    yield message(bucket, "witnesses", packed(witnesses(rows, RATINGS)))
    yield message(bucket, "items", packed(first_seen(settled.ratings)))
    yield message(bucket, "merged", note(settled.n_merged))
    if settled.lost.num_rows:
        yield message(bucket, "counts", note(dict(Counter(settled.lost["reason"].to_pylist()))))
        yield message(bucket, "examples", note(examples(settled.lost)))
        yield from _by_group(settled.lost, work)


def contracted(rows: pa.Table, manifest: Manifest, names: list[str]) -> pa.Table:
    """Settled rows with the columns of the contract; texts stay dictionaries."""
    n = rows.num_rows
    constant = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([manifest.sha256]))
    files = pa.DictionaryArray.from_arrays(rows["member"].combine_chunks(), pa.array(names))
    return pa.table(
        {
            "user_id": rows["user_id"],
            "item_id": rows["item_id"],
            "rating": rows["rating"],
            "rated_at": rows["rated_at"].cast(pa.timestamp("us", tz="UTC")),
            "source_sha256": constant,
            "source_file": files,
            "source_line": rows["line"],
        }
    )


def first_seen(rows: pa.Table) -> pa.Table:
    """Each item of the rows with the first place where it is rated: item_id, member, line."""
    item = one_array(rows["item_id"])
    first = np.full(len(item.dictionary), np.iinfo(np.int64).max)
    np.minimum.at(first, item.indices.to_numpy(zero_copy_only=False), places(rows))
    used = np.flatnonzero(first < np.iinfo(np.int64).max)
    members, lines = np.divmod(first[used], 1 << LINE_BITS)
    return pa.table(
        {"item_id": item.dictionary.take(pa.array(used)), "member": pa.array(members.astype(np.int32)), "line": lines}
    )


def places(rows: pa.Table) -> NDArray[np.int64]:
    """Member and line of each row as one number, int64 of shape (n,), in the order of the files."""
    member, line = (np.asarray(rows[name].to_numpy(), np.int64) for name in ("member", "line"))
    return (member << LINE_BITS) + line


def _by_group(lost: pa.Table, work: list[list[Piece]]) -> Iterator[pa.RecordBatch]:
    """The rows that don't stay, to the task that can read their lines again: by group of pieces."""
    flat = sorted((piece.at, piece.line, group) for group, some in enumerate(work) for piece in some)
    starts = np.array([(at << LINE_BITS) + line for at, line, _ in flat])
    group_of = np.array([group for *_, group in flat])[np.searchsorted(starts, places(lost), side="right") - 1]
    for group in np.unique(group_of).tolist():
        yield message(group, "lost", packed(lost.filter(pa.array(group_of == group))))


def _refused(lake: Lake, manifest: Manifest, refused: pa.Table) -> Iterator[pa.RecordBatch]:
    for part in write_refused(lake, manifest, refused):
        yield message(0, "part", note({"table": QUARANTINE.name, **vars(part)}))
    yield message(0, "counts", note(dict(Counter(refused["reason"].to_pylist()))))
    yield message(0, "examples", note(examples(refused)))


def examples(refused: pa.Table) -> list[dict[str, Any]]:
    """The first rows of each reason: reason, member, line, sentence."""
    ordered = refused.select(["reason", "member", "line", "sentence"]).sort_by(
        [("member", "ascending"), ("line", "ascending")]
    )
    shown: list[dict[str, Any]] = []
    for reason in dict.fromkeys(ordered["reason"].to_pylist()):
        some = ordered.filter(pa.compute.equal(ordered["reason"], reason)).slice(0, EXAMPLES)
        shown += some.to_pylist()
    return shown


def write_refused(lake: Lake, manifest: Manifest, refused: pa.Table) -> list[tables.Part]:
    """Refused rows (kind, member, line, reason, sentence, raw) as a part of quarantine; none where there are none."""
    if not refused.num_rows:
        return []
    names = pa.array([member.name for member in manifest.members])
    ordered = refused.sort_by([("member", "ascending"), ("line", "ascending")])
    columns = {
        "source_sha256": pa.repeat(pa.scalar(manifest.sha256), ordered.num_rows),
        "source_file": names.take(ordered["member"].combine_chunks()),
        "source_line": ordered["line"],
        **{name: ordered[name] for name in ("kind", "reason", "sentence", "raw")},
    }
    rows = pa.table(columns).cast(arrow_schema(QUARANTINE))
    return [tables.write_part(lake, QUARANTINE.name, manifest.batch, rows)]


def write_lost(spark: SparkSession, results: DataFrame, manifest: Manifest) -> list[tables.Part]:
    """Write the rows that did not stay to quarantine, each with its line as received, which is read again for it."""

    def fetch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        frames = [unpacked(frame.as_buffer()) for batch in batches for frame in batch.column(2)]
        if not frames:
            return
        lake = Lake.from_environment()
        for part in write_refused(lake, manifest, with_raw(lake, manifest, pa.concat_tables(frames))):
            yield message(0, "part", note(vars(part)))

    lost = results.filter(F.col("kind") == "lost")
    n_groups = int(lost.agg(F.max("bucket")).collect()[0][0]) + 1
    told = lost.repartitionById(n_groups, "bucket").mapInArrow(fetch, SENT_DDL).collect()
    return [tables.Part(**json.loads(row["frame"])) for row in told]


def with_raw(lake: Lake, manifest: Manifest, lost: pa.Table) -> pa.Table:
    """Rows (member, line, reason, sentence) with their kind, and their lines as received."""
    members, lines = (lost[name].to_pylist() for name in ("member", "line"))
    wanted: dict[int, list[int]] = {}
    for member, line in zip(members, lines, strict=True):
        wanted.setdefault(member, []).append(line)
    found = raw_lines(lake, manifest, wanted)
    raw = pa.array([found[place] for place in zip(members, lines, strict=True)], pa.string())
    kinds: Sequence[str] = [manifest.members[member].table for member in members]
    return lost.append_column("raw", raw).append_column("kind", pa.array(kinds, pa.string()))
