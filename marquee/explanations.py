"""Why an item is recommended: the part of its score that each item of the user's history has.

A user's factors solve a system whose right side is a sum over the history, so a score is such a sum, too:

    x = W sum over j of c_j y_j,   W = A^-1       score of i = y_i' x = sum over j of c_j y_j' W y_i

    implicit   A = w0 Y'Y + sum of a|r| y y' + l n I     c_j = w0 + a|r_j| where r_j > 0, else 0
    explicit   A = sum of y y' + l n I                   c_j = r_j

with the system of `marquee.factor_model.fold_in`. The shares add up to the score of a user who was solved for exactly,
as the training's last step does.

Source: Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from marquee.recommender_files import RecommenderFiles

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

#: Systems of a block of users are held at once: 4 million float64 are 32 MB.
VALUES_OF_A_BLOCK = 4_000_000


@dataclass(frozen=True)
class Explainer:
    """A fit, and what its users have rated.

    Attributes:
        item_factors: float32 (n_items, rank).
        gram: float64 (rank, rank), Y'Y.
        problem: what the factors minimize, as `RecommenderFiles.problem`.
        indptr: int64 (n_users + 1,).
        indices: int32, items that each user rated, row after row (CSR).
        ratings: float32, of those items.
    """

    item_factors: npt.NDArray[np.float32]
    gram: Floats
    problem: dict[str, Any]
    indptr: Ints
    indices: Ints
    ratings: npt.NDArray[np.float32]

    def shares(self, users: Ints, items: Ints) -> Iterator[tuple[Ints, Floats]]:
        """For each user the items of the history, and their parts of the scores.

        Args:
            users: (n,), indexes of users.
            items: (n, k), indexes of items; -1 for none.

        Yields:
            Items of the history (n_history,), and float64 (n_history, k): column i adds up to the score of `items[i]`;
            zeros where that is -1, or where the user has no factors.
        """
        rank = self.item_factors.shape[1]
        size = max(1, VALUES_OF_A_BLOCK // rank**2)
        for start in range(0, len(users), size):
            block = slice(start, start + size)
            yield from self._shares_of_block(users[block], items[block])

    def _shares_of_block(self, users: Ints, items: Ints) -> Iterator[tuple[Ints, Floats]]:
        rank = self.item_factors.shape[1]
        # Users whom the training leaves without factors keep the identity, and have no share in anything.
        A = np.tile(np.eye(rank), (len(users), 1, 1))
        histories, weights = [], []
        for place, user in enumerate(users):
            row = slice(self.indptr[user], self.indptr[user + 1])
            history = self.indices[row]
            own, weight = self._system(history, self.ratings[row].astype(np.float64))
            if own is not None:
                A[place] = own
            histories.append(history)
            weights.append(weight)
        # Y_list is (n, rank, k): W y_i for all items of all lists at once.
        wanted = np.where(items >= 0, items, 0)
        Y_list = self.item_factors[wanted].astype(np.float64) * (items >= 0)[:, :, np.newaxis]
        solved = _solved(A, Y_list.transpose(0, 2, 1))
        for place, (history, weight) in enumerate(zip(histories, weights, strict=True)):
            yield history, weight[:, np.newaxis] * (self.item_factors[history].astype(np.float64) @ solved[place])

    def _system(self, history: Ints, ratings: Floats) -> tuple[Floats | None, Floats]:
        """A (rank, rank) of a user, or None where there is nothing to solve; and c (n_history,)."""
        problem, Y = self.problem, self.item_factors[history].astype(np.float64)
        exponent = problem["regularization_exponent"]
        if problem["implicit"]:
            w0, n = problem["unobserved_weight"], int((ratings > 0).sum())
            more = problem["alpha"] * np.abs(ratings)
            A, weight = w0 * self.gram + (Y.T * more) @ Y, np.where(ratings > 0, w0 + more, 0.0)
        else:
            w0, n = 0.0, len(ratings)
            A, weight = Y.T @ Y, ratings
        if n == 0:
            return None, np.zeros(len(ratings))
        scale = n if exponent is None else (n + w0 * len(self.item_factors)) ** exponent
        A[np.diag_indices(len(A))] += problem["regularization"] * scale
        return A, weight


def _solved(A: Floats, B: Floats) -> Floats:
    """A^-1 B of each user; the shortest solution where a fit without regularization leaves one open."""
    try:
        return np.asarray(np.linalg.solve(A, B))
    except np.linalg.LinAlgError:
        return np.stack([np.linalg.lstsq(one, right)[0] for one, right in zip(A, B, strict=True)])


def explainer_of(files: RecommenderFiles) -> Explainer | None:
    """Explains a model's scores; None where it has no factors, or does not know its problem or the ratings."""
    if files.item_factors is None or not files.problem or files.seen_ratings is None:
        return None
    return Explainer(
        item_factors=files.item_factors,
        gram=gram_of(files.item_factors),
        problem=files.problem,
        indptr=files.seen_indptr,
        indices=files.seen_indices,
        ratings=files.seen_ratings,
    )


def gram_of(item_factors: npt.NDArray[np.float32]) -> Floats:
    """Y'Y in float64, of float32 (n_items, rank)."""
    wide = item_factors.astype(np.float64)
    return np.asarray(wide.T @ wide)


def reasons(explainer: Explainer, users: Ints, items: Ints, scores: Floats, most: int = 3) -> tuple[Ints, Floats]:
    """The items of the history that speak most for each place of each list.

    Args:
        users: (n,), indexes of users.
        items: (n, k), indexes of items; -1 for none.
        scores: float64 (n, k), the model's.
        most: how many are named at most.

    Returns:
        Items int32 (n, k, most), the highest share first, equals by index, -1 for none; and their shares float64 of the
        same shape, as fractions of the score. Only what speaks for the item is named (a share above 0), and nothing
        where the score itself is not above 0, as a fraction of it would say nothing then.
    """
    found = np.full((*items.shape, most), -1, np.int32)
    fractions = np.zeros(found.shape)
    for place, (history, shares) in enumerate(explainer.shares(users, items)):
        n = min(most, len(history))
        if n == 0:
            continue
        # Stable by index: a history rises by item.
        first = np.argsort(-shares, axis=0, kind="stable")[:n].T
        best = np.take_along_axis(shares.T, first, axis=1)
        score = np.where(items[place] >= 0, scores[place], 0.0)[:, np.newaxis]
        is_told = (best > 0) & (score > 0)
        found[place, :, :n] = np.where(is_told, history[first], -1)
        fractions[place, :, :n] = np.divide(best, score, out=np.zeros(best.shape), where=is_told)
    return found, fractions
