"""Small data of two tastes: users with even numbers rate the lower half of the items, the others the upper half."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

N_USERS, N_ITEMS, K = 60, 40, 10
START = datetime(2020, 1, 1, tzinfo=UTC)


def ratings(batch: str) -> list[dict[str, Any]]:
    """Twelve a user, at shuffled times."""
    rng = np.random.default_rng(5)
    pairs = [
        (user, int(item))
        for user in range(N_USERS)
        for item in rng.choice(N_ITEMS // 2, size=12, replace=False) + user % 2 * (N_ITEMS // 2)
    ]
    return [
        {
            "user_id": f"u{user}",
            "item_id": str(item),
            "rating": float(rng.integers(1, 11)) / 2,
            "rated_at": START + timedelta(hours=int(hour)),
            "source_sha256": batch,
            "source_file": "ratings.csv",
            "source_line": line + 2,
        }
        for line, ((user, item), hour) in enumerate(zip(pairs, rng.permutation(len(pairs)), strict=True))
    ]


def items(batch: str) -> list[dict[str, Any]]:
    source = {"genres": [], "source_sha256": batch, "source_file": "movies.csv", "source_line": 2}
    return [{"item_id": str(item), "title": f"Title {item}", **source} for item in range(N_ITEMS)]
