"""The pyfunc's lists, beside a slow and obvious twin."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import factor_model
from marquee.recommender_files import RecommenderFiles


def random_files(n_users: int, n_items: int, rank: int, seed: int, levels: int = 0) -> RecommenderFiles:
    """A model of random factors; with `levels` they are small whole numbers, so that many scores are equal."""
    rng = np.random.default_rng(seed)

    def factors(n: int) -> np.ndarray:
        whole = rng.integers(-levels, levels + 1, (n, rank)) if levels else rng.normal(size=(n, rank))
        return whole.astype(np.float32)

    seen = [
        np.flatnonzero(rng.random(n_items) < rng.choice([0.0, 0.3, 1.0], p=[0.2, 0.7, 0.1])) for _ in range(n_users)
    ]
    item_ids = [str(item) for item in rng.permutation(10 * n_items)[:n_items]]
    return RecommenderFiles(
        user_ids=pa.array([f"u{user}" for user in range(n_users)]),
        item_ids=pa.array(item_ids),
        titles=pa.array([f"Title of {item}" for item in item_ids]),
        n_ratings=rng.integers(0, 5, n_items),
        user_factors=factors(n_users),
        item_factors=factors(n_items),
        seen_indptr=np.cumsum([0, *(len(items) for items in seen)]).astype(np.int64),
        seen_indices=np.concatenate(seen).astype(np.int32),
        source="als",
    )


def slow_lists(files: RecommenderFiles, user_ids: list[str], k: int) -> pd.DataFrame:
    """One user after the other, one item after the other, in float64."""
    known, item_ids, titles = files.user_ids.to_pylist(), files.item_ids.to_pylist(), files.titles.to_pylist()
    rows = []
    for user_id in user_ids:
        seen: set[int] = set()
        source, scores = "popular", [float(n) for n in files.n_ratings]
        if user_id in known:
            user = known.index(user_id)
            seen = set(files.seen_indices[files.seen_indptr[user] : files.seen_indptr[user + 1]].tolist())
            if files.user_factors is not None and files.item_factors is not None and files.user_factors[user].any():
                source = "als"
                scores = [
                    float(np.dot(files.user_factors[user].astype(float), row.astype(float)))
                    for row in files.item_factors
                ]
        unseen = [item for item in range(len(item_ids)) if item not in seen]
        best = sorted(unseen, key=lambda item: (-round(scores[item], 9), item_ids[item]))[:k]
        rows += [
            (user_id, position, item_ids[item], titles[item], scores[item], source)
            for position, item in enumerate(best, start=1)
        ]
    return pd.DataFrame(rows, columns=["user_id", "position", "item_id", "title", "score", "source"])


def lists(files: RecommenderFiles, folder: Path, user_ids: list[str], k: int) -> pd.DataFrame:
    files.save(folder)
    return factor_model.recommend(factor_model.read_folder(folder), np.array(user_ids, object), k)


@settings(max_examples=40, deadline=None)
@given(
    n_users=st.integers(1, 12),
    n_items=st.integers(1, 120),
    rank=st.integers(1, 5),
    k=st.one_of(st.integers(1, 3), st.integers(1, 150)),
    levels=st.sampled_from([0, 1, 2]),
    is_popular=st.booleans(),
    cells_of_a_block=st.sampled_from([1, 50, 4_000_000]),
    groups=st.sampled_from([1, 1024]),
    seed=st.integers(0, 2**32 - 1),
)
def test_lists_are_those_of_the_slow_twin(
    tmp_path_factory: pytest.TempPathFactory,
    n_users: int,
    n_items: int,
    rank: int,
    k: int,
    levels: int,
    is_popular: bool,
    cells_of_a_block: int,
    groups: int,
    seed: int,
) -> None:
    files = random_files(n_users, n_items, rank, seed, levels)
    if is_popular:
        files = replace(files, user_factors=None, item_factors=None, source="popular")
    asked = [*files.user_ids.to_pylist(), "nobody", "u0", "nobody"]
    asked = list(np.random.default_rng(seed).permutation(asked))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(factor_model, "SCORES_OF_A_BLOCK", cells_of_a_block)
        patched.setattr(factor_model, "GROUPS", groups)
        fast = lists(files, tmp_path_factory.mktemp("model"), asked, k)
    slow = slow_lists(files, asked, k)
    if slow.empty:
        assert fast.empty
        return
    pd.testing.assert_frame_equal(fast, slow, check_exact=False, rtol=1e-12, atol=1e-12)
    assert fast.dtypes.astype(str).tolist() == ["object", "int64", "object", "object", "float64", "object"]


def test_equal_scores_fall_by_item_id_as_text(tmp_path: Path) -> None:
    files = RecommenderFiles(
        user_ids=pa.array(["u"]),
        item_ids=pa.array(["9", "10", "2", "é", "z"]),
        titles=pa.array(["nine", "ten", "two", "accent", "zed"]),
        n_ratings=np.zeros(5, np.int64),
        user_factors=np.ones((1, 1), np.float32),
        item_factors=np.ones((5, 1), np.float32),
        seen_indptr=np.array([0, 1], np.int64),
        seen_indices=np.array([2], np.int32),
        source="als",
    )
    assert lists(files, tmp_path, ["u"], 3)["item_id"].tolist() == ["10", "9", "z"]
    assert lists(files, tmp_path, ["new"], 3)["item_id"].tolist() == ["10", "2", "9"]


def test_a_list_is_the_same_whoever_else_is_asked_for(tmp_path: Path) -> None:
    # Items in pairs whose scores differ by less than a float32 can tell.
    files = random_files(200, 400, 32, seed=1)
    assert files.item_factors is not None
    twins = files.item_factors[0::2]
    item_factors = np.repeat(twins, 2, axis=0)
    item_factors[1::2, 0] = np.nextafter(twins[:, 0], np.float32(np.inf))
    files = replace(files, item_factors=item_factors)
    everybody = files.user_ids.to_pylist()
    together = lists(files, tmp_path, everybody, 10)
    model = factor_model.read_folder(tmp_path)
    alone = pd.concat(
        [factor_model.recommend(model, np.array([user], object), 10) for user in everybody], ignore_index=True
    )
    pd.testing.assert_frame_equal(together, alone, check_exact=True)


def test_nobody_asked_for_is_an_empty_frame(tmp_path: Path) -> None:
    empty = lists(random_files(2, 3, 2, seed=0), tmp_path, [], 10)
    assert empty.empty
    assert empty.columns.tolist() == ["user_id", "position", "item_id", "title", "score", "source"]


def test_four_thousand_users_of_ten_thousand_items_take_seconds(tmp_path: Path) -> None:
    files = random_files(10, 10_000, 32, seed=2)
    rng = np.random.default_rng(3)
    n_users = 4_000
    files = replace(
        files,
        user_ids=pa.array([str(user) for user in range(n_users)]),
        user_factors=rng.normal(size=(n_users, 32)).astype(np.float32),
        seen_indptr=np.arange(0, 20 * n_users + 1, 20),
        seen_indices=np.tile(np.arange(20, dtype=np.int32), n_users),
    )
    files.save(tmp_path)
    model = factor_model.read_folder(tmp_path)
    started = time.monotonic()
    found = factor_model.recommend(model, files.user_ids.to_numpy(zero_copy_only=False), 10)
    assert time.monotonic() - started < 15
    assert len(found) == 10 * n_users
