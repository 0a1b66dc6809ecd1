"""The models that a training compares, from the form's values and the champion's own configuration."""

from __future__ import annotations

import json
from typing import Any

from marquee.candidates import FLOOR, configured

PARAMS: dict[str, Any] = {
    "feedback": "implicit",
    "ranks": [8, 16],
    "iterations": 10,
    "regularization": 0.05,
    "alpha": 0.3,
    "seed": 42,
    "k": 10,
    "test_share": 0.2,
}


def test_the_floor_and_one_candidate_a_rank() -> None:
    chosen = configured(PARAMS)
    assert chosen[0] == FLOOR
    assert [candidate["name"] for candidate in chosen] == ["popular", "als-implicit-rank-8", "als-implicit-rank-16"]
    assert chosen[1] == {
        "name": "als-implicit-rank-8",
        "model": "als",
        "params": {
            "rank": 8, "iterations": 10, "regularization": 0.05, "implicit": True, "seed": 42, "alpha": 0.3,
        },
    }  # fmt: skip


def test_explicit_feedback_has_no_alpha() -> None:
    (_, candidate) = configured(PARAMS | {"feedback": "explicit", "ranks": [4]})
    assert candidate["name"] == "als-explicit-rank-4"
    assert candidate["params"]["implicit"] is False and "alpha" not in candidate["params"]


def test_the_champions_configuration_is_compared_once() -> None:
    champion = configured(PARAMS | {"ranks": [32]})[1]
    with_it = configured(PARAMS, champion=champion)
    assert with_it[-1] == {**champion, "name": "champion-als-implicit-rank-32"}
    # it keeps that one name when it wins again and again
    assert configured(PARAMS, champion=with_it[-1])[-1]["name"] == "champion-als-implicit-rank-32"
    # and is no further candidate where the form asks for the same, or the floor is the champion
    assert configured(PARAMS, champion=configured(PARAMS)[1]) == configured(PARAMS)
    assert configured(PARAMS, champion=FLOOR) == configured(PARAMS)


def test_a_champion_of_another_name_or_from_json_is_the_same_configuration() -> None:
    champion = json.loads(json.dumps({**configured(PARAMS)[2], "name": "champion-als"}))
    assert configured(PARAMS, champion=champion) == configured(PARAMS)


def test_the_forms_numbers_come_as_json_has_them() -> None:
    # Airflow's form gives 1 where a person writes 1.0: the run's key must not change with it
    assert configured(PARAMS | {"regularization": 1, "alpha": 1}) == configured(
        PARAMS | {"regularization": 1.0, "alpha": 1.0}
    )


def test_the_floor_is_not_changed_by_who_gets_it() -> None:
    configured(PARAMS)
    assert FLOOR == {"name": "popular", "model": "popular", "params": {}}
