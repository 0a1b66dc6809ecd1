"""Local files: their sha256, and what the operating system refuses, as sentences."""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marquee.errors import SourceError

_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256_of(path: Path) -> str:
    """The file's sha256, 64 lower-case hex digits.

    Raises:
        SourceError: the file can't be read.
    """
    with file_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_sha256(text: str) -> str:
    """A sha256 as a person gives it, in lower case; empty where none is given.

    Raises:
        SourceError: it is not 64 hex digits.
    """
    sha256 = text.strip().lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise SourceError(f"{text!r} is no sha256: give its 64 hex digits, or leave it empty.")
    return sha256


def check_sum(name: str, expected: str, found: str) -> None:
    """Compare two sums.

    Raises:
        SourceError: they differ; both are in the message in full.
    """
    if found != expected:
        raise SourceError(
            f"{name} has the wrong checksum (sha256 expected {expected}, found {found}): get the file again, "
            "or give the sum of the version you mean."
        )


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals about `path` into sentences.

    Raises:
        SourceError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise SourceError(_sentence(path, error)) from error


def _sentence(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"{path} does not exist: check its spelling (relative paths start at {Path.cwd()})."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path} may not be read or written by this user: change its permissions."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {path} is full: free space there, then run this again."
    if error.errno == errno.ENOTDIR:
        return f"{path} does not exist, since a part of it is a file and no folder: check its spelling."
    if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        return f"{path} can't be opened ({error.strerror}): check its spelling and its links."
    return f"{path} can't be read or written ({error.strerror or error}): check its disk, then run this again."
