"""A trained recommender as files: what a model is, apart from any framework.

    model.json           {"source": "als", "rank": 32, "n_users": 610, "n_items": 9724, "problem": {...}}
    users.parquet        user_id, in index order
    items.parquet        item_id, title, n_ratings, n_recent, in index order
    user_factors.npy     float32 (n_users, rank)     }  not there for "popular"
    item_factors.npy     float32 (n_items, rank)     }
    seen_indptr.npy      int64 (n_users + 1,)        }  CSR: user u rated the items
    seen_indices.npy     int32 (n_seen,)             }  seen_indices[seen_indptr[u]:seen_indptr[u + 1]]
    seen_ratings.npy     float32 (n_seen,)           }  with these ratings (not there in models of earlier versions)

`marquee.factor_model` reads the same folder without this project.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marquee.errors import RegistryError, TrainingError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

SOURCES = ("als", "popular")


@dataclass(frozen=True)
class RecommenderFiles:
    """A recommender's arrays; they are checked when it is made.

    Attributes:
        user_ids: string, shape (n_users,), in index order, each once.
        item_ids: string, shape (n_items,), in index order, each once.
        titles: string, shape (n_items,).
        n_ratings: int64, shape (n_items,), ratings of the item in the training data.
        user_factors: float32, shape (n_users, rank); None for "popular".
        item_factors: float32, shape (n_items, rank); None for "popular".
        seen_indptr: int64, shape (n_users + 1,).
        seen_indices: int32, indexes of the items that each user rated, row after row.
        source: what a published row says it came from: "als" or "popular".
        problem: what the factors minimize, by which new users are folded in: `implicit`, `regularization`, `alpha`,
            `unobserved_weight`, `regularization_exponent` (or None); None where a model can fold in nobody.
        seen_ratings: float32, the ratings of `seen_indices`, by which scores are explained; None where they are not
            known, as in models of earlier versions.
        n_recent: int64, shape (n_items,), those of `n_ratings` that are among the latest; None where it is not known.

    Raises:
        TrainingError: shapes that don't fit together, ids that come twice, factors that are no numbers.
    """

    user_ids: pa.StringArray
    item_ids: pa.StringArray
    titles: pa.StringArray
    n_ratings: npt.NDArray[np.int64]
    user_factors: npt.NDArray[np.float32] | None
    item_factors: npt.NDArray[np.float32] | None
    seen_indptr: npt.NDArray[np.int64]
    seen_indices: npt.NDArray[np.int32]
    source: str
    problem: dict[str, Any] | None = None
    seen_ratings: npt.NDArray[np.float32] | None = None
    n_recent: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        wrong = _first_wrong(self)
        if wrong is not None:
            raise TrainingError(f"The recommender ({self.source}) is no model to keep: {wrong}; train it again.")

    @property
    def rank(self) -> int:
        """Number of factors; 0 for "popular"."""
        return 0 if self.item_factors is None else int(self.item_factors.shape[1])

    @property
    def is_cold(self) -> npt.NDArray[np.bool_]:
        """bool (n_users,): whether the model has nothing to tell a user by (no factors but zeros): popular items."""
        import numpy as np

        if self.user_factors is None:
            return np.ones(len(self.user_ids), bool)
        return np.asarray(~self.user_factors.any(axis=1))

    def save(self, folder: Path) -> None:
        """Write the files into the folder, `model.json` last."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        users = pa.table({"user_id": self.user_ids}, schema=pa.schema([("user_id", pa.string())]))
        items = pa.table(
            {"item_id": self.item_ids, "title": self.titles, "n_ratings": self.n_ratings},
            schema=pa.schema([("item_id", pa.string()), ("title", pa.string()), ("n_ratings", pa.int64())]),
        )
        if self.n_recent is not None:
            items = items.append_column("n_recent", pa.array(self.n_recent, pa.int64()))
        pq.write_table(users, folder / "users.parquet", compression="zstd")
        pq.write_table(items, folder / "items.parquet", compression="zstd")
        if self.user_factors is not None and self.item_factors is not None:
            np.save(folder / "user_factors.npy", self.user_factors.astype(np.float32, copy=False))
            np.save(folder / "item_factors.npy", self.item_factors.astype(np.float32, copy=False))
        np.save(folder / "seen_indptr.npy", self.seen_indptr.astype(np.int64, copy=False))
        np.save(folder / "seen_indices.npy", self.seen_indices.astype(np.int32, copy=False))
        if self.seen_ratings is not None:
            np.save(folder / "seen_ratings.npy", self.seen_ratings.astype(np.float32, copy=False))
        about = {
            "source": self.source,
            "rank": self.rank,
            "n_users": len(self.user_ids),
            "n_items": len(self.item_ids),
            "problem": self.problem,
        }
        (folder / "model.json").write_text(json.dumps(about) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> RecommenderFiles:
        """Read what `save` wrote.

        Raises:
            RegistryError: a file is missing or can't be read.
            TrainingError: the files don't fit together.
        """
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            source = about["source"]
            has_factors = source != "popular"
            items = pq.read_table(folder / "items.parquet")
            ratings = folder / "seen_ratings.npy"
            return cls(
                user_ids=pq.read_table(folder / "users.parquet")["user_id"].combine_chunks(),
                item_ids=items["item_id"].combine_chunks(),
                titles=items["title"].combine_chunks(),
                n_ratings=items["n_ratings"].to_numpy(),
                user_factors=np.load(folder / "user_factors.npy") if has_factors else None,
                item_factors=np.load(folder / "item_factors.npy") if has_factors else None,
                seen_indptr=np.load(folder / "seen_indptr.npy"),
                seen_indices=np.load(folder / "seen_indices.npy"),
                source=source,
                problem=about.get("problem"),
                seen_ratings=np.load(ratings) if ratings.exists() else None,
                n_recent=items["n_recent"].to_numpy() if "n_recent" in items.column_names else None,
            )
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise RegistryError(
                f"Folder {folder} holds no recommender that can be read ({error}): "
                "register a model that this project trained."
            ) from error


def _first_wrong(files: RecommenderFiles) -> str | None:
    """What keeps the arrays from being a model, or None."""
    import numpy as np
    import pyarrow.compute as pc

    n_users, n_items = len(files.user_ids), len(files.item_ids)
    if files.source not in SOURCES:
        return f"its source is {files.source!r}, and may be {' or '.join(SOURCES)}"
    if n_users == 0 or n_items == 0:
        return f"it has {n_users} users and {n_items} items"
    for name, ids, n in (("user_ids", files.user_ids, n_users), ("item_ids", files.item_ids, n_items)):
        if ids.null_count or pc.count_distinct(ids).as_py() != n:
            return f"{name} holds an id twice, or none at all"
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "titles": (np.shape(files.titles), (n_items,)),
        "n_ratings": (files.n_ratings.shape, (n_items,)),
        "seen_indptr": (files.seen_indptr.shape, (n_users + 1,)),
    }
    if files.n_recent is not None:
        shapes["n_recent"] = (files.n_recent.shape, (n_items,))
    if files.seen_ratings is not None:
        shapes["seen_ratings"] = (files.seen_ratings.shape, files.seen_indices.shape)
    if files.source == "popular":
        if files.user_factors is not None or files.item_factors is not None:
            return "a popularity model has no factors"
    elif files.user_factors is None or files.item_factors is None:
        return "it has no factors"
    else:
        rank = files.item_factors.shape[-1]
        shapes["user_factors"] = (files.user_factors.shape, (n_users, rank))
        shapes["item_factors"] = (files.item_factors.shape, (n_items, rank))
    for name, (shape, expected) in shapes.items():
        if shape != expected:
            return f"{name} has the shape {shape} instead of {expected}"
    for name, factors in (("user_factors", files.user_factors), ("item_factors", files.item_factors)):
        if factors is not None and not np.isfinite(factors).all():
            return (
                f"{name} holds values that are no finite numbers (row {int(np.argwhere(~np.isfinite(factors))[0, 0])})"
            )
    return _first_wrong_seen(files.seen_indptr, files.seen_indices, n_items)


def _first_wrong_seen(indptr: npt.NDArray[np.int64], indices: npt.NDArray[np.int32], n_items: int) -> str | None:
    import numpy as np

    if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
        return f"seen_indptr does not divide the {len(indices)} seen_indices into rows"
    if len(indices) and (indices.min() < 0 or indices.max() >= n_items):
        return f"seen_indices names items outside 0 to {n_items - 1}"
    return None
