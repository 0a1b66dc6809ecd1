"""Look-ups in a release while releases switch every second, beside SQLite and Parquet with the same questions.

    python -m benchmarks.serving
    python -m benchmarks.serving --users 1e5 --prefix customer-0000-

Lists are generated (seeded, not timed): k rows a user with titles, scores, and three reasons each. Two releases of them
are built by the SQL that publishing runs; `build_s` is the slower one, `bytes_per_row` the whole file by the rows of
recommendations. A question is one user's list, by `marquee.Recommendations`; rivals give the same rows as tuples.

`p50_ms` and `p99_ms` are warm, of 8 processes that ask 20 questions a second each, as applications do; `switching` is
the same while the link moves to the other release every second, so that of 20 questions of a process one opens a file,
and those after it find nothing of it unpacked. An answer is an error where it raises or is not of one release only, and
stale where its release had not been current for more than a second when the question was put. `one` is one process that
asks as fast as it can; `cold_ms` is the first question of a new process whose file is not in memory, opening included.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.process_tree import PeakMemory

SEED, ITEMS, REASONS, USERS_AT_ONCE = 1, 27_000, 3, 65_536
COLUMNS = ("user_id", "position", "item_id", "title", "score", "source", "because")
#: Their rows tell by `source` which release they are of.
RELEASES = ("release-a", "release-b")
WORDS = "Last First Great Dark Night Day Love War House Man Woman City River Dream Secret Lost Return King Queen Road"

Rows = list[tuple[Any, ...]]
Ask = Callable[[str], Rows]


def main(argv: list[str]) -> int:
    given = arguments().parse_args(argv)
    # No installation is at work: memory is that of this process and its readers.
    with (
        tempfile.TemporaryDirectory(prefix="marquee-serving-", dir=given.folder) as folder,
        PeakMemory(Path(folder), with_own_tree=True) as peak,
    ):
        told = figures(Path(folder), given)
    print(json.dumps({**told, "peak_rss_mb": round(peak.rss_mb)}))
    return 0


def figures(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Build everything, and ask each store."""
    n_users = int(given.users)
    n_rows = n_users * given.k
    users = [f"{given.prefix}{number}" for number in random.Random(SEED).sample(range(n_users), min(n_users, 20_000))]
    build_s = max(built(folder, name, n_users, given.k, given.prefix) for name in RELEASES)
    file = folder / "releases" / f"{RELEASES[0]}.duckdb"
    sizes = {"marquee": file.stat().st_size / n_rows}
    say(f"built in {build_s:.1f} s, {sizes['marquee']:.1f} bytes a row")
    seconds = {"sqlite": to_sqlite(file, folder), "parquet": to_parquet(file, folder)}
    sizes |= {name: (folder / f"lists.{name}").stat().st_size / n_rows for name in seconds}
    return {
        "users": n_users,
        "k": given.k,
        "build_s": round(build_s, 1),
        "bytes_per_row": round(sizes["marquee"], 1),
        **measured("marquee", folder, users, given),
        "readers": given.readers,
        "questions_per_s": given.rate,
        "rivals": {
            name: {
                "build_s": round(seconds[name], 1),
                "bytes_per_row": round(sizes[name], 1),
                **measured(name, folder, users, given),
            }
            for name in seconds
        },
    }


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--users", type=float, default=1e6)
    parser.add_argument("--k", type=int, default=10, help="rows of a user")
    parser.add_argument("--prefix", default="", help="what all user ids begin with")
    parser.add_argument("--readers", type=int, default=8, help="processes that ask at once")
    parser.add_argument("--rate", type=float, default=20.0, help="questions a second of each of them")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long they ask")
    parser.add_argument("--questions", type=int, default=3000, help="of the one process that asks as fast as it can")
    parser.add_argument("--cold", type=int, default=5, help="new processes whose first question is measured")
    parser.add_argument("--warm", type=int, default=1000, help="questions of each reader that are not counted")
    parser.add_argument("--folder", help="where files are made; by default the system's folder for temporary ones")
    return parser


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def built(folder: Path, release_id: str, n_users: int, k: int, prefix: str) -> float:
    """Build a release and make it current; the seconds that building took, the generator's own left out."""
    from marquee import releases

    say(f"building {release_id}")
    source = folder / "generated.parquet"
    generated(source, release_id, n_users, k, prefix)
    begin = time.perf_counter()
    releases.build(folder, release_id, inputs(source, release_id, n_users, k))
    seconds = time.perf_counter() - begin
    releases.switch(folder, release_id)
    source.unlink()
    return seconds


