"""Downloads: streamed to the cache, whole or not at all, checked, and asked for again only when they changed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from marquee.errors import SourceError
from marquee.sources import kept
from marquee.sources.files import check_sum, file_errors, sha256_of
from marquee.sources.names import has_control_letters, without_secrets

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int | None], None]

CONNECT_SECONDS = 10
READ_SECONDS = 60
_HTML_STARTS = (b"<!doctype html", b"<html")


@dataclass(frozen=True)
class Origin:
    """What is kept beside a download: its name and sum, and by what the server knows its version."""

    name: str
    sha256: str
    etag: str
    last_modified: str


def download(url: str, cache: Path, *, sha256: str = "", progress: Progress | None = None) -> Path:
    """The file behind an http(s) URL, in the cache.

    With `sha256` a kept file of that sum is taken without asking anybody. Without, the server is asked whether the
    kept file is still its version. The file appears under its name only when it is whole and its sum is right.

    Raises:
        SourceError: no network or a failing server (transient); the URL is refused; a wrong sum; a web page in
            place of a file; a full disk.
    """
    import httpx

    # httpx logs whole URLs, and a query string may be a signature.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    shown = without_secrets(url)
    # A known sum is the best name: the same bytes from another address are the same file.
    folder = cache / (sha256 or f"url-{hashlib.sha256(url.encode()).hexdigest()[:32]}")
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        kept.remove_stale(folder)
    first = _whole(folder)
    if first and sha256 and first.sha256 == sha256:
        return folder / first.name
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    try:
        with httpx.Client(follow_redirects=True, timeout=timeout) as client:
            headers = {"Accept-Encoding": "identity"} | _conditions(first)
            with client.stream("GET", url, headers=headers) as answer:
                if answer.status_code == httpx.codes.NOT_MODIFIED and first:
                    return folder / first.name
                _check_status(answer, shown)
                return _save(answer, url, folder, sha256, progress)
    except httpx.InvalidURL as error:
        raise SourceError(f"{shown} is no URL that can be asked ({error}): check its spelling.") from None
    except httpx.TooManyRedirects:
        raise SourceError(
            f"{shown} only leads on to other addresses: open it in a browser, and name the last."
        ) from None
    except httpx.RequestError as error:
        reason = str(error) or type(error).__name__
        raise SourceError(
            f"{shown} can't be downloaded, the network or the server fails ({reason}): check the connection, "
            "or name a local file.",
            is_transient=True,
        ) from error


def _conditions(first: Origin | None) -> dict[str, str]:
    if first is None:
        return {}
    if first.etag:
        return {"If-None-Match": first.etag}
    return {"If-Modified-Since": first.last_modified} if first.last_modified else {}


def _check_status(answer: httpx.Response, shown: str) -> None:
    status = answer.status_code
    if status == 200:
        return
    reason = f"HTTP {status} {answer.reason_phrase}".rstrip()
    if status >= 500 or status in (408, 425, 429):
        raise SourceError(
            f"{shown} can't be downloaded now ({reason}): try again later, or name a local file.", is_transient=True
        )
    if status in (401, 403):
        raise SourceError(f"{shown} needs a login or is forbidden ({reason}): download it by hand, and name the file.")
    raise SourceError(f"{shown} can't be downloaded ({reason}): check its spelling.")


def _save(answer: httpx.Response, url: str, folder: Path, sha256: str, progress: Progress | None) -> Path:
    name = _file_name(answer, url)
    length = answer.headers.get("content-length", "")
    total = int(length) if length.isdigit() else None
    digest = hashlib.sha256()
    done, start = 0, b""
    with kept.writing(folder / name) as file:
        for chunk in _bytes_of(answer, name):
            start = start or chunk[:512]
            digest.update(chunk)
            with file_errors(folder):
                file.write(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)
        shown = without_secrets(url)
        if done == 0:
            raise SourceError(f"{shown} is empty (0 bytes): name another address.")
        if sha256:
            check_sum(shown, sha256, digest.hexdigest())
        if start.lstrip().lower().startswith(_HTML_STARTS):
            raise SourceError(f"{shown} answers with a web page: open it in a browser to find the file's own URL.")
    kept.note(folder, asdict(Origin(name, digest.hexdigest(), *_version(answer))))
    return folder / name


def _bytes_of(answer: httpx.Response, name: str) -> Iterator[bytes]:
    """The file's bytes. Some servers call a .tar.gz an encoding of a tar: its bytes as sent are the file."""
    is_encoded = answer.headers.get("content-encoding", "identity") != "identity"
    is_packed = name.lower().endswith((".gz", ".tgz"))
    return answer.iter_bytes() if is_encoded and not is_packed else answer.iter_raw()


def _version(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers.get("etag", ""), answer.headers.get("last-modified", "")


def _file_name(answer: httpx.Response, url: str) -> str:
    """The name the server gives the file, else the last part of its address; never a path."""
    header = Message()
    header["content-disposition"] = answer.headers.get("content-disposition", "")
    candidates = [header.get_filename() or "", urlsplit(url).path, answer.url.path]
    names = [PurePosixPath(unquote(candidate).replace("\\", "/")).name for candidate in candidates]
    is_usable = [bool(name) and name not in (kept.ORIGIN, "..") and not has_control_letters(name) for name in names]
    # File systems take 255 bytes; the ending tells the format, so that is what stays.
    return next((name[-60:] for name, usable in zip(names, is_usable, strict=True) if usable), "download")


def _whole(folder: Path) -> Origin | None:
    """The download that the folder holds, if it is whole: its sum is the one that was noted."""
    try:
        origin = Origin(**kept.noted(folder))
        is_whole = sha256_of(folder / origin.name) == origin.sha256
    except (TypeError, SourceError):
        return None
    return origin if is_whole else None
