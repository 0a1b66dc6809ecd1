"""Secrets: made once, by one of many, for their owner alone."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from marquee.credentials import FILE, credentials
from marquee.errors import SettingsError
from marquee.settings import S3, Settings


def test_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    given = Settings(var=tmp_path / "new" / "var")
    first = credentials(given)
    assert credentials(given) == first
    assert stat.S_IMODE((given.var / FILE).stat().st_mode) == 0o600
    values = list(asdict(first).values())
    assert len(set(values)) == len(values) and min(map(len, values)) >= 20
    assert [each.name for each in given.var.iterdir()] == [FILE]


def test_another_place_has_others(tmp_path: Path) -> None:
    one, other = (asdict(credentials(Settings(var=tmp_path / name))) for name in "ab")
    assert not set(one.values()) & set(other.values())


def test_settings_win_and_leave_the_rest(tmp_path: Path) -> None:
    made = credentials(Settings(var=tmp_path))
    given = credentials(Settings(var=tmp_path, s3=S3(access_key="KEY", secret_key="SECRET")))
    assert (given.s3_access_key, given.s3_secret_key) == ("KEY", "SECRET")
    assert given.airflow_password == made.airflow_password


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    made = credentials(Settings(var=tmp_path))
    assert not [value for value in asdict(made).values() if value in repr(made)]


def test_many_processes_at_once_get_the_same(tmp_path: Path) -> None:
    code = "from marquee.settings import Settings; from marquee.credentials import credentials\n"
    code += f"print(credentials(Settings(var={str(tmp_path)!r})).s3_secret_key)"
    racers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert len({racer.communicate()[0] for racer in racers}) == 1
    assert [each.name for each in tmp_path.iterdir()] == [FILE]


def test_refused_where_others_may_read(tmp_path: Path) -> None:
    given = Settings(var=tmp_path)
    credentials(given)
    (tmp_path / FILE).chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        credentials(given)


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"s3_access_key": "only"})])
def test_a_broken_file_is_named_and_not_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / FILE
    file.touch(mode=0o600)
    file.write_text(text)
    with pytest.raises(SettingsError, match="is not whole"):
        credentials(Settings(var=tmp_path))
    assert file.read_text() == text


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="set MARQUEE_VAR"):
        credentials(Settings(var=tmp_path / "file" / "var"))