def generated(file: Path, release_id: str, n_users: int, k: int, prefix: str) -> None:
    """Lists in no order of the users; items are chosen by popularity."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from expectations.contracts import RECOMMENDATIONS
    from expectations.schema import arrow_schema

    rng, schema = np.random.default_rng(SEED), arrow_schema(RECOMMENDATIONS)
    item_ids, titles = (pa.array(values) for values in catalogue())

    def drawn(n: int) -> Any:
        return pa.array(np.minimum(rng.pareto(0.8, n) * 20, ITEMS - 1).astype(np.int64))

    everybody = rng.permutation(n_users)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, n_users, USERS_AT_ONCE):
            users = everybody[start : start + USERS_AT_ONCE]
            n = len(users) * k
            items, told = drawn(n), drawn(n * REASONS)
            shares = np.sort(rng.random((n, REASONS)) / REASONS)[:, ::-1].round(4).ravel()
            reasons = pa.StructArray.from_arrays(
                [item_ids.take(told), titles.take(told), pa.array(shares)], ["item_id", "title", "share"]
            )
            columns = {
                "user_id": pa.array([f"{prefix}{user}" for user in np.repeat(users, k)]),
                "position": pa.array(np.tile(np.arange(1, k + 1), len(users))),
                "item_id": item_ids.take(items),
                "title": titles.take(items),
                # Scores come from float32 factors.
                "score": pa.array(np.sort(rng.random((len(users), k), np.float32))[:, ::-1].ravel().astype(float)),
                "source": pa.repeat(pa.scalar(release_id), n),
                "because": pa.ListArray.from_arrays(
                    pa.array(np.arange(0, (n + 1) * REASONS, REASONS, dtype=np.int32)), reasons
                ),
            }
            writer.write_table(pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema))


def catalogue() -> tuple[list[str], list[str]]:
    """Ids and titles of the items."""
    draw, words = random.Random(SEED), WORDS.split()
    ids = [str(number) for number in draw.sample(range(ITEMS * 7), ITEMS)]
    return ids, [f"{' '.join(draw.choices(words, k=draw.randint(2, 5)))} ({draw.randint(1930, 2026)})" for _ in ids]


def inputs(source: Path, release_id: str, n_users: int, k: int) -> dict[str, Any]:
    """What a release is built from: the lists, the catalogue and the users; the other tables have no rows here."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from expectations.contracts import TABLES
    from expectations.schema import arrow_schema

    ids, titles = catalogue()

    def of(table: str, columns: dict[str, Any] | None = None) -> Any:
        schema = arrow_schema(TABLES[table])
        return schema.empty_table() if columns is None else pa.table(columns).select(schema.names).cast(schema)

    n = len(ids)
    items = {
        "item_id": ids, "title": titles, "genres": [["Drama"]] * n, "is_listed": [True] * n,
        "source_sha256": ["0" * 64] * n, "source_file": ["items.csv"] * n, "source_line": list(range(2, n + 2)),
    }  # fmt: skip
    counts = pa.table({"item_id": ids, "n_ratings": list(range(n, 0, -1)), "n_recent": list(range(n))})
    about = {
        "model_name": "marquee", "model_version": "1", "mlflow_run_id": "", "release_id": release_id,
        "created_at": "2026-01-01T00:00:00+00:00", "trained_at": None, "ratings_version": 0, "items_version": 0,
        "recommendations_version": 0, "raw_sha256": ["0" * 64], "ingest_run_ids": [""], "train_run_id": "",
        "publish_run_id": "", "is_generated": True, "k": k, "marquee_version": "", "code_sha256": "",
    }  # fmt: skip

    def lists() -> Iterator[Any]:
        with pq.ParquetFile(source) as file:
            yield from file.iter_batches()

    with pq.ParquetFile(source) as file:
        everybody = file.read(["user_id"])["user_id"].unique()
    users = {
        "user_id": everybody, "n_ratings": [50] * n_users, "segment": ["medium"] * n_users,
        "is_cold": [False] * n_users,
    }  # fmt: skip
    return {
        "recommendations": lists,
        "items": of("items", items),
        "item_counts": counts,
        "users": pa.table(users),
        "similar_items": of("similar_items").drop_columns(["title"]),
        "clusters": of("clusters"),
        "model_card": pa.Table.from_pylist([{"model_name": "marquee", "model_version": "1", "card": "-"}]),
        "evaluation": of("evaluation"),
        "data_quality": of("data_quality"),
        "release": pa.Table.from_pylist([about]),
    }


