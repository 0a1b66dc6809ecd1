"""From ratings and a split to the exam that all models of a training are asked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from marquee.errors import TrainingError
from marquee.metrics import Catalogue
from marquee.splits import Split
from spark_jobs.evaluation import Exam
from spark_jobs.interactions import Collected, Index, seen_of

KS = (1, 5, 10, 20, 50)


def exam_of(ratings: Collected, split: Split, vectors: np.ndarray | None, k: int) -> Exam:
    """The users of the test side whom the train side knows, and what they rated there of the items that it knows.

    Raises:
        TrainingError: there is no such user.
    """
    user, item = ratings.user_index, ratings.item_index
    n_items = len(ratings.index.items)
    history = ratings.seen(split.is_history)
    n_ratings = np.bincount(item[split.is_train], minlength=n_items)
    is_warm = split.is_test & (np.diff(history.indptr) > 0)[user] & (n_ratings > 0)[item]
    users, position = np.unique(user[is_warm], return_inverse=True)
    if len(users) == 0:
        raise TrainingError(
            f"None of the {len(np.unique(user[split.is_test])):,} users of the test side has rated before the border, "
            "so no model can be judged: ingest ratings over a longer time, or set another test_share."
        )
    n_train_users = len(np.unique(user[split.is_train]))
    return Exam(
        users=users.astype(np.int64),
        relevant=seen_of(position, item[is_warm], len(users)),
        history=history,
        catalogue=Catalogue(n_ratings.astype(np.int64), n_train_users, vectors),
        k=k,
        ks=tuple(sorted({*KS, k})),
    )


def genre_vectors(catalogue: pa.Table, index: Index) -> np.ndarray | None:
    """float32 (n_items, n_genres) of 0 and 1, in the order of the index; None where no item has a genre."""
    genres = dict(zip(catalogue["item_id"].to_pylist(), catalogue["genres"].to_pylist(), strict=True))
    of_item = [genres.get(item) or [] for item in index.items.to_pylist()]
    names = sorted({name for row in of_item for name in row})
    if not names:
        return None
    place = {name: at for at, name in enumerate(names)}
    vectors = np.zeros((len(of_item), len(names)), np.float32)
    for row, own in enumerate(of_item):
        vectors[row, [place[name] for name in own]] = 1.0
    return vectors
