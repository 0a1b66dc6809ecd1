"""Generated data sets: their files, their promises, and what happens to impossible requests."""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pytest

from marquee import generate as module
from marquee.errors import SourceError
from marquee.generate import generate
from marquee.metrics import mark, summarize
from marquee.splits import border, by_time, sizes

SMALL = {"users": 300, "items": 500, "ratings": 12_345, "seed": 7}


def sums(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def columns(file: Path) -> dict[str, np.ndarray]:
    return {name: column.to_numpy() for name, column in zip(*_table(file), strict=True)}


def _table(file: Path) -> tuple[list[str], list[pa.ChunkedArray]]:
    table = pa.csv.read_csv(file)
    return table.column_names, table.columns


def test_files_are_as_movielens_lays_them_out(tmp_path: Path) -> None:
    made = generate(tmp_path / "deep" / "set", **SMALL)
    assert made.is_new
    assert sorted(file.name for file in made.folder.iterdir()) == ["generated.json", "movies.csv", "ratings.csv"]
    assert [made.users, made.items, made.ratings, made.seed] == list(SMALL.values())

    lines = made.ratings_csv.read_text(encoding="utf-8").split("\n")
    assert lines[0] == "userId,movieId,rating,timestamp"
    assert lines[-1] == ""
    assert len(lines) == 1 + SMALL["ratings"] + 1
    assert all(re.fullmatch(r"\d+,\d+,[0-5]\.[05],1[4-7]\d{8}", line) for line in lines[1:-1])

    ratings = columns(made.ratings_csv)
    assert set(ratings["rating"].tolist()) == {half / 2 for half in range(1, 11)}
    assert set(ratings["userId"].tolist()) == set(range(1, 301))
    assert set(ratings["movieId"].tolist()) <= set(range(1, 501))
    pairs = ratings["userId"] * 1000 + ratings["movieId"]
    assert (np.diff(pairs) > 0).all()  # by user, then item, as MovieLens; and no pair twice

    with made.movies_csv.open(encoding="utf-8", newline="") as file:
        movies = list(csv.reader(file))
    assert movies[0] == ["movieId", "title", "genres"]
    assert [row[0] for row in movies[1:]] == [str(i) for i in range(1, 501)]
    assert any("," in row[1] for row in movies)  # titles with commas are quoted

    parameters = json.loads(made.generated_json.read_text(encoding="utf-8"))
    assert {name: parameters[name] for name in SMALL} == SMALL
    assert parameters["generator"] == "marquee"
    assert parameters["generator_version"] == module.GENERATOR_VERSION


def test_same_seed_same_bytes_other_seed_others(tmp_path: Path) -> None:
    first, again = (generate(tmp_path / name, **SMALL).folder for name in ("first", "again"))
    other = generate(tmp_path / "other", **{**SMALL, "seed": 8}).folder
    assert sums(first) == sums(again)
    assert not set(sums(first).values()) & set(sums(other).values())


def test_many_groups_make_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 500)
    heard: list[int] = []
    made = generate(tmp_path / "set", **SMALL, progress=heard.append)
    ratings = columns(made.ratings_csv)
    assert ratings["userId"].size == SMALL["ratings"]
    assert (np.diff(ratings["userId"] * 1000 + ratings["movieId"]) > 0).all()
    assert len(heard) > 20
    assert heard == sorted(heard)
    assert heard[-1] == SMALL["ratings"]


@pytest.mark.parametrize(
    ("users", "items", "ratings"), [(1, 1, 1), (1, 50, 50), (50, 1, 50), (30, 40, 1200), (30, 40, 30), (30, 40, 1199)]
)
def test_smallest_and_fullest(tmp_path: Path, users: int, items: int, ratings: int) -> None:
    made = generate(tmp_path / "set", users=users, items=items, ratings=ratings, seed=0)
    pairs = columns(made.ratings_csv)
    assert len(set(zip(pairs["userId"].tolist(), pairs["movieId"].tolist(), strict=True))) == ratings
    assert len(made.movies_csv.read_text(encoding="utf-8").splitlines()) == items + 1


def test_users_are_active_all_along(tmp_path: Path) -> None:
    ratings = columns(generate(tmp_path / "set", users=1000, items=800, ratings=80_000, seed=1).ratings_csv)
    microseconds = ratings["timestamp"] * 1_000_000
    split = sizes(by_time(microseconds, border(microseconds, 0.2)), ratings["userId"], ratings["movieId"])
    assert split.test_ratings == pytest.approx(16_000, abs=5)
    assert split.test_users - split.test_users_cold > 0.8 * 1000  # most have a past and a future, and some are new
    assert 10 < split.test_users_cold < 0.2 * 1000
    years = ratings["timestamp"].astype("datetime64[s]").astype("datetime64[Y]").astype(int) + 1970
    assert sorted(set(years.tolist())) == list(range(2015, 2025))


def factors_of(seen: np.ndarray, *, rank: int, weight: float, regularisation: float) -> np.ndarray:
    """Scores of implicit ALS (Hu, Koren, Volinsky, ICDM 2008), slow and obvious; `seen` is bool (users, items)."""
    Y = 0.1 * np.random.default_rng(0).standard_normal((seen.shape[1], rank))
    X = np.zeros((seen.shape[0], rank))

    def solve(fixed: np.ndarray, is_one: np.ndarray) -> np.ndarray:
        # (Y'Y + weight Y_u'Y_u + lambda I) x_u = (1 + weight) Y_u'1
        gram = fixed.T @ fixed + regularisation * np.eye(rank)
        rows = [fixed[row] for row in is_one]
        return np.array([np.linalg.solve(gram + weight * R.T @ R, (1 + weight) * R.sum(axis=0)) for R in rows])

    for _ in range(8):
        X = solve(Y, seen)
        Y = solve(X, seen.T)
    return X @ Y.T


