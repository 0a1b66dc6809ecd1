"""Checks of a built file before it may be the release: by SQL over all its rows, against what the model knows.

The expectations on the lake's table `recommendations` come before (`expectations/recommendations.py`); these look at
the file that readers would open, and know the model: its users, its items, and what each user has seen.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marquee.releases.building import MEMORY, RefusedError
from marquee.releases.churn import Churn, churn
from marquee.releases.files import quoted, release_errors
from marquee.settings import Publish

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from marquee.recommender_files import RecommenderFiles

log = logging.getLogger("marquee")


@dataclass(frozen=True)
class Expected:
    """What the model knows.

    Attributes:
        user_ids, item_ids: string, shapes (n_users,) and (n_items,), in index order.
        n_ratings: int64, shape (n_items,).
        seen_indptr, seen_indices: CSR, int64 (n_users + 1,) and int32: items that each user has seen.
        other_user_ids: users beyond the model's who have lists of their own (cold ones), of which nothing is known.
    """

    user_ids: pa.Array
    item_ids: pa.Array
    n_ratings: npt.NDArray[np.int64]
    seen_indptr: npt.NDArray[np.int64]
    seen_indices: npt.NDArray[np.int32]
    other_user_ids: pa.Array | None = None


@dataclass(frozen=True)
class Check:
    """Something that may not be: a sentence of it, and SQL that gives `example`, a text, for each finding."""

    sentence: str
    findings: str


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        coverage: share of the model's items that are in a list.
        popularity: mean number of ratings of the recommended items, by the mean of the k most rated ones.
        churn: against the release before; None where there is none.
        warnings: what a person should look at, in sentences.
    """

    coverage: float
    popularity: float
    churn: Churn | None
    warnings: tuple[str, ...]


CHECKS = (
    Check(
        "users of the model have no list",
        "SELECT user_id AS example FROM model_users ANTI JOIN lengths USING (user_id)",
    ),
    Check(
        "users are not known to the model",
        """
        SELECT user_id AS example FROM lengths
        ANTI JOIN model_users USING (user_id)
        ANTI JOIN other_users USING (user_id)
        """,
    ),
    Check(
        "items are not known to the model",
        """
        SELECT item_id AS example FROM (SELECT DISTINCT item_id FROM built.recommendations)
        ANTI JOIN model_items USING (item_id)
        """,
    ),
    Check(
        "users have not their k rows",
        """
        SELECT user_id || ' (' || lengths.n || ' rows, ' || due || ' are due)' AS example
        FROM (SELECT user_id, least($k, n_items - n_seen) AS due FROM model_users) AS model_users
        INNER JOIN lengths USING (user_id)
        WHERE lengths.n <> due
        """,
    ),
    Check(
        "users have positions that are not 1, 2, 3 and so on",
        """
        SELECT user_id AS example FROM lengths
        WHERE first_position <> 1 OR last_position <> n OR n_positions <> n
        """,
    ),
    Check("users have an item twice", "SELECT user_id AS example FROM lengths WHERE n_distinct <> n"),
    Check(
        "scores are no finite numbers",
        """
        SELECT user_id || ' (position ' || position || ')' AS example
        FROM built.recommendations WHERE score IS NULL OR NOT isfinite(score)
        """,
    ),
    Check(
        "scores rise along a list",
        """
        SELECT user_id || ' (position ' || position || ')' AS example
        FROM (
            SELECT user_id, position, score, lag(score) OVER (PARTITION BY user_id ORDER BY position) AS score_before
            FROM built.recommendations
        )
        WHERE score > score_before
        """,
    ),
    Check(
        "recommended items were seen by their users",
        """
        SELECT user_id || ' (item ' || item_id || ')' AS example
        FROM built.recommendations
        INNER JOIN model_users USING (user_id)
        INNER JOIN model_items USING (item_id)
        SEMI JOIN seen ON seen.user_index = model_users.user_index AND seen.item_index = model_items.item_index
        """,
    ),
)


def expected_of(files: RecommenderFiles) -> Expected:
    """What the checks need of a model."""
    return Expected(files.user_ids, files.item_ids, files.n_ratings, files.seen_indptr, files.seen_indices)


def check(path: Path, before: Path | None, expected: Expected, rule: Publish, *, is_by_person: bool = False) -> Report:
    """Check a built file.

    Args:
        before: the file of the release that is current; None where there is none, or it is the same.
        is_by_person: a person wants it: however much it differs from the release before, that is only warned of.

    Returns:
        What was measured; warnings are logged too.

    Raises:
        RefusedError: what is wrong, with counts and an example each.
        ReleaseError: a file can't be read.
    """
    import duckdb

    config = {"memory_limit": MEMORY, "temp_directory": f"{path}.checks.tmp", "autoinstall_known_extensions": False}
    with release_errors(f"check {path}"), duckdb.connect(config=config) as connection:
        connection.execute(f"ATTACH {quoted(path)} AS built (READ_ONLY)")
        _prepare(connection, expected)
        k = _value(connection, "SELECT k FROM built.release")
        broken = [said for one in CHECKS if (said := _found(connection, one, k))]
        coverage, popularity = _measured(connection, k)
        broken += _out_of_bounds(connection, coverage, popularity, k, rule)
        found: Churn | None = None
        warnings: list[str] = []
        if before is not None:
            connection.execute(f"ATTACH {quoted(before)} AS before (READ_ONLY)")
            k_of_both = min(k, _value(connection, "SELECT k FROM before.release"))
            found = churn(connection, "before.recommendations", "built.recommendations", k_of_both)
            too_much, warnings = judged(found, rule)
            if is_by_person:
                warnings += too_much
            else:
                broken += too_much
        release_id = _value(connection, "SELECT release_id FROM built.release")
    if broken:
        raise RefusedError(
            f"Release {release_id} is not published, and the current one stays: {'; '.join(broken)}. Train or score "
            "again, and publish that."
        )
    for sentence in warnings:
        log.warning("Release %s: %s", release_id, sentence)
    return Report(coverage, popularity, found, tuple(warnings))


