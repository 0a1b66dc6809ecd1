"""The k best items of users and the most similar of items, beside a stable argsort of float64 scores, one at a time."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marquee import top_k as module
from marquee.settings import PROJECT
from marquee.top_k import ItemLists, best_of, catalogue_of, compiled, similar_items, top_k

Case = tuple[np.ndarray, np.ndarray, ItemLists]


def slow_lists(scores: np.ndarray, is_wanted: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """One row of float64 (n, n_items) at a time; a stable argsort leaves equal scores in the order of the items."""
    items, values = np.full((len(scores), k), -1), np.full((len(scores), k), np.nan)
    for row, of_row in enumerate(scores):
        order = [item for item in np.argsort(-of_row, kind="stable") if is_wanted[row, item]][:k]
        items[row, : len(order)] = order
        values[row, : len(order)] = of_row[order]
    return items, values


def lists_of(rng: np.random.Generator, n_users: int, n_items: int, shares: list[float]) -> ItemLists:
    """Random items for each user, in no order, some twice; of some users none, of some all."""
    taken = [np.flatnonzero(rng.random(n_items) < rng.choice(shares)) for _ in range(n_users)]
    taken = [rng.permutation(np.concatenate((items, items[:2]))) for items in taken]
    indptr = np.cumsum([0, *(len(items) for items in taken)])
    return ItemLists(indptr.astype(np.int64), np.concatenate([np.zeros(0, int), *taken]).astype(np.int32))


def dense(lists: ItemLists, n_items: int) -> np.ndarray:
    """bool (n_users, n_items): whether a list has an item."""
    found = np.zeros((len(lists.indptr) - 1, n_items), bool)
    for row in range(len(found)):
        found[row, lists.indices[lists.indptr[row] : lists.indptr[row + 1]]] = True
    return found


def whole_case(n_users: int, n_items: int, rank: int, seed: int) -> Case:
    """Small whole factors: products are exact in float32, and many scores are equal, many vectors twins or zero."""
    rng = np.random.default_rng(seed)
    users = rng.integers(-2, 3, (n_users, rank)).astype(np.float32)
    items = rng.integers(-2, 3, (n_items, rank)).astype(np.float32)
    users[rng.random(n_users) < 0.1] = 0
    items[rng.random(n_items) < 0.1] = 0
    items[rng.random(n_items) < 0.3] = items[:1]
    return users, items, lists_of(rng, n_users, n_items, [0.0, 0.3, 0.9, 1.0])


def real_case(n_users: int, n_items: int, rank: int, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    size = rng.choice([1e-25, 1e-3, 1.0, 1e18])
    users = (rng.standard_normal((n_users, rank)) * size).astype(np.float32)
    items = (rng.standard_normal((n_items, rank)) * rng.lognormal(0, 2, (n_items, 1))).astype(np.float32)
    return users, items, lists_of(rng, n_users, n_items, [0.0, 0.3])


sizes = (st.integers(0, 9), st.integers(0, 700), st.integers(1, 20), st.integers(0, 2**32 - 1))


@settings(max_examples=150, deadline=None)
@given(*sizes, st.integers(1, 50), st.sampled_from([whole_case, real_case]))
def test_as_a_stable_argsort(n_users: int, n_items: int, rank: int, seed: int, k: int, make: object) -> None:
    users, items, seen = (whole_case if make is whole_case else real_case)(n_users, n_items, rank, seed)
    found, scores = top_k(users, items, seen.indptr, seen.indices, k, threads=1)
    expected = slow_lists(users.astype(float) @ items.astype(float).T, ~dense(seen, n_items), k)
    assert found.dtype == np.int32 and scores.dtype == np.float64 and found.shape == scores.shape == (n_users, k)
    np.testing.assert_array_equal(found, expected[0])
    largest = np.linalg.norm(users.astype(float), axis=1).max(initial=0) * np.abs(items).max(initial=0)
    np.testing.assert_allclose(scores, expected[1], rtol=1e-9, atol=1e-12 * largest)


@settings(max_examples=100, deadline=None)
@given(*sizes, st.integers(1, 20), st.data())
def test_filters_together(n_users: int, n_items: int, rank: int, seed: int, k: int, data: st.DataObject) -> None:
    users, items, seen = whole_case(n_users, n_items, rank, seed)
    rng = np.random.default_rng(seed)
    has_allow, has_deny, has_own_allow, has_own_deny = (data.draw(st.booleans()) for _ in range(4))
    is_wanted = ~dense(seen, n_items)
    allow = rng.choice(n_items, n_items // 2) if has_allow and n_items else None
    deny = np.flatnonzero(rng.random(n_items) < 0.2) if has_deny else None
    own_allow = lists_of(rng, n_users, n_items, [0.0, 0.5]) if has_own_allow else None
    own_deny = lists_of(rng, n_users, n_items, [0.0, 0.5]) if has_own_deny else None
    if allow is not None:
        is_wanted &= np.isin(np.arange(n_items), allow)
    if deny is not None:
        is_wanted[:, deny] = False
    if own_allow is not None:
        is_wanted &= dense(own_allow, n_items)
    if own_deny is not None:
        is_wanted &= ~dense(own_deny, n_items)
    chosen = rng.integers(0, n_users, 5) if n_users else np.zeros(0, int)
    found, scores = best_of(
        catalogue_of(items, allow=allow, deny=deny), users, k,
        users=chosen, seen=seen, deny=own_deny, allow=own_allow, threads=1,
    )  # fmt: skip
    expected = slow_lists(users.astype(float) @ items.astype(float).T, is_wanted, k)
    np.testing.assert_array_equal(found, expected[0][chosen])
    np.testing.assert_array_equal(scores, expected[1][chosen])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_similar_items(n_items: int, rank: int, seed: int, k: int) -> None:
    _, items, _ = whole_case(0, n_items, rank, seed)
    items *= np.random.default_rng(seed).choice([0.5, 1, 3], (n_items, 1))
    exact = items.astype(float)
    squares = (exact**2).sum(axis=1)
    norms = np.sqrt(np.outer(squares, squares))
    cosines = np.divide(exact @ exact.T, norms, out=np.zeros((n_items, n_items)), where=norms > 0)
    is_other = ~np.eye(n_items, dtype=bool)
    for measure, scores in (("cosine", cosines), ("product", exact @ exact.T)):
        found = similar_items(items, k, measure=measure, threads=1)  # type: ignore[arg-type]
        expected = slow_lists(scores, is_other, k)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])


def test_similar_items_of_a_few_among_those_allowed() -> None:
    items = np.array([[1, 0], [2, 0], [0, 1], [1, 1], [0, 0]], np.float32)
    found, cosines = similar_items(items, 3, items=np.array([1, 4]), allow=np.array([0, 2, 4]))
    assert found.tolist() == [[0, 2, 4], [0, 2, -1]]
    np.testing.assert_array_equal(cosines, [[1, 0, 0], [0, 0, np.nan]])


def test_neither_threads_nor_blocks_nor_company_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    users, items, seen = real_case(400, 900, 33, 7)
    items[500:] = items[:400] * np.float32(1 + 2**-22)  # nearly twins: float32 alone could not tell which is better
    lists = catalogue_of(items)
    found, scores = best_of(lists, users, 20, seen=seen, threads=1)
    for n_block, n_tile, threads in ((64, 64, 2), (1, 128, 3), (333, 64, 1), (512, 1024, 2)):
        monkeypatch.setattr(module, "USERS_OF_A_BLOCK", n_block)
        monkeypatch.setattr(module, "ITEMS_OF_A_TILE", n_tile)
        again = best_of(lists, users, 20, seen=seen, threads=threads)
        assert again[0].tobytes() == found.tobytes() and again[1].tobytes() == scores.tobytes()
    backwards = np.arange(400)[::-1]
    parts = [best_of(lists, users, 20, users=part, seen=seen) for part in np.array_split(backwards, 7)]
    assert np.concatenate([part[0] for part in parts]).tobytes() == found[::-1].tobytes()
    assert np.concatenate([part[1] for part in parts]).tobytes() == scores[::-1].tobytes()


def test_views_and_memory_maps(tmp_path: Path) -> None:
    users, items, seen = real_case(50, 300, 8, 1)
    expected = top_k(users, items, seen.indptr, seen.indices, 5)
    strided = top_k(np.asfortranarray(users), np.repeat(items, 2, axis=0)[::2], seen.indptr, seen.indices[:], 5)
    np.save(tmp_path / "items.npy", items)
    mapped = top_k(users, np.load(tmp_path / "items.npy", mmap_mode="r"), seen.indptr, seen.indices, 5)
    for again in (strided, mapped):
        assert again[0].tobytes() == expected[0].tobytes() and again[1].tobytes() == expected[1].tobytes()


def test_by_eye() -> None:
    items = np.array([[1], [3], [3], [2], [0]], np.float32)
    users = np.array([[1], [-1], [0]], np.float32)
    # the first user has seen item 1, the second nothing, the third all but items 4 and 2
    indptr, seen = np.array([0, 1, 1, 4]), np.array([1, 0, 1, 3], np.int32)
    found, scores = top_k(users, items, indptr, seen, 3)
    assert found.tolist() == [[2, 3, 0], [4, 0, 3], [2, 4, -1]]
    np.testing.assert_array_equal(scores, [[3, 2, 1], [0, -1, -2], [0, 0, np.nan]])


def test_memory_is_that_of_a_block() -> None:
    """Ten times the users and the items take no more than their results, and a few numbers an item."""
    peaks = []
    for n_users, n_items in ((1_000, 2_000), (10_000, 20_000)):
        users, items = np.ones((n_users, 2), np.float32), np.ones((n_items, 2), np.float32)
        items[:, 0] = np.arange(n_items)
        catalogue = catalogue_of(items)
        indptr = np.zeros(n_users + 1, np.int64)
        best_of(catalogue, users[:1], 1, threads=1)
        tracemalloc.start()
        found, scores = best_of(catalogue, users, 3, seen=ItemLists(indptr, np.zeros(0, np.int32)), threads=1)
        peaks.append(tracemalloc.get_traced_memory()[1] - found.nbytes - scores.nbytes)
        tracemalloc.stop()
    # a byte an item, and the users' numbers and the pointers of no list at 8 bytes each; all scores would be 800 MB
    assert peaks[1] < peaks[0] + 20_000 + 3 * 8 * 10_000 + 100_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"users": [[1, np.nan]]}, "Factor 1 of user 0 is nan"),
        ({"items": [[1, 1], [np.inf, 1]]}, "Factor 0 of item 1 is inf"),
        ({"items": [[1, 1, 1]]}, "Users have 2 factors and items 3"),
        ({"items": [1, 1]}, r"item_factors has shape \(2,\)"),
        ({"indices": [2]}, "user 0 names an item that is not there: the 2 items"),
        ({"indices": [-1]}, "user 0 names an item that is not there"),
        ({"indptr": [0, 3]}, "A list of user 0 lies outside of its array"),
        ({"indptr": [0]}, "A list of user 0 lies outside of its array"),
        ({"k": 0}, "k is 0"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_what_does_not_fit_is_a_sentence(change: dict[str, object], words: str) -> None:
    given_case = {"users": [[1, 1]], "items": [[1, 1], [2, 2]], "indptr": [0, 1], "indices": [0], "k": 1} | change
    threads = given_case.get("threads", 1)
    arrays = [np.array(given_case[name], np.float32) for name in ("users", "items")]
    lists = [np.array(given_case["indptr"], np.int64), np.array(given_case["indices"], np.int32)]
    with pytest.raises(ValueError, match=words):
        top_k(*arrays, *lists, given_case["k"], threads=threads)  # type: ignore[arg-type]


def test_lists_for_all_and_users_that_are_not_there() -> None:
    items = np.ones((3, 2), np.float32)
    for name in ("allow", "deny"):
        with pytest.raises(ValueError, match=f"Item 3 of the {name} list is not there: the 3 items"):
            catalogue_of(items, **{name: np.array([0, 3])})
    with pytest.raises(ValueError, match="User 3 is not there: the 3 users"):
        best_of(catalogue_of(items), items, 1, users=np.array([0, 3]))
    with pytest.raises(ValueError, match="measure is 'euclid'"):
        catalogue_of(items, measure="euclid")  # type: ignore[arg-type]


def test_a_second_process_loads_what_the_first_has_compiled() -> None:
    """This process is the first; `stats` tells where each signature's code came from."""
    words = (
        "from marquee.top_k.kernels import best_of_all, best_of_some, squares\n"
        "for kernel in (best_of_all, best_of_some, squares):\n"
        "    assert kernel.stats.cache_hits and not kernel.stats.cache_misses, kernel.stats\n"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_code_that_nothing_can_be_kept_of_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def without_a_folder(*signatures: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function 'double': no locator available for file '<zip>'")
        return real(*signatures, **options)

    monkeypatch.setattr(numba, "njit", without_a_folder)
    assert compiled.compiled()(lambda x: 2 * x)(3) == 6
