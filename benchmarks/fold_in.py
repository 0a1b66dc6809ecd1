"""Lists for new users by fold-in, from the model as MLflow keeps it, on one core.

    python -m benchmarks.fold_in
    python -m benchmarks.fold_in --items 1e5 --rank 128

Factors and histories are generated (seeded, not timed). A request is one row of `predict` with some rated items: what
an application sends for one visitor. `one_per_s` are requests with a single user, one after the other; `many_per_s`
are users of requests with 1,000 of them; `solve_per_s` are factors alone, without the list. The medians of three runs;
the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import SimpleNamespace

USERS, RUNS, SEED = 1000, 3, 1


def main(argv: list[str]) -> int:
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # read when numpy is loaded: not before this
        os.environ[name] = "1"
    given = arguments().parse_args(argv)
    items, rank, history = int(given.items), int(given.rank), int(given.history)
    import numpy as np
    import pandas as pd

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="marquee-fold-in-") as name:
        model = loaded(Path(name), items, rank)
        rng = np.random.default_rng(SEED)
        rows = pd.DataFrame(
            {
                "items": [[str(item) for item in rng.choice(items, history, replace=False)] for _ in range(USERS)],
                "ratings": [rng.integers(1, 6, history).astype(float).tolist() for _ in range(USERS)],
            }
        )
        single = [rows.iloc[[row]] for row in range(USERS)]
        columns = [np.sort(rng.choice(items, history, replace=False)) for _ in range(USERS)]
        own = list(zip(columns, rng.integers(1, 6, (USERS, history)).astype(float), strict=True))

        from marquee.factor_model import fold_in

        timed = {
            "one_per_s": per_second(lambda: [model.predict(None, one) for one in single]),
            "many_per_s": per_second(lambda: model.predict(None, rows)),
            "solve_per_s": per_second(lambda: [fold_in(model.model, *one) for one in own]),
        }
    print(json.dumps({"items": items, "rank": rank, "history": history, **timed}))
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fold_in",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=float, default=1e4)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--history", type=int, default=50, help="rated items of a user")
    return parser


def loaded(folder: Path, items: int, rank: int):  # type: ignore[no-untyped-def]
    """A model as MLflow loads it."""
    import numpy as np
    import pyarrow as pa

    from marquee.factor_model import FactorModel
    from marquee.recommender_files import RecommenderFiles

    rng = np.random.default_rng(SEED)
    ids = pa.array([str(item) for item in range(items)])
    RecommenderFiles(
        user_ids=pa.array(["0"]),
        item_ids=ids,
        titles=ids,
        n_ratings=np.ones(items, np.int64),
        user_factors=np.zeros((1, rank), np.float32),
        item_factors=rng.normal(0, 0.1, (items, rank)).astype(np.float32),
        seen_indptr=np.zeros(2, np.int64),
        seen_indices=np.zeros(0, np.int32),
        source="als",
        problem={
            "implicit": True, "regularization": 0.05, "alpha": 1.0, "unobserved_weight": 0.1,
            "regularization_exponent": None,
        },
    ).save(folder)  # fmt: skip
    model = FactorModel()
    model.load_context(SimpleNamespace(artifacts={"recommender": str(folder)}))
    return model


def per_second(work: Callable[[], object]) -> int:
    """Users a second, the median of the runs, after one that is not counted."""
    seconds = []
    for _ in range(RUNS + 1):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return round(USERS / median(seconds[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
