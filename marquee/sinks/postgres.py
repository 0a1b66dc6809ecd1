"""PostgreSQL: the tables of a release in a schema, which are swapped in one transaction.

All is one transaction: the new tables are filled beside the old ones, then take their names, and the schema's comment
tells which file they are of. So a query sees the old release or the new one, and a copy that is killed leaves nothing.
The schema itself stays, with its owner, grants and default privileges.

A transaction that has read the old tables is waited for, in tries shorter than PostgreSQL's `deadlock_timeout`: readers
that queue behind one are never the victim of a deadlock. A copy under a lower fence than the comment's is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import tenacity

from marquee.errors import ReleaseError
from marquee.releases.building import MEMORY
from marquee.releases.files import quoted, sha256_of
from marquee.sinks.postgres_tables import copy_grants, copy_table, names_of

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS = 10
#: How long to wait for another copy into the same schema, and for transactions that read the old tables.
COPY_SECONDS, READERS_SECONDS = 300, 60
#: A server that vanished is noticed within a minute (libpq).
ALIVE = {"keepalives_idle": "20", "keepalives_interval": "10", "keepalives_count": "3", "tcp_user_timeout": "60000"}


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL database.

    Args:
        url: as postgresql://user@host:port/database, without a password.
        password: empty: as libpq finds it (PGPASSWORD, ~/.pgpass).
        schema: of the current release; applications read `<schema>.recommendations`.
    """

    url: str
    password: str = field(default="", repr=False)
    schema: str = "marquee"

    def publish(self, release_file: Path, release_id: str, *, fence: int) -> None:
        """Copy the release's tables beside, and swap them in; see `Sink`."""
        import duckdb

        config = {"threads": 1, "memory_limit": MEMORY, "temp_directory": f"{release_file.parent}/.sink.tmp"}
        with self._errors(release_id):
            # the sum before the rows: of a file that is replaced in between, it is another's, and the next call copies
            told = {"release_id": release_id, "sha256": sha256_of(release_file), "fence": fence}
            with duckdb.connect(":memory:", config=config) as source, self._connect() as target, target.transaction():
                source.execute(f"ATTACH {quoted(release_file)} AS published (READ_ONLY)")
                self._be_alone(target, release_id)
                held = self._held(target)
                if all(held.get(name) == told[name] for name in ("release_id", "sha256")):
                    if held["fence"] < fence:
                        self._tell(target, {**held, "fence": fence})
                    return
                if held["fence"] > fence:
                    raise ReleaseError(
                        f"{self._what(release_id)}: it is put there under lease {fence}, and release "
                        f"{held['release_id']} is there under lease {held['fence']} already. Nothing was changed "
                        "there; look at `marquee releases` (where the bucket was made anew, drop the tables in schema "
                        f"{self.schema} and its comment).",
                        is_transient=True,
                    )
                tables = names_of(source)
                for table in tables:
                    copy_table(source, target, table, self.schema, _new(table))
                self._swap(target, held["tables"], {**told, "tables": tables})

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        return psycopg.connect(
            self.url,
            autocommit=True,
            password=self.password or None,
            connect_timeout=CONNECT_SECONDS,
            application_name="marquee",
            **ALIVE,  # type: ignore[arg-type]
        )

    def _be_alone(self, target: psycopg.Connection[Any], release_id: str) -> None:
        """Wait for the lock of the schema; it goes with the transaction, however that ends."""
        import psycopg

        try:
            target.execute("SELECT set_config('lock_timeout', %s, true)", [f"{COPY_SECONDS}s"])
            target.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"marquee {self.schema}"])
            target.execute("SET LOCAL lock_timeout = 0")
        except psycopg.errors.LockNotAvailable:
            raise ReleaseError(
                f"{self._what(release_id)}: another copy into schema {self.schema} has been under way for more than "
                f"{COPY_SECONDS} s. Wait for it, or end it (pg_stat_activity, application_name marquee), and run this "
                "again.",
                is_transient=True,
            ) from None

    def _held(self, target: psycopg.Connection[Any]) -> dict[str, Any]:
        """What the schema's comment tells; it is made where there is none. One of somebody else is refused.

        Returns:
            `release_id`, `sha256`, `fence` and `tables`; of an empty schema fence 0 and no tables.
        """
        from psycopg import sql

        query = """
            SELECT obj_description(oid, 'pg_namespace'), EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid)
            FROM pg_namespace AS n WHERE nspname = %s
        """
        found = target.execute(query, [self.schema]).fetchone()
        if found is None:
            target.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
        comment, holds_something = found or (None, False)
        try:
            told = json.loads(comment or "")
        except ValueError:
            told = None
        if isinstance(told, dict) and {"release_id", "sha256", "fence", "tables"} <= told.keys():
            return told
        if holds_something:
            raise ReleaseError(
                f"Schema {self.schema} of that PostgreSQL has tables that were not put there by Marquee: "
                "move them away, or name another schema (setting serving.postgres_schema), and run it again."
            )
        return {"fence": 0, "tables": []}

    def _swap(self, target: psycopg.Connection[Any], old: list[str], told: dict[str, Any]) -> None:
        """The new tables take the names of the old ones; readers of those are waited for, in short tries."""
        import psycopg
        from psycopg import sql

        row = target.execute(
            """
            SELECT setting::int / 2,
                ARRAY(SELECT tablename::text FROM pg_tables WHERE schemaname = %s AND tablename = ANY(%s) ORDER BY 1)
            FROM pg_settings WHERE name = 'deadlock_timeout'
            """,
            [self.schema, old],
        ).fetchone()
        assert row is not None  # noqa: S101 - every server has this setting
        milliseconds, there = row
        names = sql.SQL(", ").join(sql.Identifier(self.schema, table) for table in there)
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected)),
            stop=tenacity.stop_after_delay(READERS_SECONDS),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=5),
        )
        try:
            for attempt in tries:
                with attempt, target.transaction():
                    if there:
                        target.execute("SELECT set_config('statement_timeout', %s, true)", [f"{milliseconds}ms"])
                        target.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
                        target.execute("SET LOCAL statement_timeout = 0")
                        for table in set(there) & set(told["tables"]):
                            copy_grants(target, self.schema, table, _new(table))
                        target.execute(sql.SQL("DROP TABLE {}").format(names))
                    for table in told["tables"]:
                        new, name = sql.Identifier(self.schema, _new(table)), sql.Identifier(table)
                        target.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(new, name))
                    self._tell(target, told)
        except tenacity.RetryError:
            raise ReleaseError(
                f"{self._what(told['release_id'])}: transactions that read its tables have been open for more than "
                f"{READERS_SECONDS} s. End them (pg_stat_activity), and run this again.",
                is_transient=True,
            ) from None

    def _tell(self, target: psycopg.Connection[Any], told: dict[str, Any]) -> None:
        from psycopg import sql

        comment = sql.SQL("COMMENT ON SCHEMA {} IS {}")
        target.execute(comment.format(sql.Identifier(self.schema), sql.Literal(json.dumps(told))))

    def _what(self, release_id: str) -> str:
        parts = urlsplit(self.url)
        where = f"PostgreSQL {parts.hostname or 'on this machine'}, database {parts.path.strip('/') or 'by default'}"
        return f"Can't copy release {release_id} to {where}"

    @contextmanager
    def _errors(self, release_id: str) -> Iterator[None]:
        import duckdb
        import psycopg

        try:
            yield
        except psycopg.errors.DependentObjectsStillExist as error:
            raise ReleaseError(
                f"{self._what(release_id)}: something of yours was made over its tables, and would be lost with the "
                f"old ones ({self._said(error)} {error.diag.message_detail}). Drop it, and run this again."
            ) from None
        except psycopg.Error as error:
            said = self._said(error)
            # a wrong password needs a person; psycopg tells it from a server that is away by its words alone
            passing = isinstance(error, psycopg.OperationalError) and "authentication failed" not in said
            raise ReleaseError(
                f"{self._what(release_id)}: {said}. The release's file is published; mend this, and run it again.",
                is_transient=passing,
            ) from None
        except (duckdb.Error, OSError) as error:
            raise ReleaseError(
                f"{self._what(release_id)}: its file can't be read ({self._said(error)}); mend that, and run it again."
            ) from None

    def _said(self, error: Exception) -> str:
        said = " ".join(str(error).split())[:300]
        return said.replace(self.password, "***") if self.password else said


def _new(table: str) -> str:
    return f"{table}__new"