def test_als_beats_popularity_under_a_time_split(tmp_path: Path) -> None:
    made = columns(generate(tmp_path / "set", users=1000, items=800, ratings=80_000, seed=1).ratings_csv)
    user, item, time = made["userId"] - 1, made["movieId"] - 1, made["timestamp"]
    is_test = time >= border(time, 0.2)
    seen, wanted = np.zeros((2, 1000, 800), dtype=bool)
    seen[user[~is_test], item[~is_test]] = True
    wanted[user[is_test], item[is_test]] = True
    is_warm = seen.any(axis=1) & wanted.any(axis=1)
    indptr = np.concatenate(([0], wanted[is_warm].sum(axis=1).cumsum()))

    def ndcg(scores: np.ndarray) -> float:
        best = np.argsort(-np.where(seen, -np.inf, scores), axis=1)[is_warm, :10]
        return summarize(*mark(best, indptr, np.nonzero(wanted[is_warm])[1]), ks=[10])["ndcg_at_10"]

    popularity = ndcg(np.broadcast_to(seen.sum(axis=0), seen.shape))
    als = ndcg(factors_of(seen, rank=16, weight=5.0, regularisation=20.0))
    chance = ndcg(np.random.default_rng(0).random(seen.shape))
    print(f"nDCG@10: ALS {als:.4f}, popularity {popularity:.4f}, chance {chance:.4f}")
    assert popularity > 1.5 * chance
    assert als > 1.2 * popularity


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ratings": 150_001}, "150001 ratings are too many: 300 users can rate 500 items 150000 times"),
        ({"ratings": 299}, "299 ratings are too few for 300 users"),
        ({"users": 0}, "0 users can't be generated: ask for 1 to 100,000,000"),
        ({"users": 10**9}, "1000000000 users can't be generated"),
        ({"items": -1}, "-1 items can't be generated"),
        ({"seed": -1}, "seed is -1: it must be 0 or more"),
    ],
)
def test_impossible_requests(tmp_path: Path, change: dict[str, int], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        generate(tmp_path / "set", **{**SMALL, **change})
    assert list(tmp_path.iterdir()) == []


def test_twice_is_once(tmp_path: Path) -> None:
    generate(tmp_path / "set", **SMALL)
    before = (tmp_path / "set" / "ratings.csv").stat()
    assert not generate(tmp_path / "set", **SMALL).is_new
    assert (tmp_path / "set" / "ratings.csv").stat() == before


def test_a_newer_marquee_or_numpy_knows_the_set_again(tmp_path: Path) -> None:
    made = generate(tmp_path / "set", **SMALL)
    parameters = json.loads(made.generated_json.read_text(encoding="utf-8"))
    made.generated_json.write_text(json.dumps({**parameters, "marquee_version": "0.0.1", "numpy_version": "2.0.0"}))
    assert not generate(tmp_path / "set", **SMALL).is_new


@pytest.mark.parametrize("content", [{"seed": 8}, None, "no json"])
def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, content: Any) -> None:
    folder = tmp_path / "set"
    if isinstance(content, dict):
        generate(folder, **{**SMALL, **content})
    else:
        folder.mkdir()
        (folder / "ratings.csv").write_text("mine")
    if content == "no json":
        (folder / "movies.csv").write_text("mine")
        (folder / "generated.json").write_text("{")
    before = sums(folder)
    with pytest.raises(SourceError, match="holds something else already, and is left as it is"):
        generate(folder, **SMALL)
    assert sums(folder) == before


def test_an_empty_folder_is_filled_and_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert generate(tmp_path / "empty", **SMALL).is_new
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SourceError, match="file holds something else"):
        generate(tmp_path / "file", **SMALL)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pa.csv, "write_csv", full)
    with pytest.raises(SourceError, match=r"set can't be written \(No space left on device\): make room"):
        generate(tmp_path / "set", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SourceError, match=r"can't be (read|written) \(Not a directory\)"):
        generate(tmp_path / "file" / "set", **SMALL)


def test_leftovers_of_a_killed_run_are_cleared(tmp_path: Path) -> None:
    partial = tmp_path / ".set.partial"
    partial.mkdir()
    (partial / "ratings.csv").write_text("half a li")
    (partial / "other").write_text("")
    made = generate(tmp_path / "set", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert made.ratings_csv.stat().st_size > 100_000
    assert len(list(made.folder.iterdir())) == 3


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    partial = tmp_path / ".set.partial"
    partial.mkdir()
    lock = os.open(partial, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with pytest.raises(SourceError, match="Another process is generating into") as caught:
            generate(tmp_path / "set", **SMALL)
        assert caught.value.is_transient
    finally:
        os.close(lock)


def test_memory_does_not_grow_with_the_ratings(tmp_path: Path) -> None:
    """Peak memory of a process that makes 4 groups and of one that makes 16 differ by less than the file does."""
    program = (
        "import resource, sys; from pathlib import Path; from marquee.generate import generate; "
        "generate(Path(sys.argv[1]), users=int(sys.argv[2]) // 100, items=2000, ratings=int(sys.argv[2]), seed=1); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )

    def peak_mb(n_ratings: int) -> float:
        command = [sys.executable, "-c", program, str(tmp_path / str(n_ratings)), str(n_ratings)]
        root = Path(module.__file__).resolve().parent.parent
        printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout
        return int(printed) / (2**20 if sys.platform == "darwin" else 2**10)

    few, many = peak_mb(1 << 20), peak_mb(1 << 22)
    assert (tmp_path / str(1 << 22) / "ratings.csv").stat().st_size > 95_000_000
    assert many - few < 40
