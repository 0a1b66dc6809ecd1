"""The bucket: JSON objects, conditional writes, and what its refusals say."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from marquee.errors import LakeError
from marquee.lake.objects import Lake, lake_errors


def test_json_comes_back_as_it_was_written(lake: Lake) -> None:
    value = {"b": [1, 2.5, None], "a": "Amélie 天"}
    assert lake.write_json("objects/a.json", value)
    assert lake.read_json("objects/a.json") == value
    assert lake.exists("objects/a.json")
    assert not lake.exists("objects/a")
    assert not lake.exists("objects")


def test_an_empty_object_exists(lake: Lake) -> None:
    lake.client().put_object(Bucket=lake.bucket, Key="objects/empty", Body=b"")
    assert lake.exists("objects/empty")


def test_if_absent_keeps_what_is_there(lake: Lake) -> None:
    assert lake.write_json("objects/once.json", 1, if_absent=True)
    assert not lake.write_json("objects/once.json", 2, if_absent=True)
    assert lake.read_json("objects/once.json") == 1
    assert lake.write_json("objects/once.json", 3)
    assert lake.read_json("objects/once.json") == 3


def test_of_many_writers_one_wins(lake: Lake) -> None:
    outcomes: list[tuple[int, bool]] = []
    gate = threading.Barrier(8)

    def write(number: int) -> None:
        gate.wait()
        outcomes.append((number, lake.write_json("objects/race.json", number, if_absent=True)))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for number, is_mine in outcomes if is_mine]
    assert len(outcomes) == 8
    assert winners == [lake.read_json("objects/race.json")]


def test_a_bucket_is_made_once(fresh_lake: Lake) -> None:
    fresh_lake.write_json("kept.json", 1)
    fresh_lake.create_bucket(fresh_lake.bucket)
    assert fresh_lake.read_json("kept.json") == 1


def test_environment_takes_the_lake_to_a_child(lake: Lake) -> None:
    lake.write_json("objects/child.json", "hello")
    code = "from marquee.lake.objects import Lake; print(Lake.from_environment().read_json('objects/child.json'))"
    environment = {**os.environ, **lake.environment()}
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert child.stdout == "hello\n"
    assert Lake.from_environment(lake.environment()) == lake


def test_every_missing_variable_is_named(lake: Lake) -> None:
    environment = lake.environment() | {"AWS_REGION": ""}
    del environment["MARQUEE_BUCKET"]
    with pytest.raises(LakeError, match=r"AWS_REGION, MARQUEE_BUCKET missing"):
        Lake.from_environment(environment)


def test_no_secret_shows(lake: Lake) -> None:
    shown = f"{lake!r} {lake} {vars(lake).keys()}"
    assert lake.secret_key not in shown
    assert lake.access_key not in shown


def read_by_boto(lake: Lake) -> Any:
    return lake.read_json("x.json")


def write_by_boto(lake: Lake) -> Any:
    return lake.write_json("x.json", 1)


def look_by_boto(lake: Lake) -> Any:
    return lake.exists("x.json")


def write_by_arrow(lake: Lake) -> Any:
    with lake_errors("write x", lake), lake.filesystem().open_output_stream(f"{lake.bucket}/x") as stream:
        return stream.write(b"x")


def read_by_arrow(lake: Lake) -> Any:
    with lake_errors("read x", lake):
        return lake.filesystem().open_input_file(f"{lake.bucket}/no/such").read()


def write_by_delta(lake: Lake) -> Any:
    with lake_errors("write table t", lake):
        write_deltalake(lake.uri("t"), pa.table({"a": [1]}), storage_options=lake.storage_options())


def look_by_delta(lake: Lake) -> Any:
    with lake_errors("look for table t", lake):
        return DeltaTable.is_deltatable(lake.uri("t"), storage_options=lake.storage_options())


ALL = [read_by_boto, write_by_boto, look_by_boto, write_by_arrow, write_by_delta, look_by_delta]


def refused(call: Callable[[Lake], Any], lake: Lake) -> LakeError:
    with pytest.raises(LakeError) as caught:
        call(lake)
    message = str(caught.value)
    assert lake.secret_key not in message
    assert "\x1b" not in message
    assert "\n" not in message
    assert lake.endpoint in message
    return caught.value


@pytest.mark.parametrize("call", ALL)
def test_a_missing_bucket_is_named(lake: Lake, call: Callable[[Lake], Any]) -> None:
    error = refused(call, replace(lake, bucket="no-such-bucket"))
    assert str(error).startswith(f"Bucket no-such-bucket does not exist at {lake.endpoint}")
    assert "s3.bucket" in str(error)
    assert not error.is_transient


@pytest.mark.parametrize("call", ALL)
def test_a_wrong_secret_names_its_setting(lake: Lake, call: Callable[[Lake], Any]) -> None:
    error = refused(call, replace(lake, secret_key="wrong" * 8))
    assert "s3.secret_key" in str(error)
    assert not error.is_transient


@pytest.mark.parametrize("call", ALL)
def test_an_unknown_key_names_its_setting(lake: Lake, call: Callable[[Lake], Any]) -> None:
    error = refused(call, replace(lake, access_key="AKUNKNOWN"))
    assert "s3.access_key" in str(error)
    assert not error.is_transient


@pytest.mark.parametrize("call", [read_by_boto, write_by_arrow, look_by_delta])
def test_a_server_that_is_down_is_transient(lake: Lake, call: Callable[[Lake], Any]) -> None:
    error = refused(call, replace(lake, endpoint="http://127.0.0.1:9"))
    assert "does not answer" in str(error)
    assert error.is_transient


@pytest.mark.parametrize("call", [read_by_boto, read_by_arrow])
def test_a_missing_object_is_named(lake: Lake, call: Callable[[Lake], Any]) -> None:
    assert "is missing" in str(refused(call, lake))


def test_what_is_no_json_is_named(lake: Lake) -> None:
    lake.client().put_object(Bucket=lake.bucket, Key="objects/torn.json", Body=b'{"a": ')
    with pytest.raises(LakeError, match=r"torn\.json is no JSON"):
        lake.read_json("objects/torn.json")


def test_a_full_disk_is_a_sentence_and_keeps_what_was_there(small_lake: Lake) -> None:
    small_lake.write_json("kept.json", 1)
    client = small_lake.client()
    with pytest.raises(LakeError) as caught, lake_errors("fill", small_lake):
        for number in range(30):
            client.put_object(Bucket=small_lake.bucket, Key=f"fill/{number}", Body=bytes(3_000_000))
    assert "free space" in str(caught.value)
    assert caught.value.is_transient
    assert small_lake.read_json("kept.json") == 1


def test_errors_of_others_pass_unchanged(lake: Lake) -> None:
    with pytest.raises(FileNotFoundError), lake_errors("read", lake):
        open("/no/such/file").close()  # noqa: PTH123
    with pytest.raises(LakeError, match="mine"), lake_errors("read", lake):
        raise LakeError("mine")


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:8333", "ftp://host", "http://", "http://me:secret@host:8333"])
def test_an_endpoint_is_a_url_without_a_login(lake: Lake, endpoint: str) -> None:
    with pytest.raises(LakeError, match=r"s3\.endpoint") as caught:
        replace(lake, endpoint=endpoint)
    assert "secret" not in str(caught.value)