def judged(found: Churn, rule: Publish) -> tuple[list[str], list[str]]:
    """What is too much of a change, and what is only warned of."""
    if found.jaccard is None or found.rbo is None:
        return [], []
    too_much, warnings = [], []
    for name, value, stop, warn in (
        ("Jaccard", found.jaccard, rule.stop_jaccard, rule.warn_jaccard),
        ("rank-biased overlap", found.rbo, rule.stop_rbo, rule.warn_rbo),
    ):
        said = f"its lists have a mean {name} of {value:.4f} with those of the current release, where"
        setting = "jaccard" if name == "Jaccard" else "rbo"
        if value < stop:
            too_much.append(
                f"{said} {stop:g} is asked for (publish.stop_{setting}; by a person's word it may: marquee publish "
                '--model-version N --why "...")'
            )
        elif value < warn:
            warnings.append(f"{said} less than {warn:g} is worth a look (publish.warn_{setting})")
    return too_much, warnings


def _prepare(connection: duckdb.DuckDBPyConnection, expected: Expected) -> None:
    """Tables of what the model knows, and a row a list."""
    import numpy as np
    import pyarrow as pa

    n_users, n_items = len(expected.user_ids), len(expected.item_ids)
    n_seen = np.diff(expected.seen_indptr)
    users = {"user_id": expected.user_ids, "user_index": np.arange(n_users), "n_seen": n_seen}
    items = {"item_id": expected.item_ids, "item_index": np.arange(n_items), "n_ratings": expected.n_ratings}
    others = pa.array([], pa.string()) if expected.other_user_ids is None else expected.other_user_ids
    seen = {"user_index": np.repeat(np.arange(n_users), n_seen), "item_index": expected.seen_indices}
    for name, columns in (("users", users), ("items", items), ("seen", seen), ("others", {"user_id": others})):
        connection.register(f"given_{name}", pa.table(columns))
    connection.execute(
        """
        CREATE TEMP TABLE model_items AS FROM given_items;
        CREATE TEMP VIEW seen AS FROM given_seen;
        CREATE TEMP VIEW other_users AS FROM given_others;
        CREATE TEMP TABLE model_users AS
        SELECT *, (SELECT count(*) FROM model_items) AS n_items FROM given_users;
        CREATE TEMP TABLE lengths AS
        SELECT
            user_id,
            count(*) AS n,
            count(DISTINCT item_id) AS n_distinct,
            count(DISTINCT position) AS n_positions,
            min(position) AS first_position,
            max(position) AS last_position
        FROM built.recommendations
        GROUP BY user_id;
        """
    )


def _found(connection: duckdb.DuckDBPyConnection, one: Check, k: int) -> str:
    given = {"k": k} if "$k" in one.findings else {}
    row = connection.execute(f"SELECT count(*), min(example) FROM ({one.findings})", given).fetchone()  # noqa: S608
    n, example = row or (0, "")
    return f"{n:,} {one.sentence}, as {example}" if n else ""


def _measured(connection: duckdb.DuckDBPyConnection, k: int) -> tuple[float, float]:
    """Coverage, and mean popularity."""
    row = connection.execute(
        """
        WITH recommended AS (
            SELECT item_id, count(*) AS n FROM built.recommendations GROUP BY item_id
        ),

        top AS (
            SELECT avg(n_ratings) AS n_ratings
            FROM (SELECT n_ratings FROM model_items ORDER BY n_ratings DESC LIMIT $k)
        )

        SELECT
            count(*) / (SELECT count(*) FROM model_items),
            coalesce(sum(n * n_ratings) / sum(n) / nullif((SELECT n_ratings FROM top), 0), 0)
        FROM recommended
        INNER JOIN model_items USING (item_id)
        """,
        {"k": k},
    ).fetchone()
    return (float(row[0]), float(row[1])) if row else (0.0, 0.0)


def _out_of_bounds(
    connection: duckdb.DuckDBPyConnection, coverage: float, popularity: float, k: int, rule: Publish
) -> list[str]:
    n_places, n_items = (
        _value(connection, f"SELECT count(*) FROM {table}")  # noqa: S608 - names of ours
        for table in ("built.recommendations", "model_items")
    )
    asked = rule.min_coverage * min(1.0, n_places / n_items)
    said = []
    if coverage < asked:
        said.append(
            f"its lists hold {coverage:.2%} of the items, where {asked:.2%} is asked for (publish.min_coverage)"
        )
    if popularity > rule.max_popularity:
        said.append(
            f"its items have {popularity:.0%} of the ratings of the {k} most popular ones, where "
            f"{rule.max_popularity:.0%} is allowed (publish.max_popularity)"
        )
    return said


def _value(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - queries of ours that give a row
    return row[0]
