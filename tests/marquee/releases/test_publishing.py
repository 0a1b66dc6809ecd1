"""Publish, roll back, keep and remove: on a real S3 server and a real MLflow server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marquee import registry, releases
from marquee.errors import RegistryError, ReleaseError
from marquee.gate import record
from marquee.lake.objects import Lake
from marquee.releases import following, ledger, remote, rollback, standing
from marquee.releases.building import RefusedError
from tests.marquee.releases import small


def agreed(lake: Lake, folder: Path, model: str) -> tuple[str | None, str | None]:
    """The release and the champion, once ledger, link and the release's own table are seen to agree."""
    state = standing.standing(ledger.read(lake))
    assert releases.current(folder) == state.current
    with releases.connect(folder) as reader:
        assert reader.execute("SELECT release_id FROM release").fetchone() == (state.current,)
    return state.current, registry.champion(model)


def publish(lake: Lake, folder: Path, model: str, *names: str, **options: Any) -> None:
    """Publish "r1" as a release of version 1, and so on."""
    for name in names:
        small.publish(lake, folder, small.release(name, name[1:], model), **options)


def roll_back(lake: Lake, folder: Path, release_id: str = "", action: str = "back", why: str = "it lies") -> Any:
    return rollback.rollback(lake, folder, release_id=release_id, asked=small.asked(action, why))


