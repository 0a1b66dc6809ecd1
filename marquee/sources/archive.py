"""Archives (zip; tar, plain or gz, bz2, xz): what is in them, and a member as a stream. Nothing is unpacked to disk."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from marquee.errors import SourceError

CHUNK = 1 << 20

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_USTAR_AT = 257


@dataclass(frozen=True)
class Entry:
    """A file in an archive or folder: its path there, with slashes, and its size in bytes."""

    path: str
    size: int


def is_archive(path: Path) -> bool:
    """Whether the file claims to be an archive, by its first bytes or its name (a broken one claims so too)."""
    with path.open("rb") as file:
        head = file.read(_USTAR_AT + 5)
    name = path.name.lower()
    return head.startswith(_ZIP_STARTS) or head[_USTAR_AT:] == b"ustar" or name.endswith((".zip", *_TAR_ENDINGS))


def entries(path: Path) -> list[Entry]:
    """The regular files of an archive, in its order; a name that is in it twice counts once.

    A tar is read to its end, so one that is cut off or damaged is found here.

    Raises:
        SourceError: it can't be read.
    """
    with archive_errors(path.name), path.open("rb") as file:
        if _is_zip(file):
            with zipfile.ZipFile(file) as archive:
                found = [Entry(info.filename, info.file_size) for info in archive.infolist() if not info.is_dir()]
        else:
            with tarfile.open(fileobj=file, mode="r:*") as tar:
                found = [Entry(info.name, info.size) for info in tar if info.isreg()]
                # The sum of a compressed tar stands behind its last block.
                while tar.fileobj is not None and tar.fileobj.read(CHUNK):
                    pass
    return list({entry.path: entry for entry in reversed(found)}.values())[::-1]


def open_inside(file: IO[bytes], member: str, closing: ExitStack) -> IO[bytes]:
    """A member of the archive as a stream of its bytes, in bounded memory.

    Args:
        file: the archive, seekable; it has to stay open.
        closing: closes what was opened here.

    Raises:
        SourceError: there is no such member, or it is encrypted.
        zipfile.BadZipFile, tarfile.TarError, EOFError, OSError: the archive is damaged; `archive_errors` turns
            these into sentences, while reading too.
    """
    if _is_zip(file):
        archive = closing.enter_context(zipfile.ZipFile(file))
        # The first of two members of one name, as everywhere here.
        info = next((info for info in archive.infolist() if info.filename == member), None)
        if info is not None and info.flag_bits & 0x1:
            raise SourceError(f"{member} is encrypted: pack it again without a password.")
        if info is not None:
            return closing.enter_context(archive.open(info))
    else:
        tar = closing.enter_context(tarfile.open(fileobj=file, mode="r:*"))  # noqa: SIM115
        for header in tar:
            if header.name == member and header.isreg() and (stream := tar.extractfile(header)):
                return closing.enter_context(stream)
    raise SourceError(f"{member} is not in the archive: check that nobody has replaced it.")


def check_member(path: Path, member: str) -> None:
    """Read a zip's member to its end, which checks its sum; a tar's were checked by `entries`.

    Raises:
        SourceError: it is damaged, encrypted or packed in a way that Python can't read.
    """
    with archive_errors(f"{path.name}!/{member}"), ExitStack() as closing:
        file = closing.enter_context(path.open("rb"))
        if _is_zip(file):
            stream = open_inside(file, member, closing)
            while stream.read(CHUNK):
                pass


@contextmanager
def archive_errors(name: str) -> Iterator[None]:
    """Turn what zipfile, tarfile and the decompressors say of damage into a sentence.

    Raises:
        SourceError: in place of the library's error.
    """
    damage = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)
    try:
        yield
    except NotImplementedError as error:
        raise SourceError(
            f"{name} is packed in a way that is not understood ({error}): pack it again with deflate."
        ) from error
    except damage as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise SourceError(
            f"{name} can't be read as an archive, it is cut off or damaged ({reason}): get the file again."
        ) from error


def _is_zip(file: IO[bytes]) -> bool:
    start = file.read(4)
    file.seek(0)
    return start in _ZIP_STARTS
