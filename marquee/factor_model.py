"""The model that MLflow keeps: top-K lists from factors, in numpy alone.

MLflow stores this very file with the model ("models from code") and runs it wherever the model is loaded. So it imports
numpy, pandas, pyarrow and mlflow, and nothing of this project: no Spark, no Java, no marquee. Its other half is
`marquee.recommender_files`, which writes the folder that `read_folder` reads.

    model = mlflow.pyfunc.load_model("models:/marquee@champion")
    model.predict(pandas.DataFrame({"user_id": ["1", "2"]}), params={"k": 10})
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

DEFAULT_K = 10

#: Scores of a block of users are held at once: 4 million float32 are 16 MB.
SCORES_OF_A_BLOCK = 4_000_000

#: Groups of items whose maxima tell which items may be among the best.
GROUPS = 1024

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recommender:
    """A model in memory, its items in the order of their ids: equal scores then fall in the order of the columns.

    Attributes:
        source: "als" or "popular".
        users: the known users, in index order.
        item_ids, titles: object, shape (n_items,), ordered by item id.
        n_ratings: float64, shape (n_items,).
        user_factors: float32, shape (n_users, rank); None for "popular".
        item_factors: float32, shape (n_items, rank); None for "popular".
        seen_indptr: int64, shape (n_users + 1,).
        seen_items: int64, columns of the items that each user rated, row after row (CSR).
    """

    source: str
    users: pd.Index
    item_ids: npt.NDArray[np.object_]
    titles: npt.NDArray[np.object_]
    n_ratings: Floats
    user_factors: Floats32 | None
    item_factors: Floats32 | None
    seen_indptr: Ints
    seen_items: Ints


@dataclass(frozen=True)
class Lists:
    """Recommended items of many rows, one after the other: row, column of the item, score, and place in the list."""

    rows: Ints
    items: Ints
    scores: Floats
    positions: Ints


def read_folder(folder: Path) -> Recommender:
    """Read what `RecommenderFiles.save` wrote."""
    source = json.loads((folder / "model.json").read_text(encoding="utf-8"))["source"]
    users = pq.read_table(folder / "users.parquet")["user_id"]
    items = pq.read_table(folder / "items.parquet")
    by_id = pc.array_sort_indices(items["item_id"].combine_chunks()).to_numpy().astype(np.int64)
    column_of = np.empty(len(by_id), np.int64)
    column_of[by_id] = np.arange(len(by_id))
    ordered = items.take(by_id)
    has_factors = source != "popular"
    return Recommender(
        source=source,
        users=pd.Index(users.to_numpy()),
        item_ids=ordered["item_id"].to_numpy(),
        titles=ordered["title"].to_numpy(),
        n_ratings=ordered["n_ratings"].to_numpy().astype(np.float64),
        # The users' factors stay on disk: a request reads its own rows, and processes share the pages.
        user_factors=np.load(folder / "user_factors.npy", mmap_mode="r") if has_factors else None,
        item_factors=np.load(folder / "item_factors.npy")[by_id] if has_factors else None,
        seen_indptr=np.load(folder / "seen_indptr.npy"),
        seen_items=column_of[np.load(folder / "seen_indices.npy")],
    )


def recommend(model: Recommender, user_ids: npt.NDArray[np.object_], k: int) -> pd.DataFrame:
    """The k best items that each user has not rated, best first; equal scores by item id.

    A user whom the model does not know gets the items with most ratings, with source "popular". A user who has rated
    all but a few items gets these few.

    Args:
        user_ids: object, shape (n,); one list for each, in this order, also where an id comes twice.
        k: length of a list.

    Returns:
        Columns user_id, position (int64, from 1), item_id, title, score (float64), source.
    """
    index = model.users.get_indexer(pd.Index(user_ids))
    is_known = index >= 0
    known = _known_lists(model, index[is_known], k)
    unknown = _repeat(_first(model.n_ratings[np.newaxis, :], k), int((~is_known).sum()))
    place = np.concatenate((np.flatnonzero(is_known)[known.rows], np.flatnonzero(~is_known)[unknown.rows]))
    order = np.argsort(place, kind="stable")
    items = np.concatenate((known.items, unknown.items))[order]
    source = np.repeat(np.array([model.source, "popular"], object), [len(known.rows), len(unknown.rows)])
    return pd.DataFrame(
        {
            "user_id": user_ids[place[order]],
            "position": np.concatenate((known.positions, unknown.positions))[order],
            "item_id": model.item_ids[items],
            "title": model.titles[items],
            "score": np.concatenate((known.scores, unknown.scores))[order],
            "source": source[order],
        }
    )


def _known_lists(model: Recommender, users: Ints, k: int) -> Lists:
    """Lists of users by their index, int64 of shape (n,), block by block."""
    compute: Callable[[Recommender, Ints, int], Lists] = _popular_block if model.item_factors is None else _factor_block
    done = [_no_lists()]
    for start, stop in _blocks(len(users), len(model.item_ids)):
        block = compute(model, users[start:stop], k)
        done.append(Lists(block.rows + start, block.items, block.scores, block.positions))
    columns = ("rows", "items", "scores", "positions")
    return Lists(*(np.concatenate([getattr(lists, column) for lists in done]) for column in columns))


def _popular_block(model: Recommender, users: Ints, k: int) -> Lists:
    scores = np.tile(model.n_ratings, (len(users), 1))
    scores[_seen_cells(model, users)] = -np.inf
    return _first(scores, k)


def _factor_block(model: Recommender, users: Ints, k: int) -> Lists:
    """Float32 finds the items that may be among the best, float64 decides.

    A float32 product depends on the shape of the block that it is computed in, so a near tie could fall one way for
    one user alone and the other way among many. The error of such a product is at most
    rank 2^-24 / (1 - rank 2^-24) |u| |v| (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, eq. 3.5):
    all items within twice that of the k-th score are computed again, each by itself, and the lists are the same whoever
    else is asked for.
    """
    if model.user_factors is None or model.item_factors is None:
        raise ValueError(f"the model of source {model.source!r} has no factors")
    U, V = np.asarray(model.user_factors[users]), model.item_factors
    product = U @ V.T
    product[_seen_cells(model, users)] = -np.inf
    unit = V.shape[1] * 2.0**-24
    norms = np.linalg.norm(U.astype(np.float64), axis=1) * np.linalg.norm(V.astype(np.float64), axis=1).max()
    border = _border(product, k) - 2 * unit / (1 - unit) * norms
    rows, items = _cells_from(product, np.nextafter(border.astype(np.float32), np.float32(-np.inf)))
    return _ranked(rows, items, _dots(U[rows], V[items]), k)


def _dots(a: Floats32, b: Floats32) -> Floats:
    """Products of float32 vectors, row by row of (n, rank), in float64: eight sums, one for each column modulo 8.

    The order is that of `marquee.top_k.vectors.dot`, and products of two float32 are exact in float64: published lists
    and this model's have the same bits.
    """
    sums = np.zeros((len(a), 8))
    for start in range(0, a.shape[1], 8):
        part = slice(start, start + 8)
        products = a[:, part].astype(np.float64) * b[:, part]
        sums[:, : products.shape[1]] += products
    by_4 = sums[:, :4] + sums[:, 4:]
    by_2 = by_4[:, :2] + by_4[:, 2:]
    return by_2[:, 0] + by_2[:, 1]


def _first(scores: Floats, k: int) -> Lists:
    """The k highest of each row of (n, n_items), equal ones in the order of the columns; -inf is never taken."""
    rows, items = _cells_from(scores, _border(scores, k))
    return _ranked(rows, items, scores[rows, items], k)


def _border(scores: npt.NDArray[Any], k: int) -> npt.NDArray[Any]:
    """A score for each row of (n, n_items) that at least k of its items reach; -inf where it has fewer than k.

    The k-th highest of the maxima of groups of items: k groups have an item that reaches it. Few others do, and the
    maxima of columns that lie apart cost a tenth of a partition of all.
    """
    n_items = scores.shape[1]
    n_groups = max(GROUPS, 16 * k)
    n_each = n_items // n_groups
    if n_each > 1:  # the items that fill no group are left out: the border stays one that k items reach
        scores = scores[:, : n_each * n_groups].reshape(len(scores), n_each, n_groups).max(axis=1)
    k = min(k, scores.shape[1])
    return np.partition(scores, scores.shape[1] - k, axis=1)[:, -k]


def _cells_from(scores: npt.NDArray[Any], border: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Rows and columns of the scores that reach their row's border; -inf never does."""
    lowest = np.maximum(border, np.finfo(scores.dtype).min).astype(scores.dtype)
    rows, items = np.divmod(np.flatnonzero(scores >= lowest[:, np.newaxis]), scores.shape[1])
    return rows, items


