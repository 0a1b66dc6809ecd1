"""Releases in a real PostgreSQL: all of one, or all of another, whenever one looks."""

# ruff: noqa: S608 - the schema is the test's own

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from marquee import releases
from marquee.errors import ReleaseError
from marquee.settings import PROJECT
from marquee.sinks import postgres, postgres_tables
from marquee.sinks.postgres import Postgres
from tests.marquee.sinks.conftest import Server
from tests.marquee.sinks.made import USERS, K, build

KINDS = """
CREATE TABLE kinds AS SELECT 'a'::VARCHAR AS user_id, [{'item_id': 'x', 'share': 0.5}] AS because, ['p', 'q'] AS names,
    TRUE AS is_so, 1.5::FLOAT AS share, NULL::BIGINT AS nothing, TIMESTAMP '2026-01-02 03:04:05' AS at,
    18446744073709551615::UBIGINT AS large, 7::TINYINT AS small, [1.5, 2.5]::DOUBLE[] AS weights,
    DATE '2026-01-02' AS day, 4000000000::UINTEGER AS counted;
COMMENT ON COLUMN kinds.at IS 'it''s a time';
"""


def release_in(server: Server, sink: Postgres) -> str:
    ((release_id,),) = server.ask(f"SELECT release_id FROM {sink.schema}.release")
    return str(release_id)


def tables_in(server: Server, sink: Postgres) -> list[str]:
    rows = server.ask(f"SELECT tablename FROM pg_tables WHERE schemaname = '{sink.schema}' ORDER BY 1")
    return [str(name) for (name,) in rows]


def test_every_table_arrives_as_it_is(tmp_path: Path, postgres_server: Server, sink: Postgres) -> None:
    path = build(tmp_path, "r1", USERS, KINDS)
    sink.publish(path, "r1", fence=1)
    with duckdb.connect(str(path), read_only=True) as source:
        tables = sorted(name for (name,) in source.execute("SELECT table_name FROM duckdb_tables()").fetchall())
        assert tables_in(postgres_server, sink) == tables and len(tables) == len(releases.PUBLISHED) + 1
        for table in set(tables) - {"kinds"}:
            query = f"SELECT * FROM {{}}{table} ORDER BY 1, 2"
            there = postgres_server.ask(query.format(f"{sink.schema}."))
            assert there == source.execute(query.format("")).fetchall(), table
            assert there or table in ("similar_items", "clusters", "data_quality"), table
    kinds = postgres_server.ask(
        f"SELECT because, names, is_so, share, nothing, at::text, large, small, weights, day::text, counted "
        f"FROM {sink.schema}.kinds"
    )
    assert kinds == [
        ([{"item_id": "x", "share": 0.5}], ["p", "q"], True, 1.5, None, "2026-01-02 03:04:05", 18446744073709551615, 7,
         [1.5, 2.5], "2026-01-02", 4000000000)
    ]  # fmt: skip
    comments = postgres_server.ask(f"SELECT col_description('{sink.schema}.kinds'::regclass, 7)")
    assert comments == [("it's a time",)]
    rows = postgres_server.ask(f"SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = '{sink.schema}'")
    indexed = {(table, text.rpartition("(")[2].rstrip(")")) for table, text in rows}
    assert {("recommendations", "user_id"), ("recommendations", "item_id"), ("items", "item_id")} <= indexed


def test_the_same_file_again_is_nothing(tmp_path: Path, postgres_server: Server, sink: Postgres) -> None:
    path = build(tmp_path, "r1")
    sink.publish(path, "r1", fence=1)
    oid = f"SELECT '{sink.schema}.recommendations'::regclass::oid"
    first = postgres_server.ask(oid)
    os.utime(path, (1, 1))  # as on another machine
    sink.publish(path, "r1", fence=2)
    assert postgres_server.ask(oid) == first
    build(tmp_path / "other", "r1", USERS[:-1]).replace(path)
    sink.publish(path, "r1", fence=2)
    left = postgres_server.ask(f"SELECT count(DISTINCT user_id) FROM {sink.schema}.recommendations")
    assert left == [(len(USERS) - 1,)], "a file from which somebody was forgotten takes the place of the first"


