"""Forgetting, step by step. Each step can be repeated: after it was cut off anywhere, and when it is done.

The order makes it so. Where the rows are in the raw files is written down first; the tables come before the raw files,
for once those are empty nobody can tell any more which rows of quarantine were the person's; the request goes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from marquee.forgetting import downloads, logs, raw_files, requests, results, rows
from marquee.forgetting.finding import find
from marquee.forgetting.requests import Record
from marquee.lake.objects import Lake
from marquee.lake.raw import manifests
from marquee.releases import forgetting as releases

if TYPE_CHECKING:
    from marquee.sinks import Sink


def find_lines(lake: Lake, request: str, scratch: Path) -> dict[str, int]:
    """Look for the rows in all raw files, and write their places down.

    Args:
        scratch: folder for one unpacked file at a time.

    Returns:
        `raw_files` looked into (by sha256), and `rows` found in them, earlier tries included.

    Raises:
        LakeError: there is no such request, or the store refuses.
        SourceError: a raw file is damaged.
    """
    subject = requests.subject_of(lake, request)
    staged = raw_files.batches(lake)
    if subject is not None:
        for sha256 in staged:
            raw_files.settle(lake, sha256)
            requests.add_places(lake, request, sha256, find(lake, manifests(lake, sha256), subject, scratch))
    found = requests.all_places(lake, request)
    return {"raw_files": len(staged), "rows": sum(edit.rows for edits in found.values() for edit in edits)}


def clean_tables(lake: Lake, request: str) -> dict[str, int]:
    """Take the rows out of all tables, and of what is prepared of them; what jobs and validations left says no id.

    Returns:
        Table -> rows that the request has taken out of its versions.

    Raises:
        LakeError: there is no such request, or the store refuses.
    """
    subject = requests.subject_of(lake, request)
    names = rows.tables_of(lake)
    if subject is not None:
        edits = requests.all_places(lake, request)
        for table in names:
            rows.take_out(lake, table, rows.cleaner_of(table, subject, edits), request)
            logs.strip(lake, table, subject)
        results.clean(lake, subject)
    return {table: rows.removed_rows(lake, table, request)[0] for table in names}


def clean_releases(lake: Lake, request: str, folder: Path, sinks: Sequence[Sink] = ()) -> list[str]:
    """Take the rows out of all releases that are kept, here and in the bucket, and of what the sinks hold.

    Args:
        folder: the serving folder.
        sinks: where the current release is besides.

    Returns:
        The releases that this call has changed.

    Raises:
        LakeError: there is no such request, or the store refuses.
        ReleaseError: a release can't be read or written, another works on them (transient), or a sink refuses.
    """
    subject = requests.subject_of(lake, request)
    return [] if subject is None else releases.clean(lake, folder, subject, sinks)


def clean_raw_files(lake: Lake, request: str, at: str, scratch: Path, cache: Path) -> dict[str, int]:
    """Empty the lines in the raw files, and remove the downloads that are kept of them.

    Args:
        at: when the run was asked for, ISO 8601 in UTC.
        scratch: folder for one file at a time that is written.
        cache: folder of downloads.

    Returns:
        sha256 of raw files -> rows that the request has taken out of them.

    Raises:
        LakeError: there is no such request, or the store refuses.
        SourceError: a raw file is damaged.
    """
    subject = requests.subject_of(lake, request)
    if subject is not None:
        for sha256, edits in requests.all_places(lake, request).items():
            raw_files.redact(lake, sha256, edits, subject, request=request, at=at, scratch=scratch)
            downloads.remove(cache, {done.before for done in raw_files.redactions(lake, sha256, request)})
    return _raw_rows(lake, request)


def finish(lake: Lake, request: str) -> Record:
    """Write the record, and remove the request. A request that is done already gives its record.

    Raises:
        LakeError: there is no such request, or the store refuses.
    """
    subject = requests.subject_of(lake, request)
    record = requests.record_of(lake, request)
    if record is None and subject is not None:
        removed = {table: rows.removed_rows(lake, table, request) for table in rows.tables_of(lake)}
        raw = _raw_rows(lake, request)
        record = Record(
            request=request,
            kind=subject.kind,
            rows={"raw": sum(raw.values())} | {table: n for table, (n, _) in removed.items() if n},
            raw_batches=tuple(raw),
            versions={table: version for table, (_, version) in removed.items() if version is not None},
            requested_at=requests.requested_at(lake, request),
            done_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
    if record is None:
        raise requests.unknown(request)
    requests.finish(lake, record)
    return requests.record_of(lake, request) or record


def _raw_rows(lake: Lake, request: str) -> dict[str, int]:
    found = {sha256: raw_files.redactions(lake, sha256, request) for sha256 in raw_files.batches(lake)}
    return {sha256: sum(done.rows for done in of_batch) for sha256, of_batch in found.items() if of_batch}
