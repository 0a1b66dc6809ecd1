"""How much the lists of two releases differ: mean Jaccard@k, and mean rank-biased overlap, over the users of both.

    Jaccard@k   |A and B| / |A or B| of the two lists as sets
    RBO         X_k / k * p^k + (1 - p) / p * sum over d = 1..k of X_d / d * p^d,
                X_d: items that are among the first d of both; 1: the same list, 0: nothing in common

An item that both lists have, at places a and b, is in X_d for each d from max(a, b) on. So the sum over depths is one
over common items, of tail(max(a, b)) with tail(m) = sum over d = m..k of p^d / d.

Source: Webber, Moffat and Zobel, "A similarity measure for indefinite rankings", ACM TOIS 28(4), 2010 (RBO_EXT, lists
of equal length; of unequal ones k is the longer one's).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

#: Weight of the next place against the one before it: the first 10 places have 86 % of it all.
P = 0.9


@dataclass(frozen=True)
class Churn:
    """Means over the users of both releases; None where there are none, or there is no release before."""

    jaccard: float | None
    rbo: float | None
    n_users: int


def churn(connection: duckdb.DuckDBPyConnection, before: str, now: str, k: int) -> Churn:
    """Compare two tables of recommendations that the connection sees, in the first k places of each list.

    Args:
        before, now: their names, as "before.recommendations".
        k: at least 1.
    """
    sums = [0.0, *accumulate(P**depth / depth for depth in range(1, k + 1))]
    row = connection.execute(
        f"""
        WITH depths AS (
            SELECT unnest(range(len($sums))) AS depth, unnest($sums) AS weight
        ),

        lengths AS (
            SELECT user_id, before.n AS n_before, now.n AS n_now, greatest(before.n, now.n) AS k
            FROM (SELECT user_id, count(*) AS n FROM {before} WHERE position <= $k GROUP BY user_id) AS before
            INNER JOIN (SELECT user_id, count(*) AS n FROM {now} WHERE position <= $k GROUP BY user_id) AS now
                USING (user_id)
        ),

        common AS (
            SELECT now.user_id, count(*) AS n, sum(depths.weight) AS weight_before
            FROM {now} AS now
            INNER JOIN {before} AS before
                ON before.user_id = now.user_id AND before.item_id = now.item_id
            INNER JOIN depths ON depths.depth = greatest(before.position, now.position) - 1
            WHERE now.position <= $k AND before.position <= $k
            GROUP BY now.user_id
        ),

        by_user AS (
            SELECT
                coalesce(common.n, 0) / (n_before + n_now - coalesce(common.n, 0)) AS jaccard,
                coalesce(
                    common.n / lengths.k * pow($p, lengths.k)
                    + (1 - $p) / $p * (common.n * depths.weight - common.weight_before),
                    0
                ) AS rbo
            FROM lengths
            INNER JOIN depths ON depths.depth = lengths.k
            LEFT JOIN common ON common.user_id = lengths.user_id
        )

        SELECT avg(jaccard), avg(rbo), count(*) FROM by_user
        """,  # noqa: S608 - names of attached tables, no input
        {"sums": sums, "k": k, "p": P},
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return Churn(*row)