def to_sqlite(file: Path, folder: Path) -> float:
    """The table recommendations in SQLite, clustered by user and position; the seconds that it took."""
    import duckdb

    say("building the table in SQLite")
    begin = time.perf_counter()
    with duckdb.connect(str(file), read_only=True) as source, sqlite3.connect(folder / "lists.sqlite") as target:
        target.execute(
            "CREATE TABLE recommendations (user_id TEXT, position INTEGER, item_id TEXT, title TEXT, score REAL, "
            "source TEXT, because TEXT, PRIMARY KEY (user_id, position)) WITHOUT ROWID"
        )
        rows = source.execute("SELECT * REPLACE (to_json(because)::VARCHAR AS because) FROM recommendations")
        while some := rows.fetchmany(100_000):
            target.executemany("INSERT INTO recommendations VALUES (?, ?, ?, ?, ?, ?, ?)", some)
    target.close()
    return time.perf_counter() - begin


def to_parquet(file: Path, folder: Path) -> float:
    """The table recommendations as Parquet, in its order; the seconds that it took."""
    import duckdb

    begin = time.perf_counter()
    with duckdb.connect(str(file), read_only=True) as source:
        options = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480"
        source.execute(f"COPY recommendations TO '{folder / 'lists.parquet'}' ({options})")
    return time.perf_counter() - begin


def asker(name: str, folder: Path) -> Ask:
    """What answers a question by this store, opened."""
    if name == "marquee":
        from marquee import Recommendations

        recommendations = Recommendations(folder)
        return lambda user: [(each.user_id, each.source) for each in recommendations.for_user(user, 1000)]
    query = f"SELECT {', '.join(COLUMNS)} FROM {{}} WHERE user_id = ? ORDER BY position"  # noqa: S608
    if name == "sqlite":
        database = sqlite3.connect(f"file:{folder / 'lists.sqlite'}?mode=ro", uri=True)

        def by_sqlite(user: str) -> Rows:
            rows = database.execute(query.format("recommendations"), [user]).fetchall()
            return [(row[0], row[5], json.loads(row[6])) for row in rows]

        return by_sqlite
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    return lambda user: [
        (row[0], row[5]) for row in connection.execute(query.format(f"'{folder / 'lists.parquet'}'"), [user]).fetchall()
    ]


def measured(name: str, folder: Path, users: list[str], given: argparse.Namespace) -> dict[str, Any]:
    """The figures of one store."""
    say(f"asking {name}")
    fresh = multiprocessing.get_context("spawn")
    with fresh.Pool(1, maxtasksperchild=1) as pool:
        cold = [pool.apply(first_question, (name, folder, user)) for user in users[: given.cold]]
        alone = pool.apply(as_fast_as_it_can, (name, folder, users[: given.questions]))
    together = many_readers(name, folder, users, given, is_switching=False)
    told: dict[str, Any] = {"p50_ms": quantile(together["ms"], 0.5), "p99_ms": quantile(together["ms"], 0.99)}
    errors, stale, answers = together["errors"], together["stale"], len(together["ms"])
    if name == "marquee":
        switching = many_readers(name, folder, users, given, is_switching=True)
        errors, stale = errors + switching["errors"], stale + switching["stale"]
        told["switching"] = {
            "p50_ms": quantile(switching["ms"], 0.5),
            "p99_ms": quantile(switching["ms"], 0.99),
            "answers": len(switching["ms"]),
        }
    return {
        **told,
        "reader_errors": errors,
        "stale_reads": stale,
        "answers": answers,
        "one": {"p50_ms": quantile(alone, 0.5), "p99_ms": quantile(alone, 0.99)},
        "cold_ms": quantile(cold, 0.5),
    }


