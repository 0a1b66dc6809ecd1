"""The model that MLflow keeps: top-K lists from factors, for known users and by fold-in for new ones, in numpy alone.

MLflow stores this very file with the model ("models from code") and runs it wherever the model is loaded. So it imports
numpy, pandas, pyarrow and mlflow, and nothing of this project: no Spark, no Java, no marquee. Its other half is
`marquee.recommender_files`, which writes the folder that `read_folder` reads.

    model = mlflow.pyfunc.load_model("models:/marquee@champion")
    model.predict(pandas.DataFrame({"user_id": ["1", "2"]}), params={"k": 10})
    model.predict(pandas.DataFrame({"items": [["318", "296"]], "ratings": [[5.0, 4.0]]}), params={"k": 10})
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
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
        items: the items' ids, rising, in the order of the columns.
        titles: object, shape (n_items,).
        n_ratings: float64, shape (n_items,).
        user_factors: float32, shape (n_users, rank); None for "popular".
        item_factors: float32, shape (n_items, rank); None for "popular".
        seen_indptr: int64, shape (n_users + 1,).
        seen_items: int64, columns of the items that each user rated, row after row (CSR).
        problem: what the factors minimize, for fold-in: `implicit`, `regularization`, `alpha`, `unobserved_weight`,
            `regularization_exponent` (None: ratings of the user); empty where the model can fold in nobody.
        gram: float64 (rank, rank), products of the items' factors; without rows for "popular".
        longest: the largest norm of an item's factors.
    """

    source: str
    users: pd.Index
    items: pd.Index
    titles: npt.NDArray[np.object_]
    n_ratings: Floats
    user_factors: Floats32 | None
    item_factors: Floats32 | None
    seen_indptr: Ints
    seen_items: Ints
    problem: dict[str, Any]
    gram: Floats
    longest: float


@dataclass(frozen=True)
class Lists:
    """Recommended items of many rows, one after the other: row, column of the item, score, and place in the list."""

    rows: Ints
    items: Ints
    scores: Floats
    positions: Ints


def read_folder(folder: Path) -> Recommender:
    """Read what `RecommenderFiles.save` wrote."""
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    source = about["source"]
    users = pq.read_table(folder / "users.parquet")["user_id"]
    items = pq.read_table(folder / "items.parquet")
    by_id = pc.array_sort_indices(items["item_id"].combine_chunks()).to_numpy().astype(np.int64)
    column_of = np.empty(len(by_id), np.int64)
    column_of[by_id] = np.arange(len(by_id))
    ordered = items.take(by_id)
    has_factors = source != "popular"
    item_factors = np.load(folder / "item_factors.npy")[by_id] if has_factors else None
    return Recommender(
        source=source,
        users=pd.Index(users.to_numpy()),
        items=pd.Index(ordered["item_id"].to_numpy()),
        titles=ordered["title"].to_numpy(),
        n_ratings=ordered["n_ratings"].to_numpy().astype(np.float64),
        # The users' factors stay on disk: a request reads its own rows, and processes share the pages.
        user_factors=np.load(folder / "user_factors.npy", mmap_mode="r") if has_factors else None,
        item_factors=item_factors,
        seen_indptr=np.load(folder / "seen_indptr.npy"),
        seen_items=column_of[np.load(folder / "seen_indices.npy")],
        problem=about.get("problem") or {},
        gram=np.zeros((0, 0)) if item_factors is None else _gram(item_factors),
        longest=0.0 if item_factors is None else float(_norms(item_factors).max(initial=0.0)),
    )


def recommend(model: Recommender, user_ids: npt.NDArray[np.object_], k: int) -> pd.DataFrame:
    """The k best items that each user has not rated, best first; equal scores by item id.

    A user whom the model does not know, or has nothing to tell by (factors of zeros: no rating above 0), gets the items
    with most ratings, with source "popular". A user who has rated
    all but a few items gets these few.

    Args:
        user_ids: object, shape (n,); one list for each, in this order, also where an id comes twice.
        k: length of a list.

    Returns:
        Columns user_id, position (int64, from 1), item_id, title, score (float64), source.
    """
    return answer(model, user_ids, [None] * len(user_ids), [None] * len(user_ids), k)


