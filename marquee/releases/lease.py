"""One lease: who may publish, roll back, pin or remove releases now, on whatever machine.

It is an object of the bucket, changed by conditional puts alone (If-None-Match for the first, If-Match with the ETag
after it), so of several who want it one gets it. Its number, the *fence*, rises with each holder. Who holds it renews
it; one that is not renewed for `seconds` by the store's own clock may be taken. A holder that was paused for longer is
told so by `Lease.check`, and whatever it still does is refused by the ledger and the link, which keep the highest fence
that they have seen (Kleppmann, "How to do distributed locking", 2016).
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from marquee.errors import LakeError, ReleaseError
from marquee.lake.objects import Lake, lake_errors

KEY = "releases/lease.json"
#: A holder that is not heard of for so long has lost it.
SECONDS = 30.0
#: How long to wait for it: a release of a large data set takes its time.
WAIT_SECONDS = 900.0


@dataclass(frozen=True)
class _State:
    """The object, and what the store says of it: ETag, when it was written, and its clock; no object: fence 0."""

    fence: int
    owner: str
    what: str
    seconds: float
    is_held: bool
    etag: str = ""
    written_at: datetime | None = None
    read_at: datetime | None = None

    @property
    def is_free(self) -> bool:
        if not self.is_held or self.written_at is None or self.read_at is None:
            return True
        # Both are whole seconds, so one more is given.
        return (self.read_at - self.written_at).total_seconds() > self.seconds + 1

    def body(self) -> bytes:
        names = ("fence", "owner", "what", "seconds", "is_held")
        return json.dumps({name: getattr(self, name) for name in names}, indent=2).encode()


class Lease:
    """A lease that is held; `fence` is its number."""

    def __init__(self, lake: Lake, state: _State) -> None:
        self._lake, self._state, self._lock = lake, state, threading.Lock()

    @property
    def fence(self) -> int:
        return self._state.fence

    def check(self) -> None:
        """Renew it: from now on it is this one's for another `seconds`.

        Raises:
            ReleaseError: it is another's by now (transient).
            LakeError: the store refuses.
        """
        with self._lock:
            # The same bytes have the same ETag: a renewal whose answer was lost is repeated without harm.
            etag = _put(self._lake, self._state, {"IfMatch": self._state.etag})
            if etag is None:
                raise lost(self.fence)
            self._state = replace(self._state, etag=etag)

    def give_back(self) -> None:
        """Let the next one have it; one that is lost stays where it is."""
        with self._lock, suppress(LakeError):
            _put(self._lake, replace(self._state, is_held=False), {"IfMatch": self._state.etag})


@contextmanager
def hold(lake: Lake, what: str, *, seconds: float = SECONDS, wait_seconds: float = WAIT_SECONDS) -> Iterator[Lease]:
    """Wait for the lease, and hold it, renewed by a thread, for as long as the block runs.

    Args:
        what: what it is for, as "publish release r1"; others are told so.
        seconds: for how long it holds without a renewal.
        wait_seconds: for how long to wait for it.

    Raises:
        ReleaseError: another holds it all the time (transient).
        LakeError: the store refuses.
    """
    lease = _acquire(lake, what, seconds, wait_seconds)
    is_over = threading.Event()
    beat = threading.Thread(target=_keep, args=(lease, is_over, seconds / 3), daemon=True, name="marquee-lease")
    beat.start()
    try:
        yield lease
    finally:
        is_over.set()
        beat.join()
        lease.give_back()


def lost(fence: int) -> ReleaseError:
    """That the lease of this number is another's by now."""
    return ReleaseError(
        f"Lease {fence} was lost: this process was paused or cut off for too long, and another one took over. Nothing "
        "was switched by it since; look at `marquee releases`, and run it again if it is still wanted.",
        is_transient=True,
    )


def _keep(lease: Lease, is_over: threading.Event, pause: float) -> None:
    while not is_over.wait(pause):
        try:
            lease.check()
        except LakeError:
            continue  # the store may answer again in time
        except ReleaseError:
            return  # whoever works under it hears so from its own check


def _acquire(lake: Lake, what: str, seconds: float, wait_seconds: float) -> Lease:
    from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_random

    owner = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"
    last: list[_State] = []

    def once() -> Lease | None:
        state = _read(lake)
        last[:] = [state]
        if not state.is_free:
            return None
        mine = _State(state.fence + 1, owner, what, seconds, is_held=True)
        etag = _put(lake, mine, {"IfMatch": state.etag} if state.etag else {"IfNoneMatch": "*"})
        if etag is None:
            # Somebody was faster; or it was this one, and the answer to its first try was lost.
            found = _read(lake)
            etag = found.etag if found.owner == owner and found.is_held else None
        return None if etag is None else Lease(lake, replace(mine, etag=etag))

    tries = Retrying(
        stop=stop_after_delay(wait_seconds), wait=wait_random(0.1, 0.6), retry=retry_if_result(lambda got: got is None)
    )
    try:
        lease = tries(once)
    except RetryError:
        raise ReleaseError(
            f"Another process works on the releases ({last[0].what}, {last[0].owner}): wait for it, and run it again.",
            is_transient=True,
        ) from None
    assert lease is not None  # noqa: S101 - for mypy: None is tried again
    return lease


def _read(lake: Lake) -> _State:
    from botocore.exceptions import ClientError

    with lake_errors(f"read {lake.uri(KEY)}", lake):
        try:
            found = lake.client().get_object(Bucket=lake.bucket, Key=KEY)
            value: dict[str, Any] = json.loads(found["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return _State(0, "", "", 0.0, is_held=False)
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    return _State(**value, etag=found["ETag"], written_at=found["LastModified"], read_at=now)


def _put(lake: Lake, state: _State, condition: dict[str, str]) -> str | None:
    """The object's new ETag; None where the condition does not hold."""
    from botocore.exceptions import ClientError

    with lake_errors(f"write {lake.uri(KEY)}", lake):
        try:
            done = lake.client().put_object(
                Bucket=lake.bucket, Key=KEY, Body=state.body(), ContentType="application/json", **condition
            )
        except ClientError as error:
            # 409: another conditional put of this moment came first (Amazon's answer).
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                return None
            raise
    return str(done["ETag"])
