"""The processes of `benchmarks.als`.

python -m benchmarks.als_sides make FOLDER RATINGS USERS ITEMS SEED     ratings as Parquet files
python -m benchmarks.als_sides fit JSON                                 one side, cold and warm; JSON as its last line
python -m benchmarks.als_sides judge JSON                               what its factors come to; JSON
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

REGULARIZATION, ALPHA = 0.05, 1.0
ROWS_OF_A_FILE = 4_000_000
Factors = tuple[np.ndarray, np.ndarray]
#: The iterations of ours, as they came.
HEARD: list[dict[str, Any]] = []


def make(folder: Path, ratings: int, users: int, items: int, seed: int) -> None:
    """Ratings from .5 to 5 by a model of rank 8 and noise; few items have most of them, and no pair comes twice."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    tastes = rng.normal(0, 0.45, (users, 8)).astype(np.float32)
    kinds = rng.normal(0, 0.9, (items, 8)).astype(np.float32)
    popularity = np.cumsum(1.0 / (np.arange(items) + 30.0) ** 0.9)
    activity = rng.lognormal(0, 1.0, users)
    counts = np.minimum(np.maximum(1, activity / activity.sum() * ratings * 1.12), items * 0.6).astype(np.int64)
    left, chunk = ratings, max(1, users * ROWS_OF_A_FILE // ratings)
    for number, first in enumerate(range(0, users, chunk)):
        user = np.repeat(np.arange(first, min(first + chunk, users)), counts[first : first + chunk])
        item = np.searchsorted(popularity, rng.random(len(user)) * popularity[-1])
        pair = np.unique(user.astype(np.int64) * items + np.minimum(item, items - 1))
        if first + chunk >= users or len(pair) > left:
            pair = pair[rng.permutation(len(pair))[:left]]
        left -= len(pair)
        rng.shuffle(pair)
        user, item = (pair // items).astype(np.int32), (pair % items).astype(np.int32)
        score = 3.5 + np.einsum("nk,nk->n", tastes[user], kinds[item]) + rng.normal(0, 0.6, len(user))
        rating = np.clip(np.round(2 * score) / 2, 0.5, 5).astype(np.float32)
        table = pa.table({"user": user, "item": item, "rating": rating})
        pq.write_table(table, folder / f"part-{number:03d}.parquet", row_group_size=1_000_000)


def fit(asked: dict[str, Any]) -> dict[str, Any]:
    """Fit twice; keep the second one's factors as files.

    `iteration_s` is the median of the second fit's iterations of ours, `received_mb` what its first task got from the
    others in one.
    """
    started = psutil.Process().create_time()
    fitters: dict[str, Callable[[dict[str, Any]], Callable[[], Factors]]] = {
        "ours": ours, "spark": spark_ml, "implicit": implicit_library,
    }  # fmt: skip
    again = fitters[asked["side"]](asked)
    factors = again()
    cold, warm = time.time() - started, None
    if asked["is_warm"]:
        begin = time.monotonic()
        factors = again()
        warm = time.monotonic() - begin
    told = {"cold_s": cold, "warm_s": warm}
    if asked["side"] == "ours":
        told["iteration_s"] = median(one["seconds"] for one in HEARD[-asked["iterations"] :])
        told["received_mb"] = HEARD[-1]["received_bytes"] / 1e6
    if asked["is_judged"]:
        keep(asked, factors)
    if asked["side"] != "implicit":
        session(asked).stop()
    return told


def keep(asked: dict[str, Any], factors: Factors) -> None:
    """Factors as files, for the judge; where feedback is implicit those of ours by the sum of `implicit` as well."""
    for name, array in zip(("users", "items"), factors, strict=True):
        np.save(Path(asked["out"]) / f"{name}.npy", array)
    if asked["side"] == "ours" and asked["implicit"]:
        for name, array in zip(("users", "items"), ours({**asked, "exponent": 0.0})(), strict=True):
            np.save(Path(asked["out"]) / f"{name}-unscaled.npy", array)


def ours(asked: dict[str, Any]) -> Callable[[], Factors]:
    """Marquee's ALS on a local Spark."""
    from spark_jobs.als import ALS

    spark = session(asked)
    als = ALS(
        rank=asked["rank"], maxIter=asked["iterations"], regParam=REGULARIZATION, alpha=ALPHA,
        implicitPrefs=asked["implicit"], numTasks=asked["n_tasks"], solver=asked["solver"], seed=1,
    )  # fmt: skip
    if "exponent" in asked:
        als.setRegExponent(asked["exponent"])
    als.setListener(HEARD.append)
    return lambda: collected(als.fit(spark.read.parquet(asked["data"])), asked["rank"])


def spark_ml(asked: dict[str, Any]) -> Callable[[], Factors]:
    """Spark ML's ALS, with its defaults."""
    from pyspark.ml.recommendation import ALS

    spark = session(asked)
    als = ALS(
        rank=asked["rank"], maxIter=asked["iterations"], regParam=REGULARIZATION, alpha=ALPHA,
        implicitPrefs=asked["implicit"], seed=1,
    )  # fmt: skip
    return lambda: collected(als.fit(spark.read.parquet(asked["data"])), asked["rank"])


def implicit_library(asked: dict[str, Any]) -> Callable[[], Factors]:
    """The library `implicit`; its confidence is the value in its matrix, so that 1 + alpha r is given."""
    import scipy.sparse as sp
    from implicit.cpu.als import AlternatingLeastSquares

    def run() -> Factors:
        table = pq.read_table(asked["data"])
        user, item, rating = (table[name].to_numpy() for name in ("user", "item", "rating"))
        matrix = sp.csr_matrix((1 + ALPHA * rating, (user, item)), dtype=np.float32)
        model = AlternatingLeastSquares(
            factors=asked["rank"], iterations=asked["iterations"], regularization=REGULARIZATION, random_state=1,
            num_threads=os.cpu_count(),
        )  # fmt: skip
        model.fit(matrix, show_progress=False)
        return np.asarray(model.user_factors), np.asarray(model.item_factors)

    return run


def session(asked: dict[str, Any]) -> Any:
    """A local Spark with all cores, and the archive of classes that Marquee's jobs leave for one another."""
    from pyspark.sql import SparkSession

    from marquee.class_archive import QUIET
    from marquee.java import java_home

    os.environ["JAVA_HOME"] = str(java_home(Path(asked["out"]).parent / "java"))
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    cores = "1" if asked["n_tasks"] == 1 else "*"
    archive = Path(asked["out"]).parent / "classes.jsa"
    used = "SharedArchiveFile" if archive.exists() else "ArchiveClassesAtExit"
    options = f"-Xss16m -XX:+UseSerialGC -XX:{used}={archive} {QUIET}"
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[{cores}] --driver-memory {asked['memory']} --conf spark.ui.enabled=false "
        f"--driver-java-options '{options}' "
        f"--conf spark.driver.maxResultSize=4g --conf spark.local.dir={asked['out']} pyspark-shell"
    )
    spark = (
        SparkSession.builder.config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100000")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def collected(model: Any, rank: int) -> Factors:
    """Factors as matrices by id; ids are 0 to n - 1."""
    from spark_jobs.factors import factor_matrix

    users, items = (factor_matrix(frame, None, rank) for frame in (model.userFactors, model.itemFactors))
    return users, items


def judge(asked: dict[str, Any]) -> dict[str, Any]:
    """The objectives that the kept factors come to, and the error where feedback is explicit; in float64."""
    from spark_jobs.als.blocks import rows_of
    from spark_jobs.als.kernels import Problem, counts_of, objective, regularization_of

    table = pq.read_table(asked["data"])
    user, item, rating = (table[name].to_numpy() for name in ("user", "item", "rating"))
    folder = Path(asked["out"])

    def come_to(name: str, exponent: float | None) -> float:
        users = _padded(np.load(folder / f"users{name}.npy"), user)
        items = _padded(np.load(folder / f"items{name}.npy"), item)
        problem = Problem(asked["implicit"], REGULARIZATION, ALPHA, regularization_exponent=exponent)
        of_users = rows_of(user, item, rating, len(users), len(items))
        n_rated = counts_of(rows_of(item, user, rating, len(items), len(users)), problem)
        return objective(of_users, users, items, problem) + regularization_of(items, n_rated, problem, len(users))

    told: dict[str, Any] = {}
    if asked["side"] != "implicit":
        told["objective"] = come_to("", None)
    if asked["implicit"] and asked["side"] != "spark":
        told["objective_unscaled"] = come_to("-unscaled" if asked["side"] == "ours" else "", 0.0)
    return told


def _padded(factors: np.ndarray, ids: np.ndarray) -> np.ndarray:
    n = max(len(factors), int(ids.max()) + 1)
    return np.concatenate((factors, np.zeros((n - len(factors), factors.shape[1]), np.float32))).astype(np.float32)


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "make":
        make(Path(words[0]), *(int(word) for word in words[1:]))
        print(words[0])
    else:
        print(json.dumps((fit if what == "fit" else judge)(json.loads(words[0]))))
