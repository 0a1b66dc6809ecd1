"""The processes of `benchmarks.topk`.

python -m benchmarks.topk_sides make FOLDER USERS ITEMS RANK SEED     factors and seen items as .npy files
python -m benchmarks.topk_sides SIDE FOLDER K                         one side; JSON as its last line
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from benchmarks.local_spark import local_spark
from benchmarks.process_tree import PeakMemory

SEEN_OF_A_USER = 170
#: Users of the call that comes before the clock: it loads what is compiled, and starts threads.
FIRST_USERS = 200


class Data(NamedTuple):
    """What `make` has made; the names of the files are the fields'."""

    user_factors: np.ndarray
    item_factors: np.ndarray
    seen_indptr: np.ndarray
    seen_indices: np.ndarray

    @property
    def n_users(self) -> int:
        return len(self.user_factors)


def make(folder: Path, users: int, items: int, rank: int, seed: int) -> None:
    """Factors as a fit leaves them, and seen items, few of which are most of what was seen.

    The columns of both sides get smaller from one to the next, as the spectrum of ratings does; the norm of an item
    grows with the log of its popularity, and users like what they have seen better than other items.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    popularity = 1.0 / (rng.permutation(items) + 30.0) ** 0.9
    spectrum = (np.arange(rank) + 1.0) ** -0.4
    norms = 1.0 + 0.25 * np.log(popularity / popularity.min())
    item_factors = rng.standard_normal((items, rank)) * spectrum
    item_factors *= norms[:, np.newaxis] / np.linalg.norm(item_factors, axis=1, keepdims=True)
    counts = np.minimum(np.maximum(1, rng.lognormal(np.log(SEEN_OF_A_USER) - 0.5, 1.0, users)), items / 2).astype(int)
    user = np.repeat(np.arange(users), counts)
    ends = np.cumsum(popularity)
    item = np.searchsorted(ends[:-1], rng.random(len(user)) * ends[-1])
    pair = np.unique(user * items + item)
    user, item = pair // items, pair % items
    indptr = np.concatenate(([0], np.cumsum(np.bincount(user, minlength=users))))
    user_factors = rng.standard_normal((users, rank)) * spectrum
    sums = np.zeros((users, rank))
    for column in range(rank):
        sums[:, column] = np.bincount(user, item_factors[item, column], users)
    user_factors += sums / np.sqrt(np.maximum(1, np.diff(indptr)))[:, np.newaxis]
    user_factors /= np.linalg.norm(user_factors, axis=1, keepdims=True)
    arrays = (user_factors.astype(np.float32), item_factors.astype(np.float32), indptr, item.astype(np.int32))
    for name, array in zip(Data._fields, arrays, strict=True):
        np.save(folder / f"{name}.npy", array)


def load(folder: Path) -> Data:
    return Data(*(np.load(folder / f"{name}.npy") for name in Data._fields))


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = run()
    return time.perf_counter() - begin, result


def ours(folder: Path, k: int) -> dict[str, float]:
    """Marquee's kernel; around it the bare products, so that a machine that is busy is busy for both."""
    data = load(folder)
    import_s, top_k = timed(lambda: __import__("marquee.top_k", fromlist=["top_k"]).top_k)
    first_s, _ = timed(lambda: top_k(data.user_factors[:FIRST_USERS], *data[1:], k))
    product(Data(data.user_factors[:FIRST_USERS], *data[1:]))
    product_s = [timed(lambda: product(data))[0]]
    with PeakMemory(folder, with_own_tree=True) as peak:
        ours_s, _ = timed(lambda: top_k(*data, k))
        peak.sample()
    product_s.append(timed(lambda: product(data))[0])
    numpy_s, _ = timed(lambda: numpy_product(data))
    return {
        "import_s": import_s,
        "first_s": first_s,
        "ours_s": ours_s,
        "product_s": sum(product_s) / 2,
        "numpy_product_s": numpy_s,
        "peak_rss_mb": peak.rss_mb,
    }


def product(data: Data) -> None:
    """All scores in tiles of the kernel's shape, by the same BLAS in the same threads; nothing is done with them."""
    from marquee import top_k as kernel
    from marquee.top_k import blas
    from marquee.top_k.compiled import compiled

    @compiled()
    def block(address, users, items, scores):  # type: ignore[no-untyped-def]
        width = scores.shape[1]
        for first in range(0, len(items), width):
            part = items[first : first + width]
            blas.call_sgemm(
                address, len(part), len(users), users.shape[1], part.ctypes.data, users.ctypes.data,
                scores.ctypes.data, width,
            )  # fmt: skip

    starts, address = itertools.count(0, kernel.USERS_OF_A_BLOCK), blas.sgemm_address()

    def work() -> None:
        scores = np.empty((kernel.USERS_OF_A_BLOCK, kernel.ITEMS_OF_A_TILE), np.float32)
        while (start := next(starts)) < data.n_users:
            block(address, data.user_factors[start : start + kernel.USERS_OF_A_BLOCK], data.item_factors, scores)

    n_threads = os.cpu_count() or 1
    with blas.one_thread(), ThreadPoolExecutor(n_threads) as pool:
        for thread in [pool.submit(work) for _ in range(n_threads)]:
            thread.result()