def test_who_comes_late_changes_nothing(tmp_path: Path, postgres_server: Server, sink: Postgres) -> None:
    old, new = build(tmp_path, "r1"), build(tmp_path, "r2")
    sink.publish(new, "r2", fence=7)
    with pytest.raises(ReleaseError, match=r"r1 .* under lease 6, and release r2 is there under lease 7 al") as refused:
        sink.publish(old, "r1", fence=6)
    assert refused.value.is_transient and release_in(postgres_server, sink) == "r2"
    sink.publish(new, "r2", fence=6)
    with pytest.raises(ReleaseError, match="under lease 7 already"):
        sink.publish(old, "r1", fence=6)
    sink.publish(new, "r2", fence=9)
    with pytest.raises(ReleaseError, match="under lease 9 already"):
        sink.publish(old, "r1", fence=8)
    sink.publish(old, "r1", fence=9)
    assert release_in(postgres_server, sink) == "r1"


def test_two_copies_at_once_follow_each_other(tmp_path: Path, postgres_server: Server, sink: Postgres) -> None:
    paths = [build(tmp_path, f"r{number}") for number in range(4)]
    refused: list[str] = []

    def publish(fence: int) -> None:
        try:
            sink.publish(paths[fence], paths[fence].stem, fence=fence)
        except ReleaseError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=publish, args=(fence,)) for fence in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert release_in(postgres_server, sink) == "r3", "whoever comes last, the highest fence stays"
    assert all("already" in said for said in refused)
    assert postgres_server.ask(f"SELECT DISTINCT title FROM {sink.schema}.recommendations") == [("r3",)]


def test_readers_see_the_old_or_the_new_and_never_neither(
    tmp_path: Path, postgres_server: Server, sink: Postgres
) -> None:
    paths = [build(tmp_path, f"r{number}") for number in range(3)]
    sink.publish(paths[0], "r0", fence=0)
    seen: list[set[str]] = []
    wrong: list[Any] = []
    is_over = threading.Event()
    query = (
        f"SELECT title FROM {sink.schema}.recommendations WHERE user_id = 'u7' "
        f"UNION ALL SELECT release_id FROM {sink.schema}.release UNION ALL SELECT title FROM {sink.schema}.items"
    )

    def read(before: str, isolation: psycopg.IsolationLevel) -> None:
        """One query, or two in a transaction."""
        with postgres_server.connect() as connection:
            connection.isolation_level = isolation
            while not is_over.is_set():
                try:
                    with connection.transaction():
                        first = connection.execute(before).fetchall()  # type: ignore[call-overload]
                        rows = connection.execute(query).fetchall()  # type: ignore[call-overload]
                    titles = {title for (title,) in rows}
                    if len(rows) != K + 5 or len(titles) != 1 or not {told for (told,) in first} <= titles | {"other"}:
                        wrong.append((first, rows))
                    seen.append(titles)
                except psycopg.Error as error:
                    wrong.append(error)

    committed, repeatable = psycopg.IsolationLevel.READ_COMMITTED, psycopg.IsolationLevel.REPEATABLE_READ
    whole = f"SELECT title FROM {sink.schema}.items"  # the other way round: they wait for each other
    kinds = [("SELECT 'other'", committed), (whole, committed), ("SELECT 'other'", repeatable), (whole, repeatable)]
    readers = [threading.Thread(target=read, args=kind) for kind in kinds]
    for reader in readers:
        reader.start()
    for number in range(1, 6):
        sink.publish(paths[number % 3], f"r{number % 3}", fence=number)
        n_seen = len(seen)
        while len(seen) < n_seen + 20 and not wrong:
            time.sleep(0.01)
    is_over.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    assert set.union(*seen) == {"r0", "r1", "r2"}


def test_a_snapshot_from_before_the_swap_sees_the_new_release_whole(
    tmp_path: Path, postgres_server: Server, sink: Postgres
) -> None:
    sink.publish(build(tmp_path, "r1"), "r1", fence=1)
    with postgres_server.connect() as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with reader.transaction():
            reader.execute("SELECT count(*) FROM pg_class")
            sink.publish(build(tmp_path, "r2"), "r2", fence=2)
            rows = reader.execute(f"SELECT title FROM {sink.schema}.recommendations").fetchall()  # type: ignore[call-overload]
    assert rows == [("r2",)] * (len(USERS) * K)


def publish_slowly(sink: Postgres, path: Path) -> None:
    write = postgres_tables._sent
    postgres_tables._sent = lambda *given: (time.sleep(0.2), write(*given))[1]  # type: ignore[assignment, func-returns-value]
    sink.publish(path, "r2", fence=2)


def publish(sink: Postgres, path: Path) -> None:
    sink.publish(path, "r2", fence=2)


