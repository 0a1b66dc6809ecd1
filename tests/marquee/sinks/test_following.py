"""The current release reaches PostgreSQL: published, rolled back to, with somebody forgotten, and after a failure."""

# ruff: noqa: S608 - the schema is the test's own

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from marquee import registry, releases
from marquee.errors import ReleaseError
from marquee.forgetting.subject import Subject
from marquee.lake.objects import Lake
from marquee.releases import following, forgetting, ledger, remote, rollback
from marquee.releases.standing import standing
from marquee.sinks.postgres import Postgres
from tests.marquee.releases import small
from tests.marquee.sinks.conftest import Server

#: Nothing answers there.
NOWHERE = "postgresql://marquee@127.0.0.1:1/postgres"


def publish(lake: Lake, folder: Path, model: str, name: str, *sinks: Postgres, shift: int = 0, **about: Any) -> None:
    """Publish "r1" as a release of version 1, and so on."""
    small.publish(lake, folder, small.release(name, name[1:], model), shift=shift, sinks=sinks, **about)


def roll_back(lake: Lake, folder: Path, *sinks: Postgres, action: str = "back") -> None:
    rollback.rollback(lake, folder, asked=small.asked(action, "it lies"), sinks=sinks)


def lists_in(server: Server, sink: Postgres) -> list[tuple[Any, ...]]:
    query = f"SELECT user_id, position, item_id, score, release_id, because FROM {sink.schema}.recommendations"
    return server.ask(f"{query} ORDER BY 1, 2")


def lists_of(path: Path) -> list[tuple[Any, ...]]:
    query = "SELECT user_id, position, item_id, score, release_id, because FROM recommendations ORDER BY 1, 2"
    with duckdb.connect(str(path), read_only=True) as reader:
        return reader.execute(query).fetchall()


def agreed(lake: Lake, folder: Path, server: Server, sink: Postgres, model: str) -> tuple[str | None, str | None]:
    """The release and the champion, once ledger, link and PostgreSQL are seen to agree."""
    state = standing(ledger.read(lake))
    assert releases.current(folder) == state.current is not None
    assert lists_in(server, sink) == lists_of(releases.path_of(folder, state.current))
    assert server.ask(f"SELECT release_id FROM {sink.schema}.release") == [(state.current,)]
    return state.current, registry.champion(model)


def test_publish_and_rollback(
    fresh_lake: Lake, tmp_path: Path, model: str, postgres_server: Server, sink: Postgres
) -> None:
    publish(fresh_lake, tmp_path, model, "r1", sink)
    assert agreed(fresh_lake, tmp_path, postgres_server, sink, model) == ("r1", "1")
    publish(fresh_lake, tmp_path, model, "r2", sink, shift=1)
    assert agreed(fresh_lake, tmp_path, postgres_server, sink, model) == ("r2", "2")
    roll_back(fresh_lake, tmp_path, sink)
    assert agreed(fresh_lake, tmp_path, postgres_server, sink, model) == ("r1", "1")


def test_forgetting_reaches_it(
    fresh_lake: Lake, tmp_path: Path, model: str, postgres_server: Server, sink: Postgres
) -> None:
    away = replace(sink, url=NOWHERE)
    publish(fresh_lake, tmp_path, model, "r1", sink)
    subject = Subject("user", "u1")
    with pytest.raises(ReleaseError, match="Can't copy release r1 to PostgreSQL") as unreached:
        forgetting.clean(fresh_lake, tmp_path, subject, [away])
    assert unreached.value.is_transient
    assert "u1" in {row[0] for row in lists_in(postgres_server, sink)}
    assert forgetting.clean(fresh_lake, tmp_path, subject, [sink]) == [], "the files were done by the first try"
    assert "u1" not in {row[0] for row in lists_in(postgres_server, sink)}
    assert agreed(fresh_lake, tmp_path, postgres_server, sink, model) == ("r1", "1")


def test_a_forgotten_person_does_not_come_back_from_a_file_on_another_machine(
    fresh_lake: Lake, tmp_path: Path, model: str, postgres_server: Server, sink: Postgres
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for name in ("r1", "r2"):
        publish(fresh_lake, here, model, name, sink)
        remote.bring(fresh_lake, there, name)
    forgetting.clean(fresh_lake, here, Subject("user", "u1"), [sink])
    assert "u1" in {row[0] for row in lists_of(releases.path_of(there, "r1"))}
    roll_back(fresh_lake, there, sink)
    assert "u1" not in {row[0] for row in lists_in(postgres_server, sink)}
    assert agreed(fresh_lake, there, postgres_server, sink, model) == ("r1", "1")


def test_one_who_comes_late_does_not_bring_the_person_back(
    fresh_lake: Lake, tmp_path: Path, model: str, postgres_server: Server, sink: Postgres
) -> None:
    publish(fresh_lake, tmp_path, model, "r1", sink)
    row = standing(ledger.read(fresh_lake)).newest
    old = tmp_path / "read before.duckdb"
    old.write_bytes(releases.path_of(tmp_path, "r1").read_bytes())
    forgetting.clean(fresh_lake, tmp_path, Subject("user", "u1"), [sink])
    assert row is not None
    with pytest.raises(ReleaseError, match="already"):
        sink.publish(old, "r1", fence=row["fence"])
    assert "u1" not in {row[0] for row in lists_in(postgres_server, sink)}


def test_while_the_server_is_away_alias_and_link_go_on_and_the_next_action_makes_up(
    fresh_lake: Lake, tmp_path: Path, model: str, postgres_server: Server, sink: Postgres
) -> None:
    away = replace(sink, url=NOWHERE)
    publish(fresh_lake, tmp_path, model, "r1", sink)
    with pytest.raises(ReleaseError, match=r"Can't copy release r2 to PostgreSQL 127\.0\.0\.1, .*run it again") as told:
        publish(fresh_lake, tmp_path, model, "r2", away)
    assert told.value.is_transient
    assert (releases.current(tmp_path), registry.champion(model)) == ("r2", "2")
    assert postgres_server.ask(f"SELECT release_id FROM {sink.schema}.release") == [("r1",)]
    publish(fresh_lake, tmp_path, model, "r2", sink)  # the task's next try
    assert agreed(fresh_lake, tmp_path, postgres_server, sink, model) == ("r2", "2")
    assert [row["release_id"] for row in ledger.read(fresh_lake)] == ["r1", "r2"]
    with pytest.raises(ReleaseError, match="Can't copy release r1"):
        roll_back(fresh_lake, tmp_path, away)
    assert (releases.current(tmp_path), registry.champion(model)) == ("r1", "1")
    following.follow(fresh_lake, tmp_path, sinks=[sink])
    assert agreed(fresh_lake, tmp_path, postgres_server, sink, model) == ("r1", "1")


def test_one_sink_that_fails_keeps_nothing_from_the_others(
    fresh_lake: Lake, tmp_path: Path, model: str, postgres_server: Server, sink: Postgres
) -> None:
    with pytest.raises(ReleaseError, match="Can't copy release r1"):
        publish(fresh_lake, tmp_path, model, "r1", replace(sink, url=NOWHERE), sink)
    assert agreed(fresh_lake, tmp_path, postgres_server, sink, model) == ("r1", "1")
