"""Raw files: kept in the lake as they were received, under the sha256 of their bytes, and never changed.

raw/<sha256>/<file name>       one object a file
raw/<sha256>/manifest.json     written last: where it is, the files are whole
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from marquee.errors import LakeError, SourceError
from marquee.lake.objects import Lake, lake_errors
from marquee.sources.archive import archive_errors, open_inside
from marquee.sources.files import file_errors
from marquee.sources.recognition import Member, Recognised

__all__ = ["Manifest", "Member", "RawFile", "open_member", "read_manifest", "stage"]

# 10,000 parts at most, so objects may have up to 160 GB.
PART_BYTES = 16 << 20
PARTS_AT_ONCE = 3
READ_AHEAD_BYTES = 8 << 20
CHUNK_BYTES = 1 << 20

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class RawFile:
    """A file as received: its name, size in bytes, and sha256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What was received, once, as a batch.

    Attributes:
        sha256: the batch's name. One file: its own sha256. Several: that of the sorted lines "sha256  name\\n".
        name: the file's or folder's name, as a person knows it.
        source: where it came from, without credentials and query string.
        format: one of `marquee.sources.FORMATS`.
        members: which table is in which file.
        received_at: when, ISO 8601 in UTC.
        is_generated: made up by a generator; `parameters` are the generator's, else None.
    """

    sha256: str
    name: str
    source: str
    format: str
    files: tuple[RawFile, ...]
    members: tuple[Member, ...]
    received_at: str
    is_generated: bool = False
    parameters: dict[str, Any] | None = None

    def member(self, table: str) -> Member | None:
        """Where that table is; None where the source has none."""
        return next((member for member in self.members if member.table == table), None)


def file_key(sha256: str, name: str) -> str:
    return f"raw/{sha256}/{name}"


def manifest_key(sha256: str) -> str:
    return file_key(sha256, "manifest.json")


def stage(lake: Lake, recognised: Recognised, received_at: str) -> Manifest:
    """Put the source's files into the lake, unless they are there: the same bytes are kept once.

    Each file is streamed in parts; the server checks each part against its sha256. The manifest is written last, and
    by one of several who stage the same at once. Staging the same bytes again uploads nothing and gives the first
    manifest, unless they are to be read as another format: then the manifest says so from now on.

    Args:
        received_at: when the source was received, ISO 8601 in UTC: the run's time, so that a retry says the same.

    Raises:
        SourceError: a file can't be read, or changed while it was.
        LakeError: the store refuses.
    """
    files = tuple(_measure(path) for path in recognised.files)
    manifest = Manifest(
        sha256=batch_sha256(files),
        name=recognised.located.name,
        source=recognised.located.source,
        format=recognised.format,
        files=files,
        members=recognised.members,
        received_at=received_at,
        is_generated=recognised.is_generated,
        parameters=recognised.parameters,
    )
    key = manifest_key(manifest.sha256)
    is_there = lake.exists(key)
    if is_there:
        first = read_manifest(lake, manifest.sha256)
        if first.format == manifest.format:
            return first
    for path, file in zip(recognised.files, files, strict=True):
        _upload(lake, path, file_key(manifest.sha256, file.name), file)
    is_ours = lake.write_json(key, asdict(manifest), if_absent=not is_there)
    return manifest if is_ours else read_manifest(lake, manifest.sha256)


def batch_sha256(files: Iterable[RawFile]) -> str:
    """The batch's name, from the sums and names of its files; the order of the files does not matter."""
    listed = list(files)
    if len(listed) == 1:
        return listed[0].sha256
    lines = sorted(f"{file.sha256}  {file.name}\n" for file in listed)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_manifest(lake: Lake, sha256: str) -> Manifest:
    """What was received under that sha256.

    Raises:
        LakeError: nothing was, or the manifest is not as `stage` writes it, or the store refuses.
    """
    if not _SHA256.fullmatch(sha256):
        raise LakeError(f"{sha256!r} is no sha256 of a raw batch: give its 64 lower-case hex digits.")
    key = manifest_key(sha256)
    if not lake.exists(key):
        raise LakeError(f"No raw batch {sha256} is in the lake ({lake.uri(key)}): ingest its source again.")
    value = lake.read_json(key)
    try:
        files = tuple(RawFile(**file) for file in value.pop("files"))
        members = tuple(Member(**member) for member in value.pop("members"))
        return Manifest(files=files, members=members, **value)
    except (TypeError, KeyError, AttributeError) as error:
        raise LakeError(f"{lake.uri(key)} is no manifest ({error}): remove it, and ingest its source again.") from None


def open_member(lake: Lake, manifest: Manifest, member: Member) -> BinaryIO:
    """A table's file as a stream of its bytes, unpacked, straight from the store.

    Memory is bounded by a few times `READ_AHEAD_BYTES`, whatever the size. Close it, or use it in a `with`.

    Raises:
        LakeError: the object is missing, or the store refuses; while reading too.
        SourceError: the archive is damaged; while reading too.
    """
    return io.BufferedReader(_MemberStream(lake, manifest, member), CHUNK_BYTES)


class _MemberStream(io.RawIOBase):
    """The member's bytes, with the errors of all layers below as sentences."""

    def __init__(self, lake: Lake, manifest: Manifest, member: Member) -> None:
        super().__init__()
        self._lake, self._name = lake, member.name
        with ExitStack() as closing, archive_errors(self._name), lake_errors(f"read {self._name}", lake):
            path = f"{lake.bucket}/{file_key(manifest.sha256, member.file)}"
            # Ranged reads, each retried by itself: a broken connection in the middle costs one range.
            native = closing.enter_context(lake.filesystem().open_input_file(path))
            file: IO[bytes] = closing.enter_context(io.BufferedReader(native, READ_AHEAD_BYTES))
            self._stream = file if member.member is None else open_inside(file, member.member, closing)
            self._closing = closing.pop_all()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with archive_errors(self._name), lake_errors(f"read {self._name}", self._lake):
            chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed and hasattr(self, "_closing"):
            self._closing.close()
        super().close()


def _measure(path: Path) -> RawFile:
    digest, size = hashlib.sha256(), 0
    with file_errors(path), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return RawFile(path.name, size, digest.hexdigest())


def _upload(lake: Lake, path: Path, key: str, file: RawFile) -> None:
    """Stream a file to the store; the object appears only if all its bytes are those that were measured.

    Raises:
        SourceError: the file can't be read, or has changed since.
        LakeError: the store refuses.
    """
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(
        multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS_AT_ONCE
    )
    with lake_errors(f"upload {file.name} to {lake.uri(key)}", lake), file_errors(path), path.open("rb") as opened:
        lake.client().upload_fileobj(
            _CheckedReader(opened, path, file),
            lake.bucket,
            key,
            ExtraArgs={"ChecksumAlgorithm": "SHA256"},
            Config=config,
        )


class _CheckedReader:
    """A file's bytes, which have to be the measured ones: else its last read fails, and the upload with it.

    It can't seek, so that the upload reads it once and in order.
    """

    def __init__(self, file: BinaryIO, path: Path, measured: RawFile) -> None:
        self._file, self._path, self._measured = file, path, measured
        self._digest, self._size = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        self._size += len(chunk)
        is_end = size < 0 or len(chunk) < size or self._size >= self._measured.size
        if is_end and (self._size, self._digest.hexdigest()) != (self._measured.size, self._measured.sha256):
            raise SourceError(
                f"{self._path} changed while it was read (had {self._measured.size:,} bytes, now others): "
                "wait until nobody writes it, then run this again.",
                is_transient=True,
            )
        return chunk
