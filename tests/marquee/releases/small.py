"""Small releases: four users, twelve items, lists of three; every table tells the release that it is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from expectations.contracts import RELEASES
from expectations.schema import arrow_schema
from marquee.lake.objects import Lake
from marquee.releases import publishing
from marquee.releases.checks import Expected
from marquee.releases.ledger import Asked
from marquee.releases.publishing import Published, Release
from marquee.settings import Publish
from marquee.sinks import Sink

K, N_USERS, N_ITEMS = 3, 4, 12
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMA = arrow_schema(RELEASES)
RULE = Publish()
DDL = [
    "CREATE TABLE recommendations AS FROM input_recommendations ORDER BY user_id, position",
    "COMMENT ON COLUMN recommendations.position IS 'place in the list'",
    "CREATE TABLE items (item_id VARCHAR PRIMARY KEY, release_id VARCHAR NOT NULL)",
    "INSERT INTO items FROM input_items",
    "CREATE TABLE release AS FROM input_release",
    "CREATE MACRO recommend(who) AS TABLE SELECT * FROM recommendations WHERE user_id = who",
]


def lists(shift: int = 0) -> dict[str, list[str]]:
    """User -> items; user n has seen item n alone, and `shift` moves all lists on."""
    return {
        f"u{user}": [f"i{(user + 1 + shift + place) % N_ITEMS}" for place in range(K)]
        for user in range(N_USERS)
        if all((user + 1 + shift + place) % N_ITEMS != user for place in range(K))
    }


def inputs(release_id: str, of_users: Mapping[str, list[str]], k: int = K) -> dict[str, Any]:
    rows = [
        {"user_id": user, "position": place, "item_id": item, "score": 1.0 / place, "release_id": release_id,
         "because": [{"item_id": f"i{user[1:]}", "share": 1.0}, {"item_id": "i11", "share": 0.0}]}
        for user, items in of_users.items()
        for place, item in enumerate(items, start=1)
    ]  # fmt: skip
    return {
        "recommendations": pa.Table.from_pylist(rows),
        "items": pa.table({"item_id": [f"i{n}" for n in range(N_ITEMS)], "release_id": [release_id] * N_ITEMS}),
        "release": pa.table({"release_id": [release_id], "k": [k]}),
    }


def expected() -> Expected:
    return Expected(
        user_ids=pa.array([f"u{n}" for n in range(N_USERS)]),
        item_ids=pa.array([f"i{n}" for n in range(N_ITEMS)]),
        n_ratings=np.arange(N_ITEMS, 0, -1),
        seen_indptr=np.arange(N_USERS + 1),
        seen_indices=np.arange(N_USERS, dtype=np.int32),
    )


def asked(name: str, why: str = "", who: str = "ada") -> Asked:
    return Asked(name, who, why, AT)


def release(release_id: str, version: str, model: str, **about: Any) -> Release:
    return replace(Release(release_id, model, version, -1), **about)


def publish(
    lake: Lake,
    folder: Path,
    what: Release,
    *,
    shift: int = 0,
    action: str = "",
    keep: int = 5,
    sinks: Sequence[Sink] = (),
    rule: Publish = RULE,
    tables: Callable[[], Any] | None = None,
    lease_seconds: float = 30,
    why: str = "",
) -> Published:
    return publishing.publish(
        lake, folder, SCHEMA, what, tables or (lambda: inputs(what.release_id, lists(shift))), expected=expected,
        asked=asked(action or f"publish {what.release_id}", why), rule=rule, keep=keep, sinks=sinks,
        ddl=DDL, lease_seconds=lease_seconds,
    )  # fmt: skip
