"""Expectations of `recommendations`: the contract, and that the rows of a user are a list."""

from __future__ import annotations

from dataclasses import replace

from expectations.contracts import RECOMMENDATIONS
from expectations.suite import Check, Suite, build

ADVICE = "score again, or train anew, and publish that; the current release stays as it was"

GAPLESS = Check(
    name="n_users_with_gaps",
    sentence="The positions of a user are 1, 2, 3 and so on, without a gap.",
    columns=("user_id", "position"),
    findings="""
        select 'user_id ' || user_id || ': ' || count(*) || ' rows, positions '
            || min(position) || ' to ' || max(position) as example
        from rows
        group by user_id
        having min(position) <> 1 or max(position) <> count(*)
    """,
)

FALLING = Check(
    name="n_rising_scores",
    sentence="Scores do not rise along a user's list.",
    columns=("user_id", "position", "score"),
    findings="""
        with neighbours as (
            select
                user_id,
                position,
                score,
                lag(score) over (partition by user_id order by position, score desc) as score_before
            from rows
        )

        select 'user_id ' || user_id || ', position ' || position || ': ' || score_before || ', then ' || score
            as example
        from neighbours
        where score > score_before
    """,
)


def suite(k: int | None = None) -> Suite:
    """The suite; `k` is the length of every user's list, where it is fixed."""
    columns = [
        replace(column, maximum=k) if column.name == "position" else column for column in RECOMMENDATIONS.columns
    ]
    lengths = () if k is None else (complete(k),)
    return build(RECOMMENDATIONS, columns, checks=(*lengths, GAPLESS, FALLING), advice=ADVICE)


def complete(k: int) -> Check:
    """Every user has exactly k rows."""
    return Check(
        name="n_users_without_k_rows",
        sentence=f"Every user has {k} rows.",
        columns=("user_id",),
        findings=f"""
            select 'user_id ' || user_id || ': ' || count(*) || ' rows' as example
            from rows
            group by user_id
            having count(*) <> {int(k)}
        """,  # noqa: S608 - a number, no input
    )
