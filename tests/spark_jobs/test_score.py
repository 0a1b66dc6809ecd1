"""The score job: the published lists are those of the registered model, computed by Spark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from expectations.contracts import RECOMMENDATIONS
from marquee import registry
from marquee.lake import outcome, tables
from marquee.lake.objects import Lake
from marquee.recommender_files import RecommenderFiles
from spark_jobs import score

MODEL = "score-job"
N_USERS, N_ITEMS = 30, 25


def model(*, is_popular: bool) -> RecommenderFiles:
    """Random factors; the last user has seen all but three items, the first none."""
    rng = np.random.default_rng(3)
    n_seen = [0, *rng.integers(1, 12, N_USERS - 2), N_ITEMS - 3]
    seen = [np.sort(rng.choice(N_ITEMS, n, replace=False)) for n in n_seen]
    item_ids = sorted(str(item) for item in rng.permutation(1000)[:N_ITEMS])
    files = RecommenderFiles(
        user_ids=pa.array(sorted(f"u{user}" for user in range(N_USERS))),
        item_ids=pa.array(item_ids),
        titles=pa.array([f"Title of {item}" for item in item_ids]),
        n_ratings=rng.integers(0, 6, N_ITEMS),  # many are equal
        user_factors=rng.normal(size=(N_USERS, 5)).astype(np.float32),
        item_factors=rng.normal(size=(N_ITEMS, 5)).astype(np.float32),
        seen_indptr=np.cumsum([0, *n_seen]).astype(np.int64),
        seen_indices=np.concatenate(seen).astype(np.int32),
        source="als",
    )
    return replace(files, user_factors=None, item_factors=None, source="popular") if is_popular else files


@pytest.fixture
def versions(tracked: None) -> dict[str, str]:
    """Registered versions by source; the second test finds the first one's."""
    found = {}
    for source in ("als", "popular"):
        run_id = registry.log_candidate(
            experiment="score job",
            key=f"score-{source}",
            name=source,
            params={},
            metrics={},
            figures={},
            tags={},
            files=model(is_popular=source == "popular"),
        )
        found[source] = registry.register(run_id, MODEL)
    return found


@pytest.fixture
def run(spark: SparkSession, lake: Lake, versions: dict[str, str]) -> Callable[..., tuple[int, outcome.Outcome, Any]]:
    """Run the job; gives the exit code, the outcome, and the rows that it has prepared."""

    def run(version: str, k: int) -> tuple[int, outcome.Outcome, pd.DataFrame]:
        batch, where = f"score-{version}-{k}", outcome.key("test", f"score-{version}-{k}")
        words = ["--model", MODEL, "--version", versions.get(version, version), "--k", str(k), "--batch", batch]
        code = score.main([*words, "--outcome", where])
        left = outcome.load(lake, where)
        assert left is not None
        if code:
            return code, left, pd.DataFrame()
        rows = pa.concat_tables(tables.read_parts(lake, tables.load_prepared(lake, "recommendations", batch)))
        assert rows.column_names == RECOMMENDATIONS.column_names
        return code, left, rows.to_pandas()

    return run


@pytest.mark.parametrize(("source", "k"), [("als", 3), ("popular", 3), ("als", 10)])
def test_the_lists_are_those_of_the_model(
    run: Callable[..., Any], versions: dict[str, str], source: str, k: int
) -> None:
    import mlflow

    code, left, rows = run(source, k)
    assert (code, left.error) == (0, "")
    users = model(is_popular=False).user_ids.to_pylist()
    expected = mlflow.pyfunc.load_model(f"models:/{MODEL}/{versions[source]}").predict(
        pd.DataFrame({"user_id": users}), params={"k": k}
    )
    ours = rows.sort_values(["user_id", "position"], ignore_index=True)
    expected = expected.sort_values(["user_id", "position"], ignore_index=True)
    pd.testing.assert_frame_equal(ours[["user_id", "position"]], expected[["user_id", "position"]])
    np.testing.assert_array_equal(ours["score"], expected["score"])  # to the last bit
    pd.testing.assert_frame_equal(ours[["item_id", "title", "source"]], expected[["item_id", "title", "source"]])
    due = sum(min(k, N_ITEMS - n) for n in np.diff(model(is_popular=False).seen_indptr))
    assert left.result == {
        "rows": due, "users": N_USERS, "items": N_ITEMS, "source": source,
        "k": k if k <= 3 else None,  # somebody has three unseen items: a list of ten is shorter there
    }  # fmt: skip
    assert len(rows) == due


def test_nobody_gets_what_they_have_seen(run: Callable[..., Any]) -> None:
    files = model(is_popular=False)
    _, _, rows = run("als", N_ITEMS)
    ids, users = files.item_ids.to_pylist(), files.user_ids.to_pylist()
    for at, user in enumerate(users):
        seen = {ids[item] for item in files.seen_indices[files.seen_indptr[at] : files.seen_indptr[at + 1]]}
        listed = rows[rows["user_id"] == user].sort_values("position")
        assert set(listed["item_id"]) == set(ids) - seen
        assert listed["position"].tolist() == list(range(1, len(listed) + 1))
        assert (np.diff(listed["score"]) <= 0).all()


def test_a_version_that_is_not_there_is_a_sentence(run: Callable[..., Any]) -> None:
    code, left, _ = run("999", 3)
    assert code == 1 and "version 999" in left.error and not left.is_transient
