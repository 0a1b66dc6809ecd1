"""RecommenderFiles: what goes in comes out, and what is no model is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from marquee.errors import RegistryError, TrainingError
from marquee.recommender_files import RecommenderFiles


def als() -> RecommenderFiles:
    """Two users, three items, rank 2; user u1 rated i0 and i2."""
    return RecommenderFiles(
        user_ids=pa.array(["u0", "u1"]),
        item_ids=pa.array(["i0", "i1", "i2"]),
        titles=pa.array(["Zero", "Один", "Two, with a comma"]),
        n_ratings=np.array([1, 0, 1], np.int64),
        user_factors=np.array([[1, 0], [0, 1]], np.float32),
        item_factors=np.array([[1, 2], [3, 4], [5, 6]], np.float32),
        seen_indptr=np.array([0, 0, 2], np.int64),
        seen_indices=np.array([0, 2], np.int32),
        source="als",
        seen_ratings=np.array([4.5, -1], np.float32),
        n_recent=np.array([0, 0, 1], np.int64),
    )


def popular() -> RecommenderFiles:
    return replace(als(), user_factors=None, item_factors=None, source="popular", seen_ratings=None, n_recent=None)


@pytest.mark.parametrize("files", [als(), popular()], ids=["als", "popular"])
def test_what_is_saved_is_loaded(tmp_path: Path, files: RecommenderFiles) -> None:
    files.save(tmp_path / "deep" / "folder")
    loaded = RecommenderFiles.load(tmp_path / "deep" / "folder")
    assert loaded.source == files.source
    assert loaded.rank == files.rank
    for name in ("user_ids", "item_ids", "titles"):
        assert isinstance(getattr(loaded, name), pa.StringArray)
        assert getattr(loaded, name).equals(getattr(files, name))
    for name in (
        "n_ratings",
        "user_factors",
        "item_factors",
        "seen_indptr",
        "seen_indices",
        "seen_ratings",
        "n_recent",
    ):
        saved, found = getattr(files, name), getattr(loaded, name)
        assert (saved is None) == (found is None)
        if saved is not None:
            assert found.dtype == saved.dtype
            np.testing.assert_array_equal(found, saved)


def test_cold_are_those_without_factors() -> None:
    files = als()
    assert files.user_factors is not None
    assert replace(files, user_factors=files.user_factors * [[0], [1]]).is_cold.tolist() == [True, False]
    assert popular().is_cold.tolist() == [True, True]


def test_a_popularity_model_has_no_factor_files(tmp_path: Path) -> None:
    popular().save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "items.parquet",
        "model.json",
        "seen_indices.npy",
        "seen_indptr.npy",
        "users.parquet",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"source": "magic"}, "its source is 'magic', and may be als or popular"),
        ({"user_ids": pa.array([], pa.string())}, "it has 0 users and 3 items"),
        ({"user_ids": pa.array(["u0", "u0"])}, "user_ids holds an id twice"),
        ({"item_ids": pa.array(["i0", None, "i2"])}, "item_ids holds an id twice, or none at all"),
        ({"titles": pa.array(["Zero"])}, r"titles has the shape (1,) instead of (3,)"),
        ({"user_factors": None}, "it has no factors"),
        ({"source": "popular"}, "a popularity model has no factors"),
        ({"user_factors": np.ones((2, 3), np.float32)}, "user_factors has the shape (2, 3) instead of (2, 2)"),
        ({"item_factors": np.full((3, 2), np.nan, np.float32)}, "item_factors holds values that are no finite numbers"),
        ({"seen_indptr": np.array([0, 1, 3])}, "seen_indptr does not divide the 2 seen_indices into rows"),
        ({"seen_ratings": np.ones(3, np.float32)}, "seen_ratings has the shape (3,) instead of (2,)"),
        ({"n_recent": np.ones(2, np.int64)}, "n_recent has the shape (2,) instead of (3,)"),
        ({"seen_indices": np.array([0, 3], np.int32)}, "seen_indices names items outside 0 to 2"),
    ],
)
def test_what_is_no_model_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(TrainingError) as raised:
        replace(als(), **changed)
    assert said in str(raised.value)


@pytest.mark.parametrize("missing", ["model.json", "items.parquet", "user_factors.npy", "seen_indptr.npy"])
def test_a_missing_file_is_told(tmp_path: Path, missing: str) -> None:
    als().save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(RegistryError, match="holds no recommender that can be read"):
        RecommenderFiles.load(tmp_path)


def test_a_torn_file_is_told(tmp_path: Path) -> None:
    als().save(tmp_path)
    (tmp_path / "item_factors.npy").write_bytes((tmp_path / "item_factors.npy").read_bytes()[:-4])
    with pytest.raises(RegistryError, match="holds no recommender that can be read"):
        RecommenderFiles.load(tmp_path)
