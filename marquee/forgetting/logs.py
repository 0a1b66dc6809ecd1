"""Delta's log without ids: its statistics may hold the least and the greatest value of a column.

Tables that Marquee commits have numbers of rows there and nothing else. What deltalake itself writes (the merge of a
catalogue, an append) has more.
"""

from __future__ import annotations

import json
from typing import Any

from marquee.forgetting.objects import keys, read_bytes, remove, write_bytes
from marquee.forgetting.subject import Subject
from marquee.lake import tables
from marquee.lake.objects import Lake

#: Delta cuts longer texts in its statistics.
CUT_AT = 32


def strip(lake: Lake, table: str, subject: Subject) -> None:
    """Leave of the statistics in a table's log the numbers of rows alone; checkpoints that hold the id are renewed.

    Raises:
        LakeError: the store refuses.
    """
    found = keys(lake, f"{tables.folder(table)}/_delta_log/")
    for key in found:
        if key.endswith(".json"):
            _strip_commit(lake, key)
    stale = [key for key in found if key.endswith(".checkpoint.parquet") and _holds(lake, key, subject)]
    if stale:
        delta = tables.open_table(lake, table)
        delta.create_checkpoint()
        newest = f"/{delta.version():020d}.checkpoint.parquet"
        remove(lake, [key for key in stale if not key.endswith(newest)])


def _strip_commit(lake: Lake, key: str) -> None:
    lines = [json.loads(line) for line in read_bytes(lake, key).splitlines() if line.strip()]
    changed = [line for line in lines if _strip_action(line)]
    if changed:
        texts = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)
        write_bytes(lake, key, "".join(f"{text}\n" for text in texts).encode(), "application/json")


def _strip_action(line: dict[str, Any]) -> bool:
    is_changed = False
    for action in (line[name] for name in ("add", "remove") if name in line):
        stats = json.loads(action.get("stats") or "{}")
        if {"minValues", "maxValues"} & set(stats):
            action["stats"] = json.dumps({"numRecords": stats.get("numRecords")})
            is_changed = True
    return is_changed


def _holds(lake: Lake, key: str, subject: Subject) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(pa.BufferReader(read_bytes(lake, key))) as file:
        actions = file.read(columns=["add.stats", "remove.stats"]).to_pylist()
    texts = [action["stats"] for row in actions for action in row.values() if action and action["stats"]]
    spelt = {json.dumps(subject.id[:CUT_AT], ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    return any(spelling in text for text in texts for spelling in spelt)