def answer(
    model: Recommender,
    user_ids: npt.NDArray[np.object_],
    histories: Sequence[Sequence[str] | None],
    ratings: Sequence[Sequence[float] | None],
    k: int,
) -> pd.DataFrame:
    """As `recommend`, and by fold-in for rows that bring a history.

    Args:
        user_ids: object, shape (n,); None where a row has a history alone.
        histories: items that the user has rated, by id; None where the model's own knowledge is asked for. Given, they
            stand for all that is known of the user, the id or not. Items that the model does not know are passed over;
            where it knows none of them, or can fold in nobody, the list is the popular one without them.
        ratings: of those items; None: each 1.
        k: length of a list.

    Returns:
        As `recommend`; the source of lists by fold-in is "fold_in".

    Raises:
        ValueError: a row has not one rating for each item, or one that is no finite number.
    """
    has_history = np.array([history is not None for history in histories], bool)
    index = model.users.get_indexer(pd.Index(user_ids))
    is_cold = (index >= 0) & ~has_history
    is_cold[is_cold] = _is_cold(model, index[is_cold])
    is_known = (index >= 0) & ~has_history & ~is_cold
    known = _known_lists(model, index[is_known], k)
    columns, values = _histories(model, histories, ratings)
    for row in np.flatnonzero(is_cold):
        columns[row] = model.seen_items[model.seen_indptr[index[row]] : model.seen_indptr[index[row] + 1]]
    can_fold_in = model.item_factors is not None and bool(model.problem)
    is_folded = has_history & np.array([can_fold_in and len(own) > 0 for own in columns], bool)
    folded = _folded_lists(model, [columns[row] for row in np.flatnonzero(is_folded)],
                           [values[row] for row in np.flatnonzero(is_folded)], k)  # fmt: skip
    is_other = ~is_known & ~is_folded
    other = _popular_without(model, [columns[row] for row in np.flatnonzero(is_other)], k)
    groups = ((is_known, known, model.source), (is_folded, folded, "fold_in"), (is_other, other, "popular"))
    place = np.concatenate([np.flatnonzero(rows)[lists.rows] for rows, lists, _ in groups])
    order = np.argsort(place, kind="stable")
    items = np.concatenate([lists.items for _, lists, _ in groups])[order]
    source = np.repeat(
        np.array([source for _, _, source in groups], object), [len(lists.rows) for _, lists, _ in groups]
    )
    return pd.DataFrame(
        {
            "user_id": user_ids[place[order]],
            "position": np.concatenate([lists.positions for _, lists, _ in groups])[order],
            "item_id": model.items.to_numpy()[items],
            "title": model.titles[items],
            "score": np.concatenate([lists.scores for _, lists, _ in groups])[order],
            "source": source[order],
        }
    )


def _is_cold(model: Recommender, users: Ints) -> npt.NDArray[np.bool_]:
    """Whether the model has no factors of a known user but zeros, by index; nobody is cold to "popular"."""
    if model.user_factors is None:
        return np.zeros(len(users), bool)
    return np.asarray(~np.asarray(model.user_factors[users]).any(axis=1))


def fold_in(model: Recommender, columns: Ints, values: Floats) -> Floats32:
    """The factors of a user who has rated these items: what training would solve for, with the items as they are.

        implicit   (w0 Y'Y + sum of a|r| y y' + l n I) x = sum over r > 0 of (w0 + a|r|) y
        explicit   (sum of y y' + l n I) x = sum of r y

    n is the number of ratings (implicit: above 0), or (n + w0 n_items)^nu where the model has an exponent nu.
    Source: Hu, Koren and Volinsky, ICDM 2008, equation 4; the weights of Rendle et al., RecSys 2022.

    Args:
        columns: int64 (n,), columns of the rated items.
        values: float64 (n,), their ratings.

    Returns:
        float32 (rank,); zeros where nothing is above 0 and feedback is implicit.
    """
    problem = model.problem
    Y = _item_factors(model)[columns].astype(np.float64)
    rank, exponent = Y.shape[1], problem["regularization_exponent"]
    if problem["implicit"]:
        w0, n = problem["unobserved_weight"], int((values > 0).sum())
        more = problem["alpha"] * np.abs(values)
        A = w0 * model.gram + (Y.T * more) @ Y
        b = Y.T @ np.where(values > 0, w0 + more, 0.0)
    else:
        w0, n = 0.0, len(values)
        A, b = Y.T @ Y, Y.T @ values
    if n == 0:
        return np.zeros(rank, np.float32)
    weight = n if exponent is None else (n + w0 * len(model.items)) ** exponent
    A[np.arange(rank), np.arange(rank)] += problem["regularization"] * weight
    return np.asarray(np.linalg.solve(A, b), np.float32)


def _histories(
    model: Recommender, histories: Sequence[Sequence[str] | None], ratings: Sequence[Sequence[float] | None]
) -> tuple[list[Ints], list[Floats]]:
    """Columns and ratings of the items that the model knows, row by row; of an item named twice the last rating."""
    columns, values = [], []
    for row, (history, given) in enumerate(zip(histories, ratings, strict=True)):
        if history is None:
            columns.append(np.empty(0, np.int64))
            values.append(np.empty(0, np.float64))
            continue
        rated = np.ones(len(history)) if given is None else np.asarray(given, np.float64)
        if len(rated) != len(history):
            raise ValueError(f"Row {row} has {len(history)} items and {len(rated)} ratings: give one rating an item.")
        if not np.isfinite(rated).all():
            raise ValueError(f"Row {row} has a rating that is no finite number: {rated[~np.isfinite(rated)][0]}.")
        last = dict(zip((str(item) for item in history), rated, strict=True))
        found = model.items.get_indexer(pd.Index(list(last), dtype=object))
        columns.append(found[found >= 0].astype(np.int64))
        values.append(np.array(list(last.values()))[found >= 0])
    return columns, values


