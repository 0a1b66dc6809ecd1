"""What the servers find before they start: users, databases and their tables in PostgreSQL, and both buckets.

Runs once at every `docker compose up`, before the servers; the same again changes nothing. A password that was changed
in .env is changed in PostgreSQL too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg2  # type: ignore[import-untyped]
from psycopg2 import sql

from marquee.errors import MarqueeError

SUPERUSER_PASSWORD = Path("/run/secrets/postgres_password")
AUTH = "mlflow_auth"


def main() -> None:
    """Databases, tables, buckets, in this order.

    Raises:
        KeyError: a variable that compose.yaml sets is missing.
        psycopg2.Error, CalledProcessError, MarqueeError: a server refuses.
    """
    urls = {name: os.environ[name] for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "MLFLOW_BACKEND_STORE_URI")}
    password = SUPERUSER_PASSWORD.read_text(encoding="utf-8").rstrip("\r\n")
    server = psycopg2.connect(user="postgres", password=password, dbname="postgres")  # host and port: PGHOST, PGPORT
    server.autocommit = True  # CREATE DATABASE runs in no transaction
    try:
        for url in urls.values():
            account = urlsplit(url)
            make_user(server, account.username or "", unquote(account.password or ""))
            make_database(server, account.path.removeprefix("/"), account.username or "")
        make_database(server, AUTH, "mlflow")
    finally:
        server.close()
    say("databases airflow, mlflow and mlflow_auth are there")
    subprocess.run(["airflow", "db", "migrate"], check=True)
    migrate_mlflow(urls["MLFLOW_BACKEND_STORE_URI"])
    make_buckets()


def make_user(server: psycopg2.extensions.connection, name: str, password: str) -> None:
    """The user with this password, made or changed."""
    with server.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
        verb = "ALTER" if cursor.fetchone() else "CREATE"
        statement = sql.SQL(f"{verb} ROLE {{}} LOGIN PASSWORD {{}}").format(sql.Identifier(name), sql.Literal(password))
        cursor.execute(statement)


def make_database(server: psycopg2.extensions.connection, name: str, owner: str) -> None:
    """The database, which its owner alone may connect to."""
    database = sql.Identifier(name)
    with server.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if not cursor.fetchone():
            cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, sql.Identifier(owner)))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def migrate_mlflow(url: str) -> None:
    """MLflow's tables at the version of the installed MLflow; in a new database its server makes them itself."""
    from mlflow.db import commands as tracking
    from mlflow.server.auth.db.cli import commands as auth
    from sqlalchemy import create_engine, inspect

    engine = create_engine(url)
    is_new = not inspect(engine).has_table("alembic_version")
    engine.dispose()
    # by these functions and no command line, for the URL holds the password
    if not is_new:
        tracking.main(["upgrade", url], standalone_mode=False)
    # The server's workers would make these all at once, and get in each other's way.
    auth.main(["upgrade", "--url", f"{url.rpartition('/')[0]}/{AUTH}"], standalone_mode=False)
    say("tables of MLflow are " + ("left to its server's first start" if is_new else "up to date"))


def make_buckets() -> None:
    """The lake's bucket and MLflow's, where they are missing."""
    from marquee.lake.objects import Lake
    from marquee.settings import settings

    lake = Lake.from_environment()
    for bucket in (settings().s3.bucket, settings().s3.artifacts_bucket):
        lake.create_bucket(bucket)
    say(f"buckets {settings().s3.bucket} and {settings().s3.artifacts_bucket} are there")


def say(line: str) -> None:
    print(f"prepare: {line}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyError as error:
        sys.exit(f"Variable {error.args[0]} is missing: start this by compose.yaml, which sets it.")
    except (psycopg2.Error, subprocess.CalledProcessError, OSError, MarqueeError) as error:
        sys.exit(f"The servers can't be prepared ({str(error).strip()}): mend that, then `docker compose up` again.")