def _ranked(rows: Ints, items: Ints, scores: Floats, k: int) -> Lists:
    """The first k of each row's cells, by score and then by column."""
    order = np.lexsort((items, -scores, rows))
    rows, items, scores = rows[order], items[order], scores[order]
    # Place of a cell within its row: its distance from the row's first cell.
    positions = np.arange(len(rows)) - np.searchsorted(rows, rows) + 1
    is_taken = positions <= k
    return Lists(rows[is_taken], items[is_taken], scores[is_taken], positions[is_taken])


def _seen_cells(model: Recommender, users: Ints) -> tuple[Ints, Ints]:
    """Rows and columns of the items that the users have rated, for a block with a row for each user."""
    start, stop = model.seen_indptr[users], model.seen_indptr[users + 1]
    n_seen = stop - start
    rows = np.repeat(np.arange(len(users)), n_seen)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(n_seen) - n_seen, n_seen)
    return rows, model.seen_items[np.repeat(start, n_seen) + within]


def _repeat(one: Lists, times: int) -> Lists:
    """The list of a single row, for so many rows."""
    return Lists(
        np.repeat(np.arange(times), len(one.rows)),
        np.tile(one.items, times),
        np.tile(one.scores, times),
        np.tile(one.positions, times),
    )


def _no_lists() -> Lists:
    return Lists(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int64))


def _blocks(n_users: int, n_items: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of users whose scores fit a block."""
    size = max(1, SCORES_OF_A_BLOCK // max(1, n_items))
    return ((start, min(start + size, n_users)) for start in range(0, n_users, size))


class FactorModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """MLflow's handle on `recommend`."""

    def load_context(self, context: Any) -> None:
        self.model = read_folder(Path(context.artifacts["recommender"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Lists for the column user_id; `params` may name `k`, the length of a list (default 10).

        Raises:
            MlflowException: k is less than 1.
        """
        k = int((params or {}).get("k", DEFAULT_K))
        if k < 1:
            raise mlflow.exceptions.MlflowException.invalid_parameter_value(
                f"Parameter k is {k}: ask for lists of at least 1 item."
            )
        return recommend(self.model, model_input["user_id"].to_numpy(object), k)


mlflow.models.set_model(FactorModel())