def numpy_product(data: Data, n_block: int = 512) -> None:
    """The same by numpy: `U_b @ V.T`, whose BLAS has a thread for each core."""
    scores = np.empty((n_block, len(data.item_factors)), np.float32)
    for start in range(0, data.n_users, n_block):
        users = data.user_factors[start : start + n_block]
        np.matmul(users, data.item_factors.T, out=scores[: len(users)])


def implicit_library(folder: Path, k: int) -> dict[str, float]:
    """`implicit.recommend`, with BLAS in one thread, as the library asks for."""
    import scipy.sparse as sp
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    data = load(folder)
    ones = np.ones(len(data.seen_indices), np.float32)
    shape = (data.n_users, len(data.item_factors))
    seen = sp.csr_matrix((ones, data.seen_indices, data.seen_indptr), shape=shape)
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=data.user_factors.shape[1], num_threads=os.cpu_count())
        model.user_factors, model.item_factors = data.user_factors, data.item_factors
        first = np.arange(min(FIRST_USERS, data.n_users))
        model.recommend(first, seen[first], N=k)
        everybody = np.arange(data.n_users)
        with PeakMemory(folder, with_own_tree=True) as peak:
            seconds, _ = timed(lambda: model.recommend(everybody, seen, N=k, filter_already_liked_items=True))
            peak.sample()
    return {"implicit_s": seconds, "peak_rss_mb": peak.rss_mb}


def spark_ml(folder: Path, k: int) -> dict[str, float]:
    """Spark ML's `recommendForAllUsers`, which knows no seen items; its factors are in memory before the clock."""
    from pyspark.ml.recommendation import ALSModel

    data, spark = load(folder), local_spark(folder, memory="4g")
    frames = []
    for factors in (data.user_factors, data.item_factors):
        ends = np.arange(0, factors.size + 1, factors.shape[1], dtype=np.int32)
        lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(factors.ravel()))
        table = pa.table({"id": pa.array(np.arange(len(factors), dtype=np.int32)), "features": lists})
        frames.append(spark.createDataFrame(table).repartition(spark.sparkContext.defaultParallelism).cache())
        frames[-1].count()
    java = spark.sparkContext._jvm.org.apache.spark.ml.recommendation.ALSModel(  # type: ignore[union-attr]
        "benchmark", data.user_factors.shape[1], frames[0]._jdf, frames[1]._jdf
    )
    java.setUserCol("user").setItemCol("item")
    lists = ALSModel(java).recommendForAllUsers(k)
    with PeakMemory(folder, with_own_tree=True) as peak:
        seconds, _ = timed(lambda: lists.write.format("noop").mode("overwrite").save())
    return {"spark_s": seconds, "peak_rss_mb": peak.rss_mb}


def job(folder: Path, k: int) -> dict[str, float]:
    """Marquee's Spark job: `map_lists` from arrays on the driver to rows that nobody keeps, twice in one session."""
    from spark_jobs.interactions import Seen
    from spark_jobs.models.base import Fitted
    from spark_jobs.scoring import map_lists

    data, spark = load(folder), local_spark(folder, memory="4g")
    fitted, seen = Fitted("als", *data[:2]), Seen(*data[2:])

    def to_rows(users: np.ndarray, items: np.ndarray, scores: np.ndarray) -> pa.RecordBatch:
        ends = pa.array(np.arange(0, items.size + 1, k, dtype=np.int32))
        lists = [pa.ListArray.from_arrays(ends, pa.array(array.ravel())) for array in (items, scores)]
        return pa.RecordBatch.from_arrays([pa.array(users, pa.int32()), *lists], names=["user", "items", "scores"])

    def run() -> None:
        ddl = "user int, items array<int>, scores array<double>"
        lists = map_lists(spark, fitted, seen, np.arange(data.n_users), k, to_rows, ddl)
        lists.write.format("noop").mode("overwrite").save()

    with PeakMemory(folder, with_own_tree=True) as peak:
        cold_s, _ = timed(run)
        warm_s, _ = timed(run)
    return {"job_cold_s": cold_s, "job_s": warm_s, "peak_rss_mb": peak.rss_mb}


SIDES: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "ours": ours,
    "job": job,
    "spark": spark_ml,
    "implicit": implicit_library,
}

if __name__ == "__main__":
    what, where, *numbers = sys.argv[1:]
    if what == "make":
        make(Path(where), *(int(number) for number in numbers))
    else:
        print(json.dumps(SIDES[what](Path(where), int(numbers[0]))))
