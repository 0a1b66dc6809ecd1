"""The gate promotes what is better, and nothing that is worse, lucky, leaking, or breaks a guard."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from marquee.errors import TrainingError
from marquee.gate import Contender, Decision, decide, failed, table
from marquee.settings import Gate

RULE = Gate(resamples=1000)
N, K, BORDER = 600, 10, 1_000_000
RNG = np.random.default_rng(0)
HARD = RNG.beta(1.0, 4.0, N)  # what a user's figure is, whatever the model


def contender(name: str, values: np.ndarray, **more: Any) -> Contender:
    """A candidate with these figures of the users, which breaks no guard unless told to."""
    n = len(values)
    columns = {
        "segment": np.array(["light", "medium", "heavy"])[np.arange(n) % 3],
        "ndcg_at_10": values,
        "auc": np.full(n, more.pop("auc", 0.9)),
        "auc_known": np.full(n, 0.98),
    }
    figures = {"coverage_at_10": 0.3, "model_mb": 5.0, "cold_lists": 1.0, "last_trained_at": BORDER - 1.0}
    figures |= {"ndcg_at_10": float(np.nanmean(values))} | more.pop("figures", {})
    return Contender(name, f"run of {name}", pa.table(columns), figures, **more)


def noisy(gain: float, seed: int, n: int = N) -> np.ndarray:
    """The users' figures under a model that is better by `gain` on the average."""
    return np.clip(HARD[:n] + gain + np.random.default_rng(seed).normal(0, 0.1, n), 0, 1)


FLOOR = contender("popular", noisy(0.0, 1), is_floor=True)
CHAMPION = contender("champion-als", noisy(0.08, 2), is_champion=True)


def decided(*others: Contender, champion: Contender | None = CHAMPION, rule: Gate = RULE, **more: Any) -> Decision:
    contenders = [FLOOR, *([champion] if champion else []), *others]
    return decide(
        contenders, k=K, border=BORDER, rule=rule, has_champion=more.pop("has_champion", champion is not None)
    )


def test_a_truly_better_one_becomes_champion() -> None:
    made = decided(contender("worse", noisy(0.05, 3)), contender("better", noisy(0.13, 4)))
    assert (made.action, made.name, made.run_id) == ("promote", "better", "run of better")
    assert made.reason.startswith("better is the champion: ") and "beats the champion" in made.reason
    assert made.verdicts[0].beyond_champion is not None and made.verdicts[0].beyond_champion.low > 0
    assert made.challenger == "champion-als"
    assert [one.name for one in made.verdicts] == ["better", "champion-als", "worse", "popular"]


def test_a_worse_one_stays_challenger_and_the_champion_is_refreshed() -> None:
    made = decided(contender("worse", noisy(0.03, 3)))
    assert (made.action, made.name, made.challenger) == ("refresh", "champion-als", "worse")
    assert "is not shown to beat the champion" in made.verdicts[1].reason and not made.verdicts[1].passes


def test_the_first_model_needs_only_beat_the_floor() -> None:
    made = decided(contender("als", noisy(0.05, 3)), champion=None)
    assert (made.action, made.name) == ("promote", "als")
    assert made.verdicts[0].beyond_champion is None


def test_where_none_beats_the_floor_the_floor_is_the_first_champion() -> None:
    made = decided(contender("als", noisy(-0.01, 3)), champion=None)
    assert (made.action, made.name, made.run_id, made.challenger) == ("floor", "popular", "run of popular", "als")
    assert (
        made.reason.startswith("The popularity floor (") and "is not shown to beat the popularity floor" in made.reason
    )


def test_a_champion_that_no_longer_beats_the_floor_is_kept_and_not_refreshed() -> None:
    stale = contender("champion-als", noisy(-0.02, 2), is_champion=True)
    made = decided(champion=stale)
    assert (made.action, made.name, made.run_id) == ("keep", "", "")
    assert "The champion stays as it is" in made.reason


def test_a_champion_that_no_longer_loads_is_replaced_by_what_beats_the_floor() -> None:
    made = decided(contender("als", noisy(0.05, 3)), champion=None, has_champion=True)
    assert (made.action, made.name) == ("promote", "als")
    assert decided(contender("als", noisy(-0.05, 3)), champion=None, has_champion=True).action == "keep"


@pytest.mark.parametrize("n_candidates", [1, 4])
def test_one_that_wins_by_noise_is_rarely_promoted(n_candidates: int) -> None:
    """200 trainings whose candidates are as good as the champion, apart from luck: 5 % and its own error at most."""
    promoted = 0
    for training in range(200):
        seeds = np.random.default_rng(1000 + training).integers(0, 2**31, n_candidates + 1)
        champion = contender("champion-als", noisy(0.08, int(seeds[0])), is_champion=True)
        others = [contender(f"als-{n}", noisy(0.08, int(seed))) for n, seed in enumerate(seeds[1:])]
        promoted += decided(*others, champion=champion, rule=Gate(resamples=400)).action == "promote"
    assert promoted / 200 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)