@pytest.mark.parametrize(("how", "until"), [(publish_slowly, "COPY"), (publish, "LOCK")])
def test_a_copy_that_is_killed_leaves_the_old_one(
    tmp_path: Path, postgres_server: Server, sink: Postgres, how: Callable[..., None], until: str
) -> None:
    old, new = build(tmp_path, "r1"), build(tmp_path, "r2")
    sink.publish(old, "r1", fence=1)
    tables = tables_in(postgres_server, sink)
    is_there = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '{until} %{sink.schema}%' AND state = 'active'"
    with postgres_server.connect() as reader:
        reader.execute(f"BEGIN; SELECT count(*) FROM {sink.schema}.items")  # type: ignore[call-overload]
        process = multiprocessing.get_context("spawn").Process(target=how, args=(sink, new))
        process.start()
        while postgres_server.ask(is_there) == [(0,)]:
            assert process.is_alive()
            time.sleep(0.02)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    assert release_in(postgres_server, sink) == "r1"
    sink.publish(new, "r2", fence=2)
    assert release_in(postgres_server, sink) == "r2"
    assert tables_in(postgres_server, sink) == tables


def test_a_reader_that_stays_holds_the_swap_up_until_it_is_done(
    tmp_path: Path, postgres_server: Server, sink: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "READERS_SECONDS", 1)
    sink.publish(build(tmp_path, "r1"), "r1", fence=1)
    new = build(tmp_path, "r2")
    with postgres_server.connect() as reader, reader.transaction():
        reader.execute(f"SELECT count(*) FROM {sink.schema}.recommendations")  # type: ignore[call-overload]
        said = "Can't copy release r2 to PostgreSQL 127.0.0.1, database postgres: transactions that read its tables"
        with pytest.raises(ReleaseError, match=said) as refused:
            sink.publish(new, "r2", fence=2)
        assert refused.value.is_transient and release_in(postgres_server, sink) == "r1"
    sink.publish(new, "r2", fence=2)
    assert release_in(postgres_server, sink) == "r2"


def test_another_copy_that_hangs_is_not_waited_for_without_end(
    tmp_path: Path, postgres_server: Server, sink: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "COPY_SECONDS", 1)
    path = build(tmp_path, "r1")
    with postgres_server.connect() as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"marquee {sink.schema}"])
        with pytest.raises(ReleaseError, match=r"another copy into schema .* under way for more than 1 s") as refused:
            sink.publish(path, "r1", fence=1)
    assert refused.value.is_transient
    sink.publish(path, "r1", fence=1)


def test_grants_survive_a_swap(tmp_path: Path, postgres_server: Server, sink: Postgres) -> None:
    schema = sink.schema
    sink.publish(build(tmp_path, "r1"), "r1", fence=1)
    one, two, three = (f"{schema}_{name}" for name in ("one", "two", "three"))
    postgres_server.ask(
        f"""
        CREATE ROLE {one}; CREATE ROLE {two}; CREATE ROLE {three};
        GRANT USAGE ON SCHEMA {schema} TO {one}, {two}, {three};
        GRANT SELECT ON {schema}.recommendations TO {one} WITH GRANT OPTION;
        GRANT SELECT (title, item_id) ON {schema}.items TO {two};
        GRANT SELECT ON {schema}.model_card TO PUBLIC;
        ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {three};
        GRANT SELECT ON {schema}.release TO {three}
        """
    )
    given = f"""
        SELECT c.relname, NULL, c.relacl::text FROM pg_class AS c
        WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' AND c.relname <> 'kinds'
        UNION ALL
        SELECT c.relname, a.attname, a.attacl::text FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = '{schema}'::regnamespace AND a.attacl IS NOT NULL
    """

    def normal() -> set[tuple[str, str | None, tuple[str, ...]]]:
        """Without the owner's own, which are the same whether they are written down or not."""
        found = set()
        for table, column, acl in postgres_server.ask(given):
            others = (one for one in (acl or "{}").strip("{}").split(",") if one and not one.startswith("marquee="))
            if entries := tuple(sorted(others)):
                found.add((table, column, entries))
        return found

    before = normal()
    assert len(before) == 5
    for number in (2, 3):
        sink.publish(build(tmp_path, f"r{number}", USERS, KINDS), f"r{number}", fence=number)
        assert normal() == before
    with postgres_server.connect() as reader:
        reader.execute(f"SET ROLE {one}")  # type: ignore[call-overload]
        reader.execute(f"SELECT count(*) FROM {schema}.recommendations")  # type: ignore[call-overload]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"SELECT count(*) FROM {schema}.items")  # type: ignore[call-overload]
        reader.execute(f"SET ROLE {three}")  # type: ignore[call-overload]
        assert reader.execute(f"SELECT small FROM {schema}.kinds").fetchall() == [(7,)], "a table that was not there"  # type: ignore[call-overload]


