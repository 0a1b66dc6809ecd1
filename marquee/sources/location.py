"""Sources: from what a person names to a file or folder on this machine."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from marquee.errors import SourceError
from marquee.lake.objects import Lake
from marquee.sources import bucket
from marquee.sources.archive import is_archive
from marquee.sources.download import Progress, download
from marquee.sources.files import check_sum, checked_sha256, file_errors, sha256_of
from marquee.sources.names import has_control_letters, path_of, without_secrets

# A scheme has two letters or more, so that a Windows drive is none.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


@dataclass(frozen=True)
class Located:
    """A source on this machine.

    `source` is what the person named, without credentials and query string; `name` is the file's or folder's own.
    """

    source: str
    path: Path
    kind: Literal["file", "folder", "archive"]

    @property
    def name(self) -> str:
        return self.path.name

    def shown(self, path: str) -> str:
        """One of its files as a person knows it: `ml.zip!/ml/ratings.csv`, or a path."""
        if self.kind == "archive":
            return f"{self.name}!/{path}"
        return str(self.path / path if self.kind == "folder" else self.path)


def locate(
    source: str,
    cache: Path,
    *,
    sha256: str = "",
    progress: Progress | None = None,
    lake: Callable[[], Lake] = Lake.from_environment,
) -> Located:
    """Find a source, and bring it to this machine where it is elsewhere.

    Args:
        source: a path of a file, folder or archive (zip, or tar, which may be packed), a `file:` URL, an http(s) URL,
            or `s3://bucket/key`, where a key that is no object is a folder of objects.
        cache: folder that keeps downloads.
        sha256: what the file's sum has to be, 64 hex digits; empty: not checked.
        progress: called while downloading with the bytes so far, and all bytes where the server tells.
        lake: what gives the login to read an `s3://` source with.

    Raises:
        SourceError: it is missing, empty, unreadable, or has another sum; transient where the network failed.
        LakeError: an `s3://` source can't be read since the object store fails, or is not set.
    """
    expected = checked_sha256(sha256)
    text = source.strip()
    if not text:
        raise SourceError("No source is given: name a file, folder, archive or URL with ratings.")
    if has_control_letters(text):
        raise SourceError(f"{text!r} holds letters that can't be printed: check its spelling.")
    scheme = match[1].lower() if (match := _SCHEME.match(text)) else ""
    if scheme in ("http", "https"):
        return _local(download(text, cache, sha256=expected, progress=progress), without_secrets(text), "")
    if scheme == "s3" and (uri := bucket.checked(text)):
        return _local(bucket.fetch(uri, cache, lake(), sha256=expected, progress=progress), uri, expected)
    if scheme == "file":
        return _local(path_of(text), without_secrets(text), expected)
    if scheme and "://" in text:
        raise SourceError(
            f"{without_secrets(text)} has a scheme that Marquee does not read ({scheme}:): "
            "name a path, or a file:, http:, https: or s3: URL."
        )
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise SourceError(f"{text} starts with the home of a user who does not exist: write the whole path.") from None
    return _local(path, text, expected)


def _local(path: Path, source: str, sha256: str) -> Located:
    with file_errors(path):
        status = path.stat()
        # A link to a file keeps its own name, which tells more than its target's; a folder may be named by dots.
        absolute = path.resolve() if stat.S_ISDIR(status.st_mode) else path.absolute()
    if stat.S_ISDIR(status.st_mode):
        if sha256:
            raise SourceError(f"{path} is a folder, and a sha256 is that of one file: leave it empty, or name a file.")
        return Located(source, absolute, "folder")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{path} is neither a file nor a folder: name one with ratings.")
    if status.st_size == 0:
        raise SourceError(f"{path} is empty (0 bytes): name a file with ratings.")
    if sha256:
        check_sum(str(path), sha256, sha256_of(absolute))
    return Located(source, absolute, "archive" if is_archive(absolute) else "file")