def test_a_margin_lets_one_in_that_is_no_worse() -> None:
    equal = contender("equal", noisy(0.08, 5))
    assert decided(equal).action == "refresh"
    made = decided(equal, rule=Gate(margin=0.02))
    assert made.action == "promote"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"auc": 0.99}, "it ranks held-out items as high as those that it has learned from"),
        ({"figures": {"last_trained_at": float(BORDER)}}, "it has learned from ratings of the test side"),
        ({"figures": {"coverage_at_10": 0.001}}, "its lists hold 0.10% of the catalogue, where 1.00% is asked for"),
        ({"figures": {"coverage_at_10": math.nan}}, "gate.min_coverage"),
        ({"figures": {"model_mb": 5000.0}}, "it has 5,000 MB, where 4,000 are allowed"),
        ({"figures": {"cold_lists": 0.9}}, "10.00% of the users whom it does not know get no full list of 10 items"),
    ],
)
def test_a_guard_that_is_broken_refuses_the_best(change: dict[str, Any], said: str) -> None:
    made = decided(contender("better", noisy(0.3, 4), **change))
    assert made.action == "refresh" and made.challenger == "better"
    (words,) = made.verdicts[0].broken
    assert said in words and f"guard broken: {words}" in made.verdicts[0].reason


def test_of_a_model_of_ratings_less_is_asked() -> None:
    near = {"auc": 0.979}  # a ratio of 1.05
    assert decided(contender("better", noisy(0.3, 4), **near)).verdicts[0].broken
    assert not decided(contender("better", noisy(0.3, 4), figures={"rmse": 0.9}, **near)).verdicts[0].broken
    leaking = decided(contender("better", noisy(0.3, 4), figures={"rmse": 0.9}, auc=0.99)).verdicts[0]
    assert "it seems to have seen the test side" in leaking.broken[0]


def test_few_lists_can_t_be_asked_for_much_of_a_large_catalogue() -> None:
    few = {"coverage_at_10": 0.005, "train_items": 400_000.0}  # 600 users have 6,000 places: 1.5 % of the items
    assert decided(contender("better", noisy(0.3, 4), figures=few)).action == "promote"
    narrow = decided(contender("better", noisy(0.3, 4), figures=few | {"coverage_at_10": 0.00005}))
    assert "0.01% is asked for" in narrow.verdicts[0].broken[0]


def test_the_champion_s_own_configuration_is_no_challenger() -> None:
    kept = decided(champion=contender("champion-als", noisy(-0.05, 2), is_champion=True), has_champion=True)
    assert (kept.action, kept.challenger) == ("keep", "")


def test_a_segment_that_loses_refuses_and_scores_that_are_no_numbers_too() -> None:
    values = noisy(0.3, 4)
    values[::3] = CHAMPION.values("ndcg_at_10")[::3] * 0.7
    (words,) = decided(contender("better", values)).verdicts[0].broken
    assert words.startswith("light users lose 30% of ndcg_at_10 against champion-als")
    values = noisy(0.3, 4)
    values[5] = math.nan
    (words,) = decided(contender("better", values)).verdicts[0].broken
    assert words == "1 judged users have no ndcg_at_10 (scores that are no numbers)"


def test_a_candidate_that_failed_is_told_and_the_others_go_on() -> None:
    made = decided(failed("late", "its task timed out after 3 h"), contender("better", noisy(0.13, 4)))
    assert (made.action, made.name) == ("promote", "better")
    late = next(one for one in made.verdicts if one.name == "late")
    assert late.reason == "not judged: its task timed out after 3 h" and not late.passes
    assert made.challenger == "champion-als", "one without a run can't be challenger"


def test_without_a_floor_nothing_is_decided() -> None:
    for contenders in ([], [CHAMPION], [failed("popular", "out of memory", is_floor=True)]):
        with pytest.raises(TrainingError, match=r"The popularity floor has no ndcg_at_10.* read the log of its task"):
            decide(contenders, k=K, border=BORDER, rule=RULE, has_champion=False)


def test_too_few_users_promote_nobody() -> None:
    one = contender("als", np.array([0.9]))
    floor = contender("popular", np.array([0.1]), is_floor=True)
    made = decide([floor, one], k=K, border=BORDER, rule=RULE, has_champion=False)
    assert made.action == "floor" and "too few users to compare" in made.reason


def test_the_same_numbers_make_the_same_decision_and_it_is_plain_json() -> None:
    others = [contender("a", noisy(0.13, 4)), failed("b", "")]
    one, again = (decided(*others).told() for _ in range(2))
    assert json.loads(json.dumps(one, allow_nan=False)) == one == again
    assert one["verdicts"][-2]["name"] in ("popular", "b") and one["n_users"] == N


def test_the_table_by_eye() -> None:
    lines = table([FLOOR, failed("late", "timed out"), contender("better", noisy(0.13, 4))], K).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["better", "popular", "late"]
    assert lines[3].endswith("timed out") and lines[0].split()[0] == "ndcg_at_10"