def _folded_lists(model: Recommender, columns: list[Ints], values: list[Floats], k: int) -> Lists:
    def block(at: slice) -> Lists:
        U = np.stack([fold_in(model, *own) for own in zip(columns[at], values[at], strict=True)])
        return _best(U, _item_factors(model), model.longest, _cells_of(columns[at]), k)

    return _by_block(model, len(columns), block)


def _popular_without(model: Recommender, columns: list[Ints], k: int) -> Lists:
    """The most rated items for each row, without the row's own: all are found once, however many rows there are."""
    best = _first(model.n_ratings[np.newaxis, :], k + max(map(len, columns), default=0)).items
    lists = [best[~np.isin(best, own)][:k] for own in columns]
    rows, items = _cells_of(lists)
    positions = [np.arange(1, len(own) + 1) for own in lists]
    return Lists(rows, items, model.n_ratings[items], np.concatenate([np.empty(0, np.int64), *positions]))


def _cells_of(columns: list[Ints]) -> tuple[Ints, Ints]:
    """Rows and columns of what each row holds."""
    rows = np.repeat(np.arange(len(columns)), [len(own) for own in columns])
    return rows, np.concatenate([np.empty(0, np.int64), *columns])


def _norms(factors: Floats32) -> Floats:
    """Norms of the rows, in float64."""
    wide = factors.astype(np.float64)
    return np.asarray(np.sqrt(np.einsum("nr,nr->n", wide, wide)))


def _gram(factors: Floats32) -> Floats:
    """Y'Y in float64."""
    wide = factors.astype(np.float64)
    return np.asarray(wide.T @ wide)


def _known_lists(model: Recommender, users: Ints, k: int) -> Lists:
    """Lists of users by their index, int64 of shape (n,)."""

    def block(at: slice) -> Lists:
        seen = _seen_cells(model, users[at])
        if model.user_factors is None:
            scores = np.tile(model.n_ratings, (len(users[at]), 1))
            scores[seen] = -np.inf
            return _first(scores, k)
        return _best(np.asarray(model.user_factors[users[at]]), _item_factors(model), model.longest, seen, k)

    return _by_block(model, len(users), block)


def _item_factors(model: Recommender) -> Floats32:
    if model.item_factors is None:
        raise ValueError(f"the model of source {model.source!r} has no factors")
    return model.item_factors


def _by_block(model: Recommender, n: int, block: Callable[[slice], Lists]) -> Lists:
    """The lists of n rows, made block by block: as many rows as their scores may take."""
    done = [_no_lists()]
    for start, stop in _blocks(n, len(model.items)):
        lists = block(slice(start, stop))
        done.append(Lists(lists.rows + start, lists.items, lists.scores, lists.positions))
    return _joined(done)


def _best(U: Floats32, V: Floats32, longest: float, seen: tuple[Ints, Ints], k: int) -> Lists:
    """The k best columns of each row of the product of (n, rank) and (n_items, rank), without the cells that are seen.

    `longest` is the largest norm of a row of V.

    Float32 finds the items that may be among the best, float64 decides. A float32 product depends on the shape of the
    block that it is computed in, so a near tie could fall one way for one user alone and the other way among many. The
    error of such a product is at most rank 2^-24 / (1 - rank 2^-24) |u| |v| (Higham, "Accuracy and Stability of
    Numerical Algorithms", 2002, eq. 3.5): all items within twice that of the k-th score are computed again, each by
    itself, and the lists are the same whoever else is asked for.
    """
    product = U @ V.T
    product[seen] = -np.inf
    unit = V.shape[1] * 2.0**-24
    border = _border(product, k) - 2 * unit / (1 - unit) * longest * _norms(U)
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


def _joined(done: list[Lists]) -> Lists:
    columns = ("rows", "items", "scores", "positions")
    return Lists(*(np.concatenate([getattr(lists, column) for lists in done]) for column in columns))


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
        """Lists for the rows' `user_id`, or by fold-in for those with `items` (and `ratings`).

        `params` may name `k`, the length of a list (default 10).

        Raises:
            MlflowException: k is less than 1, a row names neither a user nor items, or ratings don't fit the items.
        """
        k = int((params or {}).get("k", DEFAULT_K))
        if k < 1:
            raise _refused(f"Parameter k is {k}: ask for lists of at least 1 item.")
        users, histories, ratings = (_column(model_input, name) for name in ("user_id", "items", "ratings"))
        for row, (user, history) in enumerate(zip(users, histories, strict=True)):
            if user is None and history is None:
                raise _refused(f"Row {row} names neither a user_id nor items: give one of them.")
        try:
            return answer(self.model, users, list(histories), list(ratings), k)
        except ValueError as error:
            raise _refused(str(error)) from error


def _column(table: pd.DataFrame, name: str) -> npt.NDArray[np.object_]:
    """A column as objects, None where a row has no value or the table no such column."""
    values = np.full(len(table), None, object)
    if name in table:
        for row, value in enumerate(table[name]):
            is_missing = value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA
            values[row] = None if is_missing else value
    return values


def _refused(sentence: str) -> mlflow.exceptions.MlflowException:
    return mlflow.exceptions.MlflowException.invalid_parameter_value(sentence)


mlflow.models.set_model(FactorModel())
