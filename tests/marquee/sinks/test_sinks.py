"""Which sinks the settings name, and that a password among them shows nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from marquee.errors import SettingsError
from marquee.services.environment import environment, own
from marquee.settings import Serving, Settings, settings
from marquee.sinks import sinks
from marquee.sinks.postgres import Postgres

SECRET = "secret-word"
URL = "postgresql://marquee@db.example/lists"


@pytest.fixture(autouse=True)
def read_anew() -> None:
    settings.cache_clear()


def test_none_by_default_and_one_that_is_named() -> None:
    assert sinks(Settings(serving=Serving())) == []
    serving = Serving.model_validate({"postgres": URL, "postgres_password": SECRET, "postgres_schema": "lists"})
    found = sinks(Settings(serving=serving))
    assert found == [Postgres(URL, SECRET, "lists")]
    assert SECRET not in f"{found} {serving} {serving.model_dump_json()}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POSTGRES", f"postgresql://me:{SECRET}@db/lists", "it holds a password.*give that as serving.postgres_passw"),
        ("POSTGRES", f"postgresql://me@db/lists?password={SECRET}", "it holds a password"),
        ("POSTGRES", f"postgresql://me@db/lists?%70assword={SECRET}", "it holds a password"),
        ("POSTGRES", f"postgresql://me@db/lists?sslmode=require&sslpassword={SECRET}", "it holds a password"),
        ("POSTGRES", f"postgresql://me:{SECRET}@[db/lists", "it is no URL"),
        ("POSTGRES", f"host=db password={SECRET}", "it is no URL of a PostgreSQL: write it as"),
        ("POSTGRES_PASWORD", SECRET, "serving.postgres_pasword is wrong"),
    ],
)
def test_what_may_be_a_password_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"MARQUEE_SERVING__{name}", value)
    with pytest.raises(SettingsError, match=said) as refused:
        settings()
    assert SECRET not in str(refused.value) and refused.value.__cause__ is None


def test_tasks_get_the_password_as_it_was_given_and_no_other_way(tmp_path: Path) -> None:
    serving = Serving.model_validate({"postgres": URL, "postgres_password": SECRET})
    given = Settings(var=tmp_path, serving=serving)
    assert SECRET not in str(own(given)) and own(given)["MARQUEE_SERVING__POSTGRES"] == URL
    name = "MARQUEE_SERVING__POSTGRES_PASSWORD"
    assert environment(given, {name: SECRET})[name] == SECRET
