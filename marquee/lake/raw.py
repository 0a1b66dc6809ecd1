"""Raw files: kept in the lake as they were received, under the sha256 of their bytes.

Nothing changes them but forgetting a person or item (`marquee.forgetting`): then lines are emptied, the names stay, and
the manifests tell of it.

raw/<sha256>/<file name>               one object a file
raw/<sha256>/<digest>.manifest.json    how they are read, written last: where one is, the files are whole
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, BinaryIO

from marquee.errors import LakeError
from marquee.lake.objects import Lake, lake_errors
from marquee.lake.uploads import Upload, at_once, upload_all
from marquee.sources.archive import archive_errors, streams
from marquee.sources.cutting import CUT_BYTES, Cutter, can_be_cut
from marquee.sources.files import file_errors
from marquee.sources.packing import unpacked
from marquee.sources.reading import Reading, Source
from marquee.sources.recognition import Member, Recognised

__all__ = [
    "Manifest",
    "Member",
    "RawFile",
    "Redaction",
    "manifests",
    "open_member",
    "open_members",
    "open_object",
    "read_manifest",
    "stage",
]

READ_AHEAD_BYTES = 8 << 20
CHUNK_BYTES = 1 << 20

MANIFEST = ".manifest.json"

_BATCH = re.compile(r"[0-9a-f]{64}-[0-9a-f]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Redaction:
    """Rows that were taken out of a raw file, by a request to forget: how many, and when (ISO 8601 in UTC).

    `before` is the file's sha256 until then, by which copies of it are known.
    While `is_done` is False the object may already be the new one or not yet: nobody else can tell its size and sum.
    """

    request: str
    at: str
    rows: int
    before: str
    is_done: bool = True


@dataclass(frozen=True)
class RawFile:
    """A file as received, or as it is since rows of it were forgotten.

    Attributes:
        name: its own, or its path in the folder that was received.
        size: in bytes.
        sha256: in hex.
        index: where it may be cut for several readers, in order: (byte offset, number of the line that starts there),
            the file's first line being 1. Empty where it is short, or can only be read as a whole.
        redactions: what was taken out of it since.
    """

    name: str
    size: int
    sha256: str
    index: tuple[tuple[int, int], ...] = ()
    redactions: tuple[Redaction, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """What was received, and how it is read: a batch.

    Attributes:
        sha256: of the bytes. One file: its own sha256. Several: that of the sorted lines "sha256  name\\n".
        name: the file's or folder's name, as a person knows it.
        source: where it came from, without credentials and query string.
        reading: how it is read.
        members: which table is in which file.
        received_at: when, ISO 8601 in UTC.
        is_generated: made up by a generator; `parameters` are the generator's, else None.
    """

    sha256: str
    name: str
    source: str
    reading: Source
    files: tuple[RawFile, ...]
    members: tuple[Member, ...]
    received_at: str
    is_generated: bool = False
    parameters: dict[str, Any] | None = None

    @property
    def batch(self) -> str:
        """The batch's name: the same bytes read the same way."""
        return f"{self.sha256}-{self.reading.digest}"

    def of(self, table: str) -> tuple[Member, ...]:
        """Where that table is; empty where the source has none."""
        return tuple(member for member in self.members if member.table == table)

    def reading_of(self, member: Member) -> Reading:
        """How that member is read."""
        return member.reading(self.reading)

    def to_json(self) -> dict[str, Any]:
        """The manifest in JSON's types."""
        return {
            **vars(self),
            "reading": self.reading.to_json(),
            "files": [asdict(file) for file in self.files],
            "members": [asdict(member) for member in self.members],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Manifest:
        """What `to_json` gave.

        Raises:
            TypeError, KeyError, AttributeError, ValueError: it is something else.
        """
        files = tuple(
            RawFile(
                **{
                    **file,
                    "index": tuple((offset, line) for offset, line in file["index"]),
                    "redactions": tuple(Redaction(**redaction) for redaction in file["redactions"]),
                }
            )
            for file in value["files"]
        )
        members = tuple(Member(**member) for member in value["members"])
        return cls(**{**value, "files": files, "members": members, "reading": Source.model_validate(value["reading"])})


def file_key(sha256: str, name: str) -> str:
    return f"raw/{sha256}/{name}"


def manifest_key(batch: str) -> str:
    sha256, _, digest = batch.partition("-")
    return file_key(sha256, digest + MANIFEST)


def stage(lake: Lake, recognised: Recognised, received_at: str, *, cut_bytes: int = CUT_BYTES) -> Manifest:
    """Put the source's files into the lake, unless they are there: the same bytes are kept once.

    The server checks what it gets against its sha256. The manifest is written last, and by one of several who stage the
    same at once. Staging the same bytes again uploads nothing: read the same way they give the first manifest, read
    another way they get one more.

    Args:
        received_at: when the source was received, ISO 8601 in UTC: the run's time, so that a retry says the same.
        cut_bytes: how far apart the places are, at least, where a text file may be cut.

    Raises:
        SourceError: a file can't be read, or changed while it was.
        LakeError: the store refuses.
    """
    cutter_of = cutters(recognised.members, recognised.reading, cut_bytes)

    def measure(name: str) -> RawFile:
        return _measure(name, recognised.files[name], cutter_of.get(name))

    files = tuple(at_once(measure, recognised.files))
    manifest = Manifest(
        sha256=batch_sha256(files),
        name=recognised.located.name,
        source=recognised.located.source,
        reading=recognised.reading,
        files=files,
        members=recognised.members,
        received_at=received_at,
        is_generated=recognised.is_generated,
        parameters=recognised.parameters,
    )
    key = manifest_key(manifest.batch)
    if lake.exists(key):
        return read_manifest(lake, manifest.batch)
    if others := manifests(lake, manifest.sha256):
        manifest = _as_they_lie(others[0], manifest)
    else:
        paths = recognised.files
        upload_all(
            lake,
            [Upload(paths[file.name], file_key(manifest.sha256, file.name), file.size, file.sha256) for file in files],
        )
    is_ours = lake.write_json(key, manifest.to_json(), if_absent=True)
    return manifest if is_ours else read_manifest(lake, manifest.batch)


def cutters(members: Sequence[Member], source: Source, distance: int = CUT_BYTES) -> dict[str, Cutter]:
    """What finds the cuts of each file that may be cut: text that is not packed, and is read in one way.

    Args:
        distance: bytes between two cuts, at least.
    """
    plain = [member for member in members if member.member is None and not member.packing]
    readings = {member.file: member.reading(source) for member in plain}
    # Two tables that lie in the same bytes may want other cuts each.
    n_tables = Counter(member.file for member in plain)
    return {
        name: Cutter(reading, distance)
        for name, reading in readings.items()
        if n_tables[name] == 1 and can_be_cut(reading)
    }


def batch_sha256(files: Iterable[RawFile]) -> str:
    """The bytes' name, from the sums and names of the files; the order of the files does not matter."""
    listed = list(files)
    if len(listed) == 1:
        return listed[0].sha256
    lines = sorted(f"{file.sha256}  {file.name}\n" for file in listed)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_manifest(lake: Lake, batch: str) -> Manifest:
    """What was received as that batch.

    Raises:
        LakeError: nothing was, or the manifest is not as `stage` writes it, or the store refuses.
    """
    if not _BATCH.fullmatch(batch):
        raise LakeError(
            f"{batch!r} is no name of a raw batch: give the 64 hex digits of its sha256, '-', and the 8 of its reading."
        )
    key = manifest_key(batch)
    if not lake.exists(key):
        raise LakeError(f"No raw batch {batch} is in the lake ({lake.uri(key)}): ingest its source again.")
    return _manifest_in(lake, key)


def manifests(lake: Lake, sha256: str) -> list[Manifest]:
    """All ways in which the bytes of that sha256 are read, in the order in which they came; empty: there are no such.

    Raises:
        LakeError: it is no sha256, or a manifest is not as `stage` writes it, or the store refuses.
    """
    if not _SHA256.fullmatch(sha256):
        raise LakeError(f"{sha256!r} is no sha256 of raw files: give its 64 lower-case hex digits.")
    prefix = file_key(sha256, "")
    with lake_errors(f"list {lake.uri(prefix)}", lake):
        pages = lake.client().get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    is_manifest = re.compile(re.escape(prefix) + "[0-9a-f]{8}" + re.escape(MANIFEST))
    found = [_manifest_in(lake, key) for key in keys if is_manifest.fullmatch(key)]
    return sorted(found, key=lambda manifest: (manifest.received_at, manifest.batch))


def open_object(lake: Lake, key: str, size: int | None = None) -> BinaryIO:
    """An object as a stream that can go back, by ranged reads; one that is known to be small, by one request.

    Raises:
        LakeError: it is missing, or the store refuses; while reading too.
    """
    if size is not None and size <= READ_AHEAD_BYTES:
        with lake_errors(f"read {lake.uri(key)}", lake):
            body = lake.client().get_object(Bucket=lake.bucket, Key=key)["Body"].read()
        return io.BufferedReader(io.BytesIO(body))  # type: ignore[arg-type]
    return io.BufferedReader(_LakeFile(lake, key), READ_AHEAD_BYTES)


def open_member(lake: Lake, manifest: Manifest, member: Member) -> BinaryIO:
    """A table's file as a stream of its bytes, unpacked, straight from the store.

    Memory is bounded by a few times `READ_AHEAD_BYTES`, whatever the size. Close it, or use it in a `with`.

    Raises:
        LakeError: the object is missing, or the store refuses; while reading too.
        SourceError: the archive is damaged; while reading too.
    """
    opened = open_members(lake, manifest, [member])
    return io.BufferedReader(_Read(next(opened)[1], member.name, also_close=opened.close), CHUNK_BYTES)


def open_members(
    lake: Lake, manifest: Manifest, members: Sequence[Member]
) -> Generator[tuple[Member, BinaryIO], None, None]:
    """Several files of a batch as streams of their bytes, unpacked; an archive is read once, in its own order.

    A stream is good until the next one is asked for.

    Raises: as `open_member`.
    """
    sizes = {file.name: file.size for file in manifest.files}
    for (file, _), inside in _passes(members).items():
        with archive_errors(file), open_object(lake, file_key(manifest.sha256, file), sizes.get(file)) as whole:
            paths = [path for path in inside if path is not None]
            for path, stream in streams(whole, paths, file) if paths else [(None, whole)]:
                yield inside[path], _plain(stream, inside[path])


def _passes(members: Sequence[Member]) -> dict[tuple[str, int], dict[str | None, Member]]:
    """The members by how often their file has to be read: once, but for tables that lie in the very same bytes."""
    seen: Counter[tuple[str, str | None]] = Counter()
    passes: dict[tuple[str, int], dict[str | None, Member]] = {}
    for member in members:
        place = (member.file, member.member)
        passes.setdefault((member.file, seen[place]), {})[member.member] = member
        seen[place] += 1
    return passes


def _plain(stream: IO[bytes], member: Member) -> BinaryIO:
    """The member's unpacked bytes, with what an archive says of damage as sentences."""
    return io.BufferedReader(_Read(unpacked(stream, member.packing, member.name), member.name), CHUNK_BYTES)


class _Read(io.RawIOBase):
    """A stream whose damage is told in sentences, and with it what else has to be closed."""

    def __init__(self, stream: IO[bytes], name: str, also_close: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._stream, self._name, self._also_close = stream, name, also_close

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with archive_errors(self._name):
            chunk = self._stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._also_close()
        super().close()


class _LakeFile(io.RawIOBase):
    """An object of the lake by ranged reads, each retried by itself: a broken connection in the middle costs one."""

    def __init__(self, lake: Lake, key: str) -> None:
        super().__init__()
        self._lake, self._what = lake, f"read {lake.uri(key)}"
        with lake_errors(self._what, lake):
            self._file = lake.filesystem().open_input_file(f"{lake.bucket}/{key}")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        with lake_errors(self._what, self._lake):
            return int(self._file.readinto(buffer))

    def close(self) -> None:
        if not self.closed and hasattr(self, "_file"):
            self._file.close()
        super().close()


def _as_they_lie(first: Manifest, again: Manifest) -> Manifest:
    """A manifest of bytes that are in the lake already.

    A single file lies there under the name it had first. One that rows were taken out of is no longer the one at hand.
    """
    if len(first.files) == 1:
        name = first.files[0].name
        again = replace(
            again,
            files=(replace(again.files[0], name=name),),
            members=tuple(replace(member, file=name) for member in again.members),
        )
    redacted = {file.name: replace(file, index=()) for file in first.files if file.redactions}
    return replace(again, files=tuple(redacted.get(file.name, file) for file in again.files))


def _manifest_in(lake: Lake, key: str) -> Manifest:
    try:
        return Manifest.from_json(lake.read_json(key))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise LakeError(f"{lake.uri(key)} is no manifest ({reason}): remove it, and ingest its source again.") from None


def _measure(name: str, path: Path, cutter: Cutter | None) -> RawFile:
    digest, size = hashlib.sha256(), 0
    with file_errors(path), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            if cutter:
                cutter.feed(chunk)
    return RawFile(name, size, digest.hexdigest(), cutter.index if cutter else ())