def test_a_release_is_recorded_copied_and_switched_to(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    first = small.publish(fresh_lake, tmp_path, small.release("r1", "1", model))
    assert agreed(fresh_lake, tmp_path, model) == ("r1", "1")
    second = small.publish(fresh_lake, tmp_path, small.release("r2", "2", model), shift=1)
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2"), "alias and tables go together"
    assert remote.ids(fresh_lake) == ["r1", "r2"]
    assert first.row is not None and second.row is not None
    assert (first.row["jaccard"], first.row["rbo"]) == (None, None)
    assert second.row["previous_release_id"] == "r1" and second.row["jaccard"] == 0.5 and 0 < second.row["rbo"] < 1
    assert [(row["sequence"], row["action"], row["fence"]) for row in ledger.read(fresh_lake)] == [
        (1, "publish", 1),
        (2, "publish", 2),
    ]


def test_the_same_content_twice_is_one_release(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    publish(fresh_lake, tmp_path, model, "r1")
    before = releases.path_of(tmp_path, "r1").stat()
    again = small.publish(fresh_lake, tmp_path, small.release("r1", "1", model), action="another run")
    assert again.row is None and len(ledger.read(fresh_lake)) == 1
    assert releases.path_of(tmp_path, "r1").stat().st_mtime_ns == before.st_mtime_ns


def test_a_failed_check_leaves_the_old_release(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    publish(fresh_lake, tmp_path, model, "r1")
    broken = {**small.lists(), "u0": ["i0", "i1", "i2"]}
    with pytest.raises(RefusedError, match=r"recommended items were seen by their users, as u0 \(item i0\)"):
        publish(fresh_lake, tmp_path, model, "r2", tables=lambda: small.inputs("r2", broken))
    assert agreed(fresh_lake, tmp_path, model) == ("r1", "1")
    assert (tmp_path / "releases" / "rejected" / "r2.duckdb").is_file() and remote.ids(fresh_lake) == ["r1"]
    publish(fresh_lake, tmp_path, model, "r2")
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")


def test_too_much_churn_needs_a_person(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    publish(fresh_lake, tmp_path, model, "r1")
    with pytest.raises(RefusedError, match=r"mean Jaccard of 0.0000 .* by a person's word"):
        publish(fresh_lake, tmp_path, model, "r2", shift=4)
    done = small.publish(fresh_lake, tmp_path, small.release("r2", "2", model, is_by_person=True), shift=4)
    assert done.report is not None and len(done.report.warnings) == 2
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")


def test_alias_and_tables_go_back_together(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    publish(fresh_lake, tmp_path, model, "r1", "r2", "r3")
    row = roll_back(fresh_lake, tmp_path)
    assert (row["release_id"], row["previous_release_id"], row["who"], row["why"]) == ("r2", "r3", "ada", "it lies")
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")
    assert roll_back(fresh_lake, tmp_path)["sequence"] == row["sequence"], "the same action is not done twice"
    roll_back(fresh_lake, tmp_path, "r1", "further")
    assert agreed(fresh_lake, tmp_path, model) == ("r1", "1")


def test_what_was_rolled_back_comes_back_by_a_person_only(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    publish(fresh_lake, tmp_path, model, "r1", "r2")
    roll_back(fresh_lake, tmp_path)
    assert standing.is_held_back(fresh_lake, "2") and not standing.is_held_back(fresh_lake, "1")
    said = r"version 2 of the model was rolled back on 2026-01-02 03:04 by ada \(it lies\)\. A person may let it go"
    with pytest.raises(ReleaseError, match=said) as told:
        publish(fresh_lake, tmp_path, model, "r2", action="the schedule")
    assert not told.value.is_transient
    assert agreed(fresh_lake, tmp_path, model) == ("r1", "1")
    person = small.release("r2", "2", model, is_by_person=True)
    small.publish(fresh_lake, tmp_path, person, action="ada again", why="it was the data")
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")
    assert not standing.is_held_back(fresh_lake, "2")
    roll_back(fresh_lake, tmp_path, action="back again")
    rollback.allow(fresh_lake, "2", asked=small.asked("promote", "mended"))
    publish(fresh_lake, tmp_path, model, "r2", action="the schedule again")
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")


def test_a_retry_of_an_old_publish_does_not_undo_a_rollback(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    publish(fresh_lake, tmp_path, model, "r1", "r2")
    roll_back(fresh_lake, tmp_path)
    publish(fresh_lake, tmp_path, model, "r2")  # the same action_id as before
    assert agreed(fresh_lake, tmp_path, model) == ("r1", "1")


@pytest.mark.parametrize(
    ("release_id", "why", "said"),
    [
        ("", "it lies", "There is no release before the current one"),
        ("r9", "it lies", "Can't go to release r9: it was never published"),
        ("r1", "it lies", "Release r1 is current already"),
        ("r1", "  ", "A rollback needs a reason"),
    ],
)
def test_rollbacks_to_nowhere(
    fresh_lake: Lake, tmp_path: Path, model: str, release_id: str, why: str, said: str
) -> None:
    publish(fresh_lake, tmp_path, model, "r1")
    with pytest.raises(ReleaseError, match=said):
        roll_back(fresh_lake, tmp_path, release_id, why=why)
    assert len(ledger.read(fresh_lake)) == 1


def test_while_mlflow_is_away_neither_goes_back(
    fresh_lake: Lake, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(fresh_lake, tmp_path, model, "r1", "r2")
    with monkeypatch.context() as away:
        away.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        with pytest.raises(RegistryError) as told:
            roll_back(fresh_lake, tmp_path)
    assert told.value.is_transient
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")
    roll_back(fresh_lake, tmp_path)
    assert agreed(fresh_lake, tmp_path, model) == ("r1", "1")


def test_cut_off_behind_the_row_the_next_call_follows(
    fresh_lake: Lake, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(fresh_lake, tmp_path, model, "r1")
    with monkeypatch.context() as cut:
        cut.setattr(registry, "set_alias", lambda *_: (_ for _ in ()).throw(RegistryError("gone")))
        with pytest.raises(RegistryError):
            publish(fresh_lake, tmp_path, model, "r2")
    assert releases.current(tmp_path) == "r1" and registry.champion(model) == "1"
    publish(fresh_lake, tmp_path, model, "r2")
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")
    assert [row["release_id"] for row in ledger.read(fresh_lake)] == ["r1", "r2"]


def test_the_alias_is_the_gates_where_it_decided_later(
    fresh_lake: Lake, tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(fresh_lake, tmp_path, model, "r1", "r2")
    later = record.Change(0, {"champion_version": "3", "model_name": model})
    monkeypatch.setattr(following, "newest_change", lambda *_: later)
    registry.set_alias(model, registry.CHAMPION, "3")
    following.follow(fresh_lake, tmp_path)
    assert (releases.current(tmp_path), registry.champion(model)) == ("r2", "3")
    small.publish(fresh_lake, tmp_path, small.release("r3", "3", model, decisions_version=0))
    assert agreed(fresh_lake, tmp_path, model) == ("r3", "3")


def test_a_link_never_goes_back_to_what_came_earlier(tmp_path: Path) -> None:
    for name in ("r1", "r2"):
        releases.build(tmp_path, name, small.inputs(name, small.lists()), small.DDL)
    releases.switch(tmp_path, "r2", fence=7)
    with pytest.raises(ReleaseError, match="became current under lease 6, and the link follows lease 7") as told:
        releases.switch(tmp_path, "r1", fence=6)
    assert told.value.is_transient and releases.current(tmp_path) == "r2"
    releases.switch(tmp_path, "r1", fence=8)
    assert releases.current(tmp_path) == "r1"


def test_the_newest_stay_and_pinned_ones(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    publish(fresh_lake, tmp_path, model, "r1")
    rollback.pin(fresh_lake, "r1", asked=small.asked("pin"))
    rollback.pin(fresh_lake, "r1", asked=small.asked("pin again"))
    publish(fresh_lake, tmp_path, model, "r2", "r3", "r4", keep=2)

    def kept() -> tuple[list[str], list[str]]:
        return sorted(path.stem for path in (tmp_path / "releases").glob("r*.duckdb")), remote.ids(fresh_lake)

    assert kept() == (["r1", "r3", "r4"], ["r1", "r3", "r4"])
    assert [row["action"] for row in ledger.read(fresh_lake)].count("pin") == 1
    with pytest.raises(ReleaseError, match="Can't go to release r2: retention has removed it"):
        roll_back(fresh_lake, tmp_path, "r2")
    with pytest.raises(ReleaseError, match="There is no release r2"):
        rollback.pin(fresh_lake, "r2", asked=small.asked("pin r2"))
    rollback.unpin(fresh_lake, "r1", asked=small.asked("unpin"))
    publish(fresh_lake, tmp_path, model, "r4", keep=2)
    assert kept() == (["r3", "r4"], ["r3", "r4"])
    publish(fresh_lake, tmp_path, model, "r2", action="anew", keep=2)
    assert kept() == (["r2", "r4"], ["r2", "r4"]), "what was removed can be published again"
    assert agreed(fresh_lake, tmp_path, model) == ("r2", "2")


def test_a_rollback_on_a_machine_that_has_no_file_fetches_it(fresh_lake: Lake, tmp_path: Path, model: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    publish(fresh_lake, here, model, "r1", "r2")
    roll_back(fresh_lake, there)
    assert agreed(fresh_lake, there, model) == ("r1", "1")
    following.follow(fresh_lake, here)
    assert agreed(fresh_lake, here, model) == ("r1", "1")
