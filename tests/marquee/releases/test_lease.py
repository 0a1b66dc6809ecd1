"""The lease, on a real S3 server: one holder, a rising number, and nothing for one who was paused too long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from marquee.errors import ReleaseError
from marquee.lake.objects import Lake
from marquee.releases import lease, ledger
from tests.marquee.releases import small


def test_the_number_rises_with_each_holder(fresh_lake: Lake) -> None:
    fences = []
    for _ in range(3):
        with lease.hold(fresh_lake, "look") as held:
            held.check()
            fences.append(held.fence)
    assert fences == [1, 2, 3]
    assert not fresh_lake.read_json(lease.KEY)["is_held"]


def test_one_at_a_time_holds_it(fresh_lake: Lake) -> None:
    inside: list[int] = []

    def work(number: int) -> int:
        with lease.hold(fresh_lake, f"work {number}") as held:
            inside.append(number)
            assert len(inside) == 1
            held.check()
            inside.remove(number)
            return held.fence

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(work, range(6))) == [1, 2, 3, 4, 5, 6]


def test_one_that_is_held_is_waited_for_and_then_told_of(fresh_lake: Lake) -> None:
    with (
        lease.hold(fresh_lake, "publish release r1"),
        pytest.raises(ReleaseError, match=r"Another process works on the releases \(publish release r1, ") as told,
        lease.hold(fresh_lake, "publish release r2", wait_seconds=1),
    ):
        raise AssertionError("two hold it")
    assert told.value.is_transient


def test_a_block_that_fails_gives_it_back(fresh_lake: Lake) -> None:
    with pytest.raises(KeyError), lease.hold(fresh_lake, "fail"):
        raise KeyError
    with lease.hold(fresh_lake, "go on", wait_seconds=0) as held:
        assert held.fence == 2


def test_it_is_kept_for_longer_than_its_seconds_by_renewing_it(fresh_lake: Lake) -> None:
    with lease.hold(fresh_lake, "a long build", seconds=1) as held:
        time.sleep(4)
        with pytest.raises(ReleaseError, match="a long build"), lease.hold(fresh_lake, "other", wait_seconds=0):
            raise AssertionError("two hold it")
        held.check()


HOLDER = """
import json, sys
from marquee.errors import ReleaseError
from marquee.lake.objects import Lake
from marquee.releases import lease, ledger
from tests.marquee.releases import small

lake = Lake.from_environment()
with lease.hold(lake, "to be paused", seconds=1) as held:
    print("held", flush=True)
    sys.stdin.readline()
    told = []
    row = ledger.row("publish", "late", small.asked("late"), model_name="m", model_version="1")
    for act in (held.check, lambda: ledger.add(lake, lambda rows: [row], fence=held.fence, schema=small.SCHEMA)):
        try:
            act()
        except ReleaseError as error:
            told.append(str(error))
print(json.dumps(told))
"""


def test_who_was_paused_beyond_its_time_writes_nothing_any_more(fresh_lake: Lake) -> None:
    environment = {**os.environ, **fresh_lake.environment(), "PYTHONPATH": str(Path.cwd())}
    paused = subprocess.Popen(
        [sys.executable, "-c", HOLDER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert paused.stdout is not None and paused.stdout.readline() == "held\n"
        paused.send_signal(signal.SIGSTOP)
        with lease.hold(fresh_lake, "take over", seconds=30, wait_seconds=60) as held:
            row = ledger.row("publish", "r1", small.asked("in time"), model_name="m", model_version="1")
            ledger.add(fresh_lake, lambda rows: [row], fence=held.fence, schema=small.SCHEMA)
            paused.send_signal(signal.SIGCONT)
            told = json.loads(paused.communicate("go on\n", timeout=60)[0])
            held.check()
    finally:
        paused.kill()
        paused.wait()
    assert [sentence.split(":")[0] for sentence in told] == ["Lease 1 was lost", "Lease 1 was lost"]
    assert [(row["release_id"], row["fence"]) for row in ledger.read(fresh_lake)] == [("r1", 2)]
