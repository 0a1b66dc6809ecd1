"""What came of a batch: its parts and numbers, gathered from the tasks, and the checks that nothing got lost."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from expectations import batch_profile
from expectations.batch_profile import FAULTS, RatingsProfile
from expectations.contracts import RATINGS
from expectations.schema import arrow_schema
from marquee.errors import DataError
from marquee.lake import tables
from marquee.lake.raw import Manifest
from spark_jobs.buckets import unpacked
from spark_jobs.catalogue import Aside

EXAMPLES = 3


@dataclass(frozen=True)
class Result:
    """What the tasks told.

    Attributes:
        counts: read, ratings, items, splits, merged, accepted, quarantined, and `reasons` with a number each.
        parts: parts of ratings and quarantine.
        examples: refused rows with reason, file, line and sentence, in the order of the file.
        rated_items: item_id, member and line of every item that is rated.
        n_lost: rows that an other row of the batch takes the place of; their raw lines are to be read again.
    """

    counts: dict[str, Any]
    parts: dict[str, list[tables.Part]]
    profile: RatingsProfile
    witnesses: pa.Table
    examples: list[dict[str, Any]]
    rated_items: pa.Table
    n_lost: int

    def sentence(self) -> str:
        counts = self.counts
        lines = [
            f"read {counts['read']:,} rows = {counts['accepted']:,} accepted ({counts['ratings']:,} ratings, "
            f"{counts['items']:,} items, {counts['splits']:,} pairs of splits, {counts['merged']:,} added up) "
            f"+ {counts['quarantined']:,} quarantined"
        ]
        for reason, n in counts["reasons"].items():
            shown = [one for one in self.examples if one["reason"] == reason][:EXAMPLES]
            told = "; ".join(f"{one['file']}, line {one['line']}: {one['sentence']}" for one in shown)
            lines.append(f"  {n:,} {reason}" + (f" ({told})" if told else ""))
        return "\n".join(lines)


def collected(results: DataFrame, manifest: Manifest, aside: Aside) -> Result:
    """Gather what the settling tasks told; the frames of rows that are lost stay where they are."""
    told: dict[str, list[Any]] = {}
    for row in results.filter(F.col("kind") != "lost").select("kind", "frame").collect():
        told.setdefault(row["kind"], []).append(bytes(row["frame"]))
    values = {
        kind: [json.loads(frame) for frame in told.get(kind, [])]
        for kind in ("part", "profile", "counts", "examples", "read", "merged")
    }
    parts: dict[str, list[tables.Part]] = {"ratings": [], "quarantine": []}
    for part in sorted(values["part"], key=lambda one: (one["table"], one["bucket"] or 0, one["path"])):
        parts[part.pop("table")].append(tables.Part(**part))
    rating_reasons = _added(values["counts"])
    aside_reasons = dict(Counter(aside.refused["reason"].to_pylist()))
    reasons = _added([rating_reasons, aside_reasons])
    rated = _first([unpacked(frame) for frame in told.get("items", [])])
    n_ratings = sum(part.rows for part in parts["ratings"])
    n_read, n_merged = sum(values["read"]), sum(values["merged"])
    counts = {
        "read": n_read + aside.n_read,
        "ratings": n_ratings,
        "items": aside.items.num_rows,
        "splits": aside.splits.num_rows,
        "merged": n_merged,
        "accepted": n_ratings + aside.items.num_rows + aside.splits.num_rows + n_merged,
        "quarantined": sum(reasons.values()),
        "reasons": reasons,
    }
    witnesses = [unpacked(frame) for frame in told.get("witnesses", [])]
    schema = arrow_schema(RATINGS)
    profile = batch_profile.merge(RatingsProfile.from_json(value) for value in values["profile"])
    return Result(
        counts=counts,
        parts=parts,
        profile=replace(profile, n_items=rated.num_rows, n_read=n_read, n_merged=n_merged, quarantined=rating_reasons),
        witnesses=pa.concat_tables([one.cast(schema) for one in witnesses]) if witnesses else schema.empty_table(),
        examples=_examples(values["examples"], aside, manifest),
        rated_items=rated,
        n_lost=sum(rating_reasons.values()) - sum(part.rows for part in parts["quarantine"]),
    )


def check_nothing_lost(counts: dict[str, Any]) -> None:
    """Accepted + quarantined = read, always."""
    if counts["accepted"] + counts["quarantined"] != counts["read"]:
        raise DataError(
            f"{counts['read']:,} rows were read, but {counts['accepted']:,} accepted and {counts['quarantined']:,} "
            "quarantined: rows got lost; run the task again, and report this if it stays."
        )


def check_enough_is_good(result: Result, manifest: Manifest, allowed: float) -> None:
    """Stop where there is nothing to learn from, or where so much is bad that the file is not what it is taken for."""
    n_read = result.profile.n_read
    if n_read == 0:
        raise DataError(
            f"{manifest.name} holds no ratings (read as {manifest.reading.name}): check that it is the right file."
        )
    n_faults = result.profile.n_faults
    share = n_faults / n_read
    if share <= allowed:
        return
    faults = {reason: n for reason, n in result.counts["reasons"].items() if reason in FAULTS}
    named = ", ".join(f"{n:,} {reason}" for reason, n in faults.items())
    examples = [one for one in result.examples if one["reason"] in FAULTS and one["table"] == "ratings"][:EXAMPLES]
    shown = "; ".join(f"{one['file']}, line {one['line']}: {one['sentence']}" for one in examples)
    raise DataError(
        f"{n_faults:,} of {n_read:,} ratings ({share:.1%}) break a rule, more than the {allowed:.1%} allowed "
        f"({named}): {shown}. Look at them (marquee quarantine), "
        "mend the file and ingest it again, or allow more with the parameter max_quarantined."
    )


def _added(counts: list[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def _first(seen: list[pa.Table]) -> pa.Table:
    """Of the places where an item is rated, the first."""
    if not seen:
        return pa.table(
            {"item_id": pa.array([], pa.string()), "member": pa.array([], pa.int32()), "line": pa.array([], pa.int64())}
        )
    rows = pa.concat_tables(seen).cast(
        pa.schema([("item_id", pa.string()), ("member", pa.int32()), ("line", pa.int64())])
    )
    ordered = rows.sort_by([("item_id", "ascending"), ("member", "ascending"), ("line", "ascending")])
    first = ordered.group_by("item_id", use_threads=False).aggregate([("member", "first"), ("line", "first")])
    return first.rename_columns(
        ["item_id", "member", "line"] if first.column_names[0] == "item_id" else ["member", "line", "item_id"]
    )


def _examples(told: list[list[dict[str, Any]]], aside: Aside, manifest: Manifest) -> list[dict[str, Any]]:
    of_aside = aside.refused.select(["reason", "member", "line", "sentence"]).slice(0, 100).to_pylist()
    flat = sorted([*(one for some in told for one in some), *of_aside], key=lambda one: (one["member"], one["line"]))
    members = manifest.members
    return [{**one, "file": members[one["member"]].name, "table": members[one["member"]].table} for one in flat]
