"""What a ledger comes to, by eye: each case is a list of actions."""

from __future__ import annotations

from typing import Any

import pytest

from marquee.releases import retention
from marquee.releases.standing import Standing, standing
from tests.marquee.releases import small


def of(actions: str) -> Standing:
    """Sum up actions as "publish r1 v1, rollback r1 v1"."""
    rows: list[dict[str, Any]] = []
    for number, words in enumerate(filter(None, actions.split(", ")), start=1):
        action, release_id, version = [*words.split(), ""][:3]
        rows.append(
            {"sequence": number, "action": action, "release_id": release_id if action != "allow" else "",
             "model_version": version.removeprefix("v") or release_id.removeprefix("v"), "who": "ada", "why": "it lies",
             "at": small.AT}
        )  # fmt: skip
    return standing(rows)


THREE = "publish r1 v1, publish r2 v2, publish r3 v3"


@pytest.mark.parametrize(
    ("actions", "current", "previous", "held"),
    [
        ("", None, None, []),
        ("publish r1 v1", "r1", None, []),
        (THREE, "r3", "r2", []),
        (f"{THREE}, rollback r2 v2", "r2", "r1", ["3"]),
        (f"{THREE}, rollback r1 v1", "r1", None, ["2", "3"]),
        (f"{THREE}, rollback r2 v2, rollback r1 v1", "r1", None, ["2", "3"]),
        (f"{THREE}, rollback r2 v2, publish r4 v4", "r4", "r2", ["3"]),
        (f"{THREE}, rollback r2 v2, rollback r3 v3", "r3", "r2", []),  # and forward again
        (f"{THREE}, rollback r2 v2, allow v3", "r2", "r1", []),
        (f"{THREE}, rollback r2 v2, publish r3 v3", "r3", "r2", []),  # by a person's word
        (f"{THREE}, publish r1 v1", "r1", "r3", []),
        ("publish r1 v1, publish r2 v1, rollback r1 v1", "r1", None, []),  # of the same version, with another k
        (f"{THREE}, remove r2 v2, rollback r1 v1", "r1", None, ["3"]),
    ],
)
def test_which_is_current_and_what_is_held_back(
    actions: str, current: str | None, previous: str | None, held: list[str]
) -> None:
    found = of(actions)
    assert (found.current, found.previous, sorted(found.held_versions)) == (current, previous, held)


def test_a_release_of_a_version_that_stays_is_held_back_by_itself() -> None:
    found = of("publish r1 v1, publish r2 v1, rollback r1 v1")
    assert found.why_held("1") == "" and "rolled back" in found.why_held("1", "r2")
    assert found.why_held("1", "r1") == ""


def test_why_says_who_and_when() -> None:
    assert of(f"{THREE}, rollback r2 v2").why_held("3") == (
        "version 3 of the model was rolled back on 2026-01-02 03:04 by ada (it lies)"
    )


@pytest.mark.parametrize(
    ("actions", "keep", "link", "gone"),
    [
        (THREE, 5, "r3", []),
        (THREE, 1, "r3", ["r1"]),  # the one before the current one stays
        (THREE, 2, "r3", ["r1"]),
        (f"{THREE}, pin r1", 2, "r3", []),
        (f"{THREE}, pin r1, unpin r1", 2, "r3", ["r1"]),
        (THREE, 2, "r1", []),  # what a link leads to stays
        (f"{THREE}, publish r4 v4, rollback r1 v1", 2, "r1", ["r2"]),
        (f"{THREE}, remove r1 v1, publish r4 v4", 2, "r4", ["r2"]),
    ],
)
def test_what_retention_takes(actions: str, keep: int, link: str, gone: list[str]) -> None:
    assert retention.to_go(of(actions), keep, link) == gone
