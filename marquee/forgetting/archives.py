"""Archives member by member, and written anew with some members changed; all others keep their content and order."""

from __future__ import annotations

import copy
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from marquee.errors import SourceError
from marquee.forgetting.packing import packed
from marquee.sources.archive import INNER, is_inner, is_zip
from marquee.sources.packing import HEAD_BYTES, packing_of, unpacked

#: Writes a member's new bytes, given its old ones.
Editor = Callable[[IO[bytes], IO[bytes]], None]

_BUFFER = 2048 * tarfile.BLOCKSIZE
_CHUNK = 1 << 20


def walk(file: IO[bytes], name: str) -> Iterator[tuple[str, IO[bytes]]]:
    """All files of an archive as streams of their bytes, those of a tar in it too; each is good until the next.

    Raises:
        SourceError: a member is encrypted, or a packed archive is damaged.
        zipfile.BadZipFile, tarfile.TarError, EOFError, OSError: the archive is damaged.
    """
    if not is_zip(file):
        yield from _walk_tar(file, name, "")
        return
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                with _open(archive, info) as stream:
                    yield info.filename, stream


def rewrite(file: IO[bytes], target: IO[bytes], name: str, editors: Mapping[str, Editor], scratch: Path) -> None:
    """Write the archive to `target` with its members of these paths changed.

    Args:
        scratch: folder for a member at a time.

    Raises: as `walk`.
    """
    if not is_zip(file):
        _rewrite_tar(file, target, name, "", editors, scratch)
        return
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(target, "w") as new:
        new.comment = archive.comment
        for info in archive.infolist():
            header = zipfile.ZipInfo(info.filename, info.date_time)
            header.compress_type, header.comment = info.compress_type, info.comment
            header.external_attr, header.create_system = info.external_attr, info.create_system
            if info.is_dir():
                new.writestr(header, b"")
                continue
            # How long it will be is known when it is written: 4 GB and more need the larger header from the start.
            with _open(archive, info) as stream, new.open(header, "w", force_zip64=info.file_size > 1 << 31) as out:
                editors.get(info.filename, _copy)(stream, out)


def _walk_tar(file: IO[bytes], name: str, inside: str) -> Iterator[tuple[str, IO[bytes]]]:
    plain = unpacked(file, _packing(file), name)
    with tarfile.open(fileobj=plain, mode="r|", bufsize=_BUFFER) as tar:
        for header in tar:
            if not header.isreg() or (stream := tar.extractfile(header)) is None:
                continue
            if is_inner(header, inside):
                yield from _walk_tar(stream, f"{name}{INNER}{header.name}", inside + header.name + INNER)
            else:
                yield inside + header.name, stream


def _rewrite_tar(
    file: IO[bytes], target: IO[bytes], name: str, inside: str, editors: Mapping[str, Editor], scratch: Path
) -> None:
    packing = _packing(file)
    plain = unpacked(file, packing, name)
    with (
        packed(target, packing) as out,
        tarfile.open(fileobj=plain, mode="r|", bufsize=_BUFFER) as tar,
        tarfile.open(fileobj=out, mode="w|", bufsize=_BUFFER) as new,
    ):
        for header in tar:
            stream = tar.extractfile(header) if header.isreg() else None
            path = inside + header.name
            is_changed = path in editors or any(other.startswith(path + INNER) for other in editors)
            if stream is None or not is_changed:
                new.addfile(header, stream)
                continue
            scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=scratch) as held:
                if path in editors:
                    editors[path](stream, held)
                else:
                    _rewrite_tar(stream, held, f"{name}{INNER}{header.name}", path + INNER, editors, scratch)
                changed = copy.copy(header)
                changed.size = held.tell()
                # A size told beside the header, as that of a very large file is, would be believed before it.
                changed.pax_headers = {key: text for key, text in header.pax_headers.items() if key != "size"}
                held.seek(0)
                new.addfile(changed, held)


def _packing(file: IO[bytes]) -> str:
    return packing_of(file.peek(HEAD_BYTES)[:HEAD_BYTES])  # type: ignore[attr-defined]


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.flag_bits & 0x1:
        raise SourceError(f"{info.filename} is encrypted: pack it again without a password.")
    return archive.open(info)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    shutil.copyfileobj(source, target, _CHUNK)
