"""Requests to forget, and the records of those that are done.

forget/requests/<request>.json      who or what, until it is done: the only place where the id is written down
forget/places/<request>/<sha>.json  where its rows were in the raw files, until it is done
forget/records/<request>.json       what was done: numbers, versions and times, nothing of the person

A request's name is random, so that the run of a DAG can carry it and tell nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from marquee.errors import LakeError
from marquee.forgetting.edits import Edit
from marquee.forgetting.objects import keys, remove
from marquee.forgetting.subject import Kind, Subject
from marquee.lake.objects import Lake

REQUESTS, PLACES, RECORDS = "forget/requests/", "forget/places/", "forget/records/"


@dataclass(frozen=True)
class Asked:
    """A request that is not done: its name, what kind of thing is to be forgotten, and since when (ISO 8601, UTC)."""

    request: str
    kind: Kind
    requested_at: str


@dataclass(frozen=True)
class Record:
    """What a request has done.

    Attributes:
        rows: place -> rows that were taken out there: "raw" of the raw files, and the tables.
        raw_batches: sha256 of the raw files that lost rows.
        versions: table -> its last version that the request made.
        requested_at, done_at: ISO 8601 in UTC.
    """

    request: str
    kind: Kind
    rows: Mapping[str, int]
    raw_batches: tuple[str, ...]
    versions: Mapping[str, int]
    requested_at: str
    done_at: str


def ask(lake: Lake, subject: Subject, requested_at: str) -> str:
    """Write a request down, and give its name.

    Raises:
        LakeError: the id is empty, or the store refuses.
    """
    if not subject.id:
        raise LakeError(f"The {subject.kind} to forget has no id: give it as the source spells it.")
    request = str(uuid.uuid4())
    value = {"kind": subject.kind, "id": subject.id, "requested_at": requested_at}
    lake.write_json(f"{REQUESTS}{request}.json", value)
    return request


def subject_of(lake: Lake, request: str) -> Subject | None:
    """Who or what a request is about; None where it is done already.

    Raises:
        LakeError: there is no such request.
    """
    key = f"{REQUESTS}{_checked(request)}.json"
    if not lake.exists(key):
        if lake.exists(f"{RECORDS}{request}.json"):
            return None
        raise unknown(request)
    value = lake.read_json(key)
    if value.get("kind") not in get_args(Kind) or not isinstance(value.get("id"), str) or not value["id"]:
        raise LakeError(f"{lake.uri(key)} is no request to forget: remove it, and run `marquee forget` again.")
    return Subject(value["kind"], value["id"])


def unknown(request: str) -> LakeError:
    return LakeError(
        f"There is no request {request} to forget: `marquee forget --user ID` makes one (an id must not be typed into "
        "Airflow's form, which keeps it)."
    )


def asked(lake: Lake) -> list[Asked]:
    """The requests that are not done, the oldest first.

    Raises:
        LakeError: the store refuses.
    """
    found = []
    for key in keys(lake, REQUESTS):
        value = lake.read_json(key)
        name = key.removeprefix(REQUESTS).removesuffix(".json")
        found.append(Asked(name, value["kind"], value["requested_at"]))
    return sorted(found, key=lambda one: one.requested_at)


def records(lake: Lake) -> list[Record]:
    """The records of all requests that are done, the oldest first.

    Raises:
        LakeError: the store refuses.
    """
    found = [_record(lake.read_json(key)) for key in keys(lake, RECORDS)]
    return sorted(found, key=lambda record: record.done_at)


def record_of(lake: Lake, request: str) -> Record | None:
    """The record of a request; None where it is not done."""
    key = f"{RECORDS}{_checked(request)}.json"
    return _record(lake.read_json(key)) if lake.exists(key) else None


def finish(lake: Lake, record: Record) -> None:
    """Keep the record, and remove the request with all that it has written down. Can be repeated.

    Raises:
        LakeError: the store refuses.
    """
    lake.write_json(f"{RECORDS}{record.request}.json", asdict(record), if_absent=True)
    remove(lake, keys(lake, f"{PLACES}{record.request}/"))
    remove(lake, [f"{REQUESTS}{record.request}.json"])


def requested_at(lake: Lake, request: str) -> str:
    return str(lake.read_json(f"{REQUESTS}{_checked(request)}.json")["requested_at"])


def add_places(lake: Lake, request: str, sha256: str, edits: list[Edit]) -> None:
    """Keep where rows were found in raw files, beside what was found before: once they are gone, nobody finds them."""
    known = places(lake, request, sha256)
    new = [edit for edit in edits if edit not in known]
    if new:
        lake.write_json(f"{PLACES}{request}/{sha256}.json", [edit.to_json() for edit in (*known, *new)])


def places(lake: Lake, request: str, sha256: str) -> list[Edit]:
    """Where the rows of a request were found in the raw files of one sha256."""
    key = f"{PLACES}{_checked(request)}/{sha256}.json"
    return [Edit.from_json(value) for value in lake.read_json(key)] if lake.exists(key) else []


def all_places(lake: Lake, request: str) -> dict[str, list[Edit]]:
    """The same of all raw files, by their sha256."""
    prefix = f"{PLACES}{_checked(request)}/"
    names = [key.removeprefix(prefix).removesuffix(".json") for key in keys(lake, prefix)]
    return {sha256: places(lake, request, sha256) for sha256 in names}


def _record(value: dict[str, Any]) -> Record:
    return Record(**{**value, "raw_batches": tuple(value["raw_batches"])})


def _checked(request: str) -> str:
    try:
        is_uuid = str(uuid.UUID(request)) == request
    except ValueError:
        is_uuid = False
    if not is_uuid:
        raise LakeError(
            f"{request[:40]!r} is no name of a request to forget: `marquee forget --list` shows those that there are."
        )
    return request
