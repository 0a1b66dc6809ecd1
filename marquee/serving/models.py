"""The models of releases, for fold-in: fetched from MLflow once a version, without what they know of persons."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marquee.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marquee.factor_model import Recommender

#: Folders of versions that stay: those used last.
KEPT = 2


@dataclass(frozen=True)
class Model:
    """A model that folds in."""

    recommender: Recommender

    def recommend(
        self, items: Sequence[str], ratings: Sequence[float] | None, k: int
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """The k best items for somebody who has rated these; and those of them that the model does not know."""
        import numpy as np
        import pandas as pd

        from marquee.factor_model import answer

        found = answer(self.recommender, np.array([None], object), [list(items)], [ratings], k)
        is_unknown = self.recommender.items.get_indexer(pd.Index(items, dtype=object)) < 0
        columns = ["position", "item_id", "title", "score", "source"]
        rows = [{str(name): value for name, value in row.items()} for row in found[columns].to_dict("records")]
        return rows, [item for item, unknown in zip(items, is_unknown, strict=True) if unknown]


class Models:
    """Models by version; the one that was asked for last stays in memory.

    Args:
        folder: where their files are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._newest: tuple[str, str, Model] | None = None

    def of(self, name: str, version: str) -> Model:
        """The model of this version, fetched where it is not here.

        Raises:
            RegistryError: MLflow does not answer, or has no such version.
        """
        newest = self._newest
        if newest is not None and newest[:2] == (name, version):
            return newest[2]
        with self._lock:
            newest = self._newest
            if newest is not None and newest[:2] == (name, version):
                return newest[2]
            model = Model(_read(self._fetched(name, version)))
            self._newest = (name, version, model)
            return model

    def _fetched(self, name: str, version: str) -> Path:
        """The folder of the version's files, which has its name only when it is whole."""
        from marquee.registry import MODEL, load_files

        kept = self.folder / f"{name}-{version}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not kept.is_dir():
                with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self.folder) as temporary:
                    load_files(name, version, Path(temporary))
                    found = Path(temporary) / "artifacts" / MODEL
                    _without_users(found)
                    try:
                        found.rename(kept)
                    except OSError:
                        if not kept.is_dir():  # else another process was faster
                            raise
            os.utime(kept)
            _remove_old(self.folder)
        except OSError as error:
            raise RegistryError(
                f"Can't keep version {version} of model {name} in {self.folder} ({error}): make that folder writable, "
                "and free some space there."
            ) from error
        return kept


def _read(folder: Path) -> Recommender:
    from marquee.factor_model import read_folder

    return read_folder(folder)


def _without_users(folder: Path) -> None:
    """Take the users out of a model's files: a history is folded in without them, and what is not here can't leak."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"user_id": pa.array([], pa.string())}), folder / "users.parquet")
    np.save(folder / "seen_indptr.npy", np.zeros(1, np.int64))
    np.save(folder / "seen_indices.npy", np.zeros(0, np.int32))
    ratings = folder / "seen_ratings.npy"
    if ratings.exists():
        np.save(ratings, np.zeros(0, np.float32))
    factors = folder / "user_factors.npy"
    if factors.exists():
        rank = np.load(factors, mmap_mode="r").shape[1]
        np.save(factors, np.zeros((0, rank), np.float32))


def _remove_old(folder: Path) -> None:
    found = [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")]
    for old in sorted(found, key=lambda each: each.stat().st_mtime_ns)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
