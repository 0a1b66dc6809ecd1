"""Releases as the tests of readers need them: every title tells the release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marquee import releases
from tests import small_release

BECAUSE = [{"item_id": "i3", "title": "Nine", "share": 0.5}]


def inputs(release_id: str, users: list[str], k: int = 3) -> dict[str, Any]:
    """What `build` takes: the same list for every user; i1 is like i0; i0 has the most ratings, then i1."""
    lists = [
        {"user_id": user, "position": place + 1, "item_id": f"i{place}", "title": release_id,
         "score": 1 / (1 + place), "source": "als", "because": BECAUSE}
        for user in users
        for place in range(k)
    ]  # fmt: skip
    items = [small_release.item(f"i{at}", release_id, ["Drama"]) for at in range(4)]
    made = small_release.tables(release_id, lists, items, k)
    alike = [{"item_id": "i0", "position": 1, "similar_item_id": "i1", "title": "", "similarity": 1.0}]
    return made | {"similar_items": small_release.of("similar_items", alike).drop_columns(["title"])}


def publish(folder: Path, release_id: str, users: list[str]) -> Path:
    path = releases.build(folder, release_id, inputs(release_id, users))
    releases.switch(folder, release_id)
    return path
