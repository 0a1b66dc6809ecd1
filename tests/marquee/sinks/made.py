"""Releases of which every title tells the release, also those of `because`."""

from __future__ import annotations

from pathlib import Path

from marquee import releases
from tests import small_release

USERS = [f"u{number}" for number in range(40)]
K = 3


def build(folder: Path, release_id: str, users: list[str] | None = None, *more: str) -> Path:
    """A file with all published tables, and those that the SQL in `more` makes."""
    lists = [
        {"user_id": user, "position": place, "item_id": f"i{place}", "title": release_id, "score": 1 / place,
         "source": "als", "because": [{"item_id": "i0", "title": release_id, "share": 0.5}]}
        for user in (USERS if users is None else users)
        for place in range(1, K + 1)
    ]  # fmt: skip
    items = [small_release.item(f"i{at}", release_id, ["Drama", 'say "so"']) for at in range(4)]
    tables = small_release.tables(release_id, lists, items, K)
    return releases.build(folder, release_id, tables, [*releases.published_sql(), *more])
