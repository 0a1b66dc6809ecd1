"""Raw files without a subject's rows: the object is written anew under its key, and every manifest of it tells so.

The key keeps the sha256 of what was received, so the same bytes ingested again are known, and nothing of them comes
back. A manifest tells that its file is about to change before it does: whoever comes after a crash measures it again.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from marquee.forgetting.archives import Editor, rewrite
from marquee.forgetting.edits import Edit, apply
from marquee.forgetting.objects import keys
from marquee.forgetting.subject import Subject
from marquee.lake.objects import Lake
from marquee.lake.raw import (
    CHUNK_BYTES,
    Manifest,
    RawFile,
    Redaction,
    cutters,
    file_key,
    manifest_key,
    manifests,
    open_object,
)
from marquee.lake.uploads import Upload, upload_all
from marquee.sources.archive import archive_errors

RAW = "raw/"


def batches(lake: Lake) -> list[str]:
    """The sha256 of all raw files that were staged to their end."""
    found = (key.removeprefix(RAW).split("/") for key in keys(lake, RAW) if key.endswith(".manifest.json"))
    return sorted({parts[0] for parts in found})


def settle(lake: Lake, sha256: str) -> None:
    """Where a redaction was cut off, tell the file as it is now.

    Raises:
        LakeError: the store refuses.
    """
    for name in [file.name for file in manifests(lake, sha256)[0].files if _pending(file)]:
        with open_object(lake, file_key(sha256, name)) as stream:
            size, sum_ = _measured(stream)
            for manifest in manifests(lake, sha256):
                file = _file(manifest, name)
                pending = _pending(file)
                if pending is None:
                    continue
                others = tuple(redaction for redaction in file.redactions if redaction != pending)
                if sum_ == file.sha256:
                    settled = replace(file, redactions=others)
                else:
                    settled = _as_it_is(manifest, file, stream, size, sum_)
                    settled = replace(settled, redactions=(*others, replace(pending, is_done=True)))
                _save(lake, manifest, settled)


def redact(
    lake: Lake, sha256: str, edits: Sequence[Edit], subject: Subject, *, request: str, at: str, scratch: Path
) -> None:
    """Take the edits' lines out of the raw files of one sha256; what is out already is left alone.

    Args:
        at: when, ISO 8601 in UTC, as the manifests tell it.
        scratch: folder for the file that is written.

    Raises:
        LakeError: the store refuses.
        SourceError: what is packed is damaged.
    """
    by_file: dict[str, list[Edit]] = {}
    for edit in edits:
        by_file.setdefault(edit.file, []).append(edit)
    for name, of_file in by_file.items():
        _redact_file(lake, sha256, name, of_file, subject, Redaction(request, at, 0, "", is_done=False), scratch)


def _redact_file(
    lake: Lake,
    sha256: str,
    name: str,
    edits: Sequence[Edit],
    subject: Subject,
    redaction: Redaction,
    scratch: Path,
) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    key = file_key(sha256, name)
    with tempfile.TemporaryDirectory(dir=scratch) as folder, (Path(folder) / "new").open("w+b") as new:
        with archive_errors(name), open_object(lake, key) as old:
            _write(old, new, name, edits, subject, scratch)
        size, sum_ = _measured(new)
        found = manifests(lake, sha256)
        sum_before = _file(found[0], name).sha256
        if sum_ == sum_before:
            return
        earlier = _file(found[0], name).redactions
        before = sum(done.rows for done in earlier if done.request == redaction.request)
        pending = replace(redaction, rows=sum(edit.rows for edit in edits) - before, before=sum_before)
        for manifest in found:
            file = _file(manifest, name)
            _save(lake, manifest, replace(file, redactions=(*file.redactions, pending)))
        done = [_as_it_is(manifest, _file(manifest, name), new, size, sum_) for manifest in found]
        new.flush()
        upload_all(lake, [Upload(Path(new.name), key, size, sum_)])
        for manifest, file in zip(found, done, strict=True):
            _save(lake, manifest, replace(file, redactions=(*file.redactions, replace(pending, is_done=True))))


def _write(old: IO[bytes], new: IO[bytes], name: str, edits: Sequence[Edit], subject: Subject, scratch: Path) -> None:
    by_member: dict[str | None, list[Edit]] = {}
    for edit in edits:
        by_member.setdefault(edit.member, []).append(edit)
    if None in by_member:
        apply(by_member[None], subject, old, new)
        return

    def editor(of_member: list[Edit]) -> Editor:
        return lambda source, target: apply(of_member, subject, source, target)

    editors = {member: editor(of_member) for member, of_member in by_member.items() if member is not None}
    rewrite(old, new, name, editors, scratch)


def redactions(lake: Lake, sha256: str, request: str) -> list[Redaction]:
    """What a request took out of the raw files of one sha256."""
    files = manifests(lake, sha256)[0].files
    return [done for file in files for done in file.redactions if done.request == request]


def _pending(file: RawFile) -> Redaction | None:
    return next((redaction for redaction in file.redactions if not redaction.is_done), None)


def _file(manifest: Manifest, name: str) -> RawFile:
    return next(file for file in manifest.files if file.name == name)


def _as_it_is(manifest: Manifest, file: RawFile, stream: IO[bytes], size: int, sum_: str) -> RawFile:
    """The file with the size, sum and cuts that its bytes have."""
    cutter = cutters(manifest.members, manifest.reading).get(file.name)
    if cutter is not None:
        stream.seek(0)
        while chunk := stream.read(CHUNK_BYTES):
            cutter.feed(chunk)
    return replace(file, size=size, sha256=sum_, index=cutter.index if cutter else ())


def _measured(stream: IO[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    stream.seek(0)
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _save(lake: Lake, manifest: Manifest, changed: RawFile) -> None:
    files = tuple(changed if file.name == changed.name else file for file in manifest.files)
    lake.write_json(manifest_key(manifest.batch), replace(manifest, files=files).to_json())
