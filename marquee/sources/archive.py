"""Archives (zip; tar, plain or packed): what is in them, and members as streams. Nothing is unpacked to disk.

A tar that lies in an archive is looked into as well; its members are named `outer.tar!/path`. Names of members are only
ever compared and shown, never used as paths.
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from marquee.errors import SourceError
from marquee.sources.packing import HEAD_BYTES, damaged, packing_of, unpacked

CHUNK = 1 << 20
INNER = "!/"

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst")
_USTAR_AT = 257
_TAR_BUFFER = 2048 * tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Entry:
    """A file in an archive or folder: its path there, with slashes, its size in bytes, and its first bytes if known."""

    path: str
    size: int
    head: bytes | None = field(default=None, compare=False, repr=False)


def is_archive(path: Path) -> bool:
    """Whether the file claims to be an archive, by its first bytes or its name (a broken one claims so too).

    Raises:
        OSError: it can't be read.
    """
    if path.name.lower().endswith((".zip", *_TAR_ENDINGS)):
        return True
    with path.open("rb") as file:
        if file.peek(4).startswith(_ZIP_STARTS):
            return True
        try:
            return (
                unpacked(file, packing_of(file.peek(HEAD_BYTES)), path.name).read(_USTAR_AT + 5)[_USTAR_AT:] == b"ustar"
            )
        except SourceError:
            return False  # a damaged file that is packed; whoever reads it says so


def entries(path: Path) -> list[Entry]:
    """The regular files of an archive, in its order; a name that is in it twice counts once.

    A tar is read to its end, so one that is cut off or damaged is found here.

    Raises:
        SourceError: it can't be read.
    """
    with archive_errors(path.name), path.open("rb") as file:
        if is_zip(file):
            with zipfile.ZipFile(file) as archive:
                found = [Entry(info.filename, info.file_size) for info in archive.infolist() if not info.is_dir()]
        else:
            found = list(_tar_entries(file, path.name, ""))
    return list({entry.path: entry for entry in reversed(found)}.values())[::-1]


def streams(file: IO[bytes], wanted: Collection[str], name: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Members of an archive as streams of their bytes, in the archive's order and in bounded memory.

    A stream is good until the next one is asked for.

    Args:
        file: the archive, which can go back; it has to stay open.
        name: the archive as a person knows it.

    Raises:
        SourceError: a member is not there, or is encrypted.
        zipfile.BadZipFile, tarfile.TarError, EOFError, OSError: the archive is damaged; `archive_errors` turns
            these into sentences, while reading too.
    """
    missing = set(wanted)
    for path, stream in _zip_streams(file, missing) if is_zip(file) else _tar_streams(file, name, "", missing):
        missing.discard(path)
        yield path, stream
        if not missing:
            return
    raise SourceError(f"{name}{INNER}{min(missing)} is not in the archive: check that nobody has replaced it.")


def open_inside(file: IO[bytes], member: str, name: str, closing: ExitStack) -> IO[bytes]:
    """One member of an archive as a stream of its bytes; `closing` closes what was opened here.

    Raises: as `streams`.
    """
    found = streams(file, [member], name)
    closing.callback(found.close)  # type: ignore[attr-defined]
    return next(found)[1]


@contextmanager
def archive_errors(name: str) -> Iterator[None]:
    """Turn what zipfile, tarfile and the decompressors say of damage into a sentence.

    Raises:
        SourceError: in place of the library's error.
    """
    try:
        yield
    except NotImplementedError as error:
        raise SourceError(
            f"{name} is packed in a way that is not understood ({error}): pack it again with deflate."
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise damaged(name, "as an archive", error) from error


def _zip_streams(file: IO[bytes], wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            # The first of two members of one name, as everywhere here.
            if info.filename not in wanted:
                continue
            if info.flag_bits & 0x1:
                raise SourceError(f"{info.filename} is encrypted: pack it again without a password.")
            with archive.open(info) as stream:
                yield info.filename, stream


def _tar_streams(file: IO[bytes], name: str, inside: str, wanted: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    for header, stream in _tar_files(file, name, can_jump=not inside):
        path = inside + header.name
        if path in wanted:
            yield path, stream
        elif is_inner(header, inside) and any(other.startswith(path + INNER) for other in wanted):
            yield from _tar_streams(stream, f"{name}{INNER}{header.name}", path + INNER, wanted)


def _tar_entries(file: IO[bytes], name: str, inside: str) -> Iterator[Entry]:
    for header, stream in _tar_files(file, name, can_jump=not inside):
        path = inside + header.name
        if is_inner(header, inside):
            yield from _tar_entries(stream, f"{name}{INNER}{header.name}", path + INNER)
        else:
            yield Entry(path, header.size, stream.read(HEAD_BYTES))


def _tar_files(file: IO[bytes], name: str, *, can_jump: bool) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """The regular files of a tar: a plain one is read by jumps from header to header, if it can, and any other once,
    from its start to its end."""
    packing = packing_of(file.peek(HEAD_BYTES)[:HEAD_BYTES])  # type: ignore[attr-defined]
    plain = unpacked(file, packing, name)
    with tarfile.open(fileobj=plain, mode="r:" if can_jump and not packing else "r|", bufsize=_TAR_BUFFER) as tar:
        for header in tar:
            if header.isreg() and (stream := tar.extractfile(header)):
                yield header, stream
    # The sum of what is packed stands behind its last block.
    while packing and plain.read(CHUNK):
        pass


def is_inner(header: tarfile.TarInfo, inside: str) -> bool:
    """Whether the member of a tar is a tar to look into; one that lies deeper is a file as any other."""
    return not inside and header.name.lower().endswith(_TAR_ENDINGS)


def is_zip(file: IO[bytes]) -> bool:
    """Whether the file, which can be peeked into, starts as a zip does."""
    return bool(file.peek(4)[:4] in _ZIP_STARTS)  # type: ignore[attr-defined]