def quantile(values: list[float], share: float) -> float:
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 2)


def first_question(name: str, folder: Path, user: str) -> float:
    """Milliseconds of the first answer, the modules imported and the files not in memory."""
    import duckdb  # noqa: F401

    import marquee.recommendations  # noqa: F401

    for file in (*(folder / "releases").glob("*.duckdb"), folder / "lists.sqlite", folder / "lists.parquet"):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    begin = time.perf_counter()
    rows = asker(name, folder)(user)
    seconds = time.perf_counter() - begin
    if not rows:
        raise RuntimeError(f"{name} has no list for user {user}.")
    return seconds * 1e3


def as_fast_as_it_can(name: str, folder: Path, users: list[str]) -> list[float]:
    """Milliseconds of each answer, after as many that are not counted."""
    ask = asker(name, folder)
    for user in users:
        ask(user)
    found = []
    for user in users:
        begin = time.perf_counter()
        ask(user)
        found.append((time.perf_counter() - begin) * 1e3)
    return found


def many_readers(
    name: str, folder: Path, users: list[str], given: argparse.Namespace, *, is_switching: bool
) -> dict[str, Any]:
    """Readers at their rate, while releases switch, or the last one stays."""
    from marquee import releases

    fresh = multiprocessing.get_context("spawn")
    answers, is_over = fresh.SimpleQueue(), fresh.Event()
    is_ready = fresh.Semaphore(0)
    readers = [
        fresh.Process(
            target=read, args=(name, folder, users, given.warm, given.rate, number, is_ready, is_over, answers)
        )
        for number in range(given.readers)
    ]
    for reader in readers:
        reader.start()
    for _ in readers:
        is_ready.acquire()
    # When each release became current, and when another took its place; monotonic clocks of processes are the same one.
    releases.switch(folder, RELEASES[1])
    current = [(time.monotonic(), RELEASES[1])]
    until = time.monotonic() + given.seconds
    while time.monotonic() < until:
        time.sleep(1.0)
        if is_switching:
            following = RELEASES[0] if current[-1][1] == RELEASES[1] else RELEASES[1]
            releases.switch(folder, following)
            current.append((time.monotonic(), following))
    is_over.set()
    told = [answers.get() for _ in readers]
    for reader in readers:
        reader.join()
    found = [answer for one in told for answer in one["answers"]]
    return {
        "ms": [milliseconds for _, milliseconds, _ in found],
        "errors": sum(one["errors"] for one in told),
        "stale": sum(is_stale(asked, release, current) for asked, _, release in found) if name == "marquee" else 0,
    }


def is_stale(asked: float, release: str, current: list[tuple[float, str]]) -> bool:
    """Whether the release had been replaced for more than a second when the question was put."""
    ends = [when for when, _ in current[1:]] + [float("inf")]
    return not any(name == release and asked - 1.0 <= end for (_, name), end in zip(current, ends, strict=True))


def read(
    name: str, folder: Path, users: list[str], warm: int, rate: float, number: int, is_ready: Any, is_over: Any,
    answers: Any,
) -> None:  # fmt: skip
    """Ask at the rate until it is over; an answer is (when it was asked for, milliseconds, release)."""
    ask, draw = asker(name, folder), random.Random(SEED + number)
    for user in users[:warm]:
        ask(user)
    is_ready.release()
    found, errors = [], 0
    asked = time.monotonic() + draw.random() / rate
    while not is_over.is_set():
        time.sleep(max(0.0, asked - time.monotonic()))
        user, begin = draw.choice(users), time.monotonic()
        try:
            rows = ask(user)
            ((_, release),) = {row[:2] for row in rows}
        except Exception as error:
            say(f"reader {number}: {error!r}")
            errors += 1
        else:
            found.append((begin, (time.monotonic() - begin) * 1e3, release))
        asked = max(asked + 1.0 / rate, time.monotonic() - 1.0)
    answers.put({"answers": found, "errors": errors})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
