"""The tables beside the ratings: the catalogue of items, and published splits; small, so the driver reads them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.contracts import ITEMS, SPLITS
from expectations.schema import arrow_schema
from marquee.formats.blocks import BadLine
from marquee.lake.objects import Lake
from marquee.lake.pieces import blocks_of, pieces
from marquee.lake.raw import Manifest
from spark_jobs import rules
from spark_jobs.buckets import REFUSED, refused_table


@dataclass(frozen=True)
class Aside:
    """Accepted items and pairs of splits with the columns of their contracts, what was refused, and the rows read."""

    items: pa.Table
    splits: pa.Table
    refused: pa.Table
    n_read: int

    def known_items(self, manifest: Manifest) -> pa.Array | None:
        """The items that may be rated, where the source promises a full catalogue."""
        reading = manifest.reading.items
        if reading is None or not reading.is_complete or not manifest.of("items"):
            return None
        return self.items["item_id"].combine_chunks()


def read_aside(lake: Lake, manifest: Manifest) -> Aside:
    """Read and check the catalogue and the splits of a batch."""
    read_items, refused_items, n_items = _read(lake, manifest, "items")
    read_pairs, refused_splits, n_pairs = _read(lake, manifest, "splits")
    items, again = _last_of(read_items, manifest, ["item_id"], ["title", "genres"])
    splits, twice = _last_of(read_pairs, manifest, ["split", "user_id", "item_id"], [])
    refused = [*refused_items, *refused_splits, *again, *twice]
    return Aside(
        _contracted(items, manifest, ITEMS.name),
        _contracted(splits, manifest, SPLITS.name),
        pa.concat_tables(refused) if refused else REFUSED.empty_table(),
        n_items + n_pairs,
    )


def with_unlisted(items: pa.Table, rated: pa.Table, manifest: Manifest) -> pa.Table:
    """The catalogue, and with it the items that are rated but not listed, each with its id as its title.

    Args:
        rated: item_id, member and line of every item that is rated.
    """
    missing = rated.filter(pc.invert(pc.is_in(rated["item_id"], value_set=items["item_id"].combine_chunks())))
    n = missing.num_rows
    names = pa.array([member.name for member in manifest.members])
    unlisted = pa.table(
        {
            "item_id": missing["item_id"],
            "title": missing["item_id"],
            "genres": pa.array([[]] * n, pa.list_(pa.string())),
            "is_listed": pa.repeat(pa.scalar(value=False), n),
            "source_sha256": pa.repeat(pa.scalar(manifest.sha256), n),
            "source_file": names.take(missing["member"].combine_chunks()),
            "source_line": missing["line"],
        }
    ).cast(arrow_schema(ITEMS))
    return pa.concat_tables([items, unlisted]).sort_by("item_id")


def _read(lake: Lake, manifest: Manifest, table: str) -> tuple[list[pa.Table], list[pa.Table], int]:
    accepted: list[pa.Table] = []
    refused: list[pa.Table] = []
    n_read = 0
    for piece, block in blocks_of(lake, manifest, pieces(manifest, table)):
        member = manifest.members[piece.at]
        if table == "items" and manifest.reading.items is not None:
            ruled = rules.items(block, manifest.reading.items)
        else:
            ruled = rules.pairs(block)
        n = ruled.accepted.num_rows
        rows = ruled.accepted.append_column("member", pa.array(np.full(n, piece.at, np.int32)))
        accepted.append(rows.append_column("split", pa.repeat(pa.scalar(member.split), n)))
        if ruled.refused:
            refused.append(refused_table(table, piece.at, ruled.refused))
        n_read += block.n_read
    return accepted, refused, n_read


def _last_of(
    accepted: list[pa.Table], manifest: Manifest, key: list[str], content: list[str]
) -> tuple[pa.Table | None, list[pa.Table]]:
    """Of several rows of a key the last stays; the others are superseded, or duplicates where they say the same."""
    if not accepted:
        return None, []
    rows = pa.concat_tables(accepted).combine_chunks()
    n = rows.num_rows
    at = np.arange(n)
    last = rows.select(key).append_column("at", pa.array(at)).group_by(key).aggregate([("at", "max")])
    if last.num_rows == n:
        return rows, []
    stays = np.zeros(n, bool)
    stays[last["at_max"].to_numpy()] = True
    winner = {tuple(row[name] for name in key): row["at_max"] for row in last.to_pylist()}
    told: dict[int, list[BadLine]] = {}
    for position in np.flatnonzero(~stays).tolist():
        row = rows.slice(position, 1).to_pylist()[0]
        other = rows.slice(winner[tuple(row[name] for name in key)], 1).to_pylist()[0]
        is_same = all(row[name] == other[name] for name in content)
        what = ", ".join(repr(row[name]) for name in key)
        verb = "comes again" if is_same else "comes later with other values"
        sentence = f"{' and '.join(key)} {what} {verb} in line {other['line']}"
        reason = "duplicate" if is_same else "superseded"
        told.setdefault(row["member"], []).append(BadLine(row["line"], reason, sentence, ""))
    return rows.filter(pa.array(stays)), [_with_raw(manifest, member, lines) for member, lines in told.items()]


def _with_raw(manifest: Manifest, member: int, lines: list[BadLine]) -> pa.Table:
    from marquee.lake.pieces import raw_lines

    raw = raw_lines(Lake.from_environment(), manifest, {member: [line.line for line in lines]})
    full = [BadLine(line.line, line.reason, line.sentence, raw[member, line.line]) for line in lines]
    return refused_table(manifest.members[member].table, member, full)


def _contracted(rows: pa.Table | None, manifest: Manifest, table: str) -> pa.Table:
    schema = arrow_schema(ITEMS if table == ITEMS.name else SPLITS)
    if rows is None:
        return schema.empty_table()
    n = rows.num_rows
    names = pa.array([member.name for member in manifest.members])
    known = {
        "is_listed": pa.repeat(pa.scalar(value=True), n),
        "source_sha256": pa.repeat(pa.scalar(manifest.sha256), n),
        "source_file": names.take(rows["member"].combine_chunks()),
        "source_line": rows["line"],
    }
    return pa.table({name: known[name] if name in known else rows[name] for name in schema.names}).cast(schema)