def test_as_the_documentation_sets_it_up(tmp_path: Path, postgres_server: Server, sink: Postgres) -> None:
    """A role that owns its schema and nothing else, and readers who get every table from the first release on."""
    docs = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    (statements,) = re.findall(r"```sql\n(.*?)```", docs.partition("### Into PostgreSQL as well")[2], re.DOTALL)
    owner, readers = sink.schema, f"readers_{sink.schema}"
    postgres_server.ask(re.sub(r"\bmarquee\b", owner, statements.replace("readers", readers)))
    own = Postgres(postgres_server.url.replace("marquee@", f"{owner}@"), "choose one", sink.schema)
    for number in (1, 2):
        own.publish(build(tmp_path, f"r{number}"), f"r{number}", fence=number)
        with postgres_server.connect() as reader:
            reader.execute(f"SET ROLE {readers}")  # type: ignore[call-overload]
            for table in tables_in(postgres_server, sink):
                reader.execute(f"SELECT * FROM {sink.schema}.{table}")  # type: ignore[call-overload]
        assert release_in(postgres_server, sink) == f"r{number}"


def test_somebody_else_s_tables_are_left_alone(tmp_path: Path, postgres_server: Server, sink: Postgres) -> None:
    path = build(tmp_path, "r1")
    postgres_server.ask(f"CREATE SCHEMA {sink.schema}; CREATE TABLE {sink.schema}.theirs (a int)")
    with pytest.raises(ReleaseError, match=f"Schema {sink.schema} .* not put there by Marquee: move them away"):
        sink.publish(path, "r1", fence=1)
    assert tables_in(postgres_server, sink) == ["theirs"]
    postgres_server.ask(f"DROP TABLE {sink.schema}.theirs")
    sink.publish(path, "r1", fence=1)
    postgres_server.ask(f"CREATE TABLE {sink.schema}.theirs (a int)")
    sink.publish(build(tmp_path, "r2"), "r2", fence=2)
    assert "theirs" in tables_in(postgres_server, sink)


def test_a_view_over_the_tables_is_not_dropped_with_them(
    tmp_path: Path, postgres_server: Server, sink: Postgres
) -> None:
    sink.publish(build(tmp_path, "r1"), "r1", fence=1)
    view = f"public.of_{sink.schema}"
    postgres_server.ask(f"CREATE VIEW {view} AS SELECT title FROM {sink.schema}.items")
    new = build(tmp_path, "r2")
    with pytest.raises(ReleaseError, match=f"view of_{sink.schema} depends on table .*Drop it, and run") as refused:
        sink.publish(new, "r2", fence=2)
    assert not refused.value.is_transient
    assert postgres_server.ask(f"SELECT DISTINCT title FROM {view}") == [("r1",)]
    postgres_server.ask(f"DROP VIEW {view}")
    sink.publish(new, "r2", fence=2)


def test_the_password_shows_nowhere(
    tmp_path: Path, postgres_server: Server, sink: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    path = build(tmp_path, "r1")
    caplog.set_level("DEBUG")
    sink.publish(path, "r1", fence=1)
    wrong = Postgres(postgres_server.url, "a-wrong-password", sink.schema)
    said = "Can't copy release r1 to PostgreSQL 127.0.0.1, database postgres: .*authentication failed"
    with pytest.raises(ReleaseError, match=said) as refused:
        wrong.publish(path, "r1", fence=1)
    assert not refused.value.is_transient, "a person has to mend it"
    assert "a-wrong-password" not in f"{refused.value} {wrong!r}"
    away = Postgres("postgresql://marquee@127.0.0.1:1/postgres", "another-password")
    with pytest.raises(ReleaseError, match="The release's file is published; mend this, and run it again") as unreached:
        away.publish(path, "r1", fence=1)
    assert unreached.value.is_transient and "another-password" not in str(unreached.value)
    comment = postgres_server.ask(f"SELECT obj_description('{sink.schema}'::regnamespace, 'pg_namespace')")
    assert postgres_server.password not in f"{postgres_server.log.read_text()} {caplog.text} {comment} {sink!r}"
