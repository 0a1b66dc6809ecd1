"""Sources in an object store (`s3://bucket/key`): an object is a file, a prefix is a folder of files.

They are read with the login and at the server of the lake, whatever the bucket, and are kept in the cache like any
download: asked for again only where their ETags changed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from marquee.errors import SourceError
from marquee.sources import kept
from marquee.sources.files import file_errors, sha256_of
from marquee.sources.names import has_control_letters

if TYPE_CHECKING:
    from marquee.lake.objects import Lake

Progress = Callable[[int, int | None], None]

CHUNK_BYTES = 1 << 20
OBJECTS_AT_ONCE = 8
SCHEME = "s3://"
# Where the cache has what an address means: it may become a folder that was a file.
FILE, FOLDER = "file", "folder"


@dataclass(frozen=True)
class _Object:
    """An object: its key, its path in the source, its size in bytes, and by what the server knows its version."""

    key: str
    path: PurePosixPath
    size: int
    etag: str


def checked(text: str) -> str:
    """The address as it is written here.

    Raises:
        SourceError: it names no bucket, or a login.
    """
    bucket = text[len(SCHEME) :].partition("/")[0]
    if text[: len(SCHEME)].lower() != SCHEME or not bucket or "@" in bucket:
        raise SourceError("The source is no address in a bucket: write s3://bucket/key, without a login.")
    return SCHEME + text[len(SCHEME) :]


def fetch(uri: str, cache: Path, lake: Lake, *, sha256: str = "", progress: Progress | None = None) -> Path:
    """The file or folder behind an `s3://` address, in the cache.

    Args:
        sha256: with it, a kept file of that sum is taken without asking anybody.

    Raises:
        SourceError: there is no such object or prefix, it may not be read, changed meanwhile, or its keys can't be
            names of files; or the disk is full.
        LakeError: the server does not answer or refuses the login.
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    # Equal addresses of two servers are two sources.
    name = hashlib.sha256(f"{lake.endpoint} {uri}".encode()).hexdigest()[:32]
    folder = cache / f"s3-{name}"
    own_name = PurePosixPath(key).name or bucket
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        kept.remove_stale(folder)
    if sha256 and (file := folder / FILE / own_name).is_file() and sha256_of(file) == sha256:
        return file
    with _refusals(uri, lake):
        objects = _objects(lake, bucket, key)
    if not objects:
        raise SourceError(f"{uri} does not exist at {lake.endpoint}: check its spelling.")
    root = folder / (FOLDER if objects[0].path.parts else FILE) / own_name
    _fetch_all(objects, root, folder, lake, bucket, progress)
    return root


def _objects(lake: Lake, bucket: str, key: str) -> list[_Object]:
    """The object of that key, else all whose keys start with it and a slash."""
    client = lake.client()
    if key and not key.endswith("/"):
        # Keys come in their order, so the first that starts so is the key itself, if it is there.
        for entry in client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", []):
            if entry["Key"] == key:
                return [_Object(key, PurePosixPath(), entry["Size"], entry["ETag"])]
    prefix = f"{key.rstrip('/')}/" if key.rstrip("/") else ""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [
        _Object(entry["Key"], path_below(entry["Key"], prefix), entry["Size"], entry["ETag"])
        for page in pages
        for entry in page.get("Contents", [])
        if not entry["Key"].endswith("/")
    ]


def path_below(key: str, prefix: str) -> PurePosixPath:
    """Where an object lies below the source's folder; never outside.

    Raises:
        SourceError: its key can't be such a path.
    """
    parts = key.removeprefix(prefix).split("/")
    if any(part in ("", ".", "..") or has_control_letters(part) for part in parts):
        raise SourceError(f"{key!r} can't be the path of a file: rename the object, or name the others one by one.")
    return PurePosixPath(*parts)


def _fetch_all(
    objects: list[_Object], root: Path, folder: Path, lake: Lake, bucket: str, progress: Progress | None
) -> None:
    """Bring the folder to what the objects are now."""
    versions: dict[str, list[str]] = kept.noted(folder) or {}
    wanted = {str(entry.path) for entry in objects}
    done, lock = 0, threading.Lock()
    total = sum(entry.size for entry in objects)

    def count(n_bytes: int) -> None:
        nonlocal done
        with lock:
            done += n_bytes
            if progress:
                progress(done, total)

    def bring(entry: _Object) -> tuple[str, list[str]]:
        path = root / entry.path
        etag, sha256 = versions.get(str(entry.path), ("", ""))
        if etag == entry.etag and path.is_file() and sha256_of(path) == sha256:
            count(entry.size)
        else:
            sha256 = _download(entry, path, lake, bucket, count)
        return str(entry.path), [entry.etag, sha256]

    with file_errors(root):
        if root.is_dir():
            for path in [path for path in root.rglob("*") if path.is_file()]:
                if path.suffix != kept.TEMPORARY and path.relative_to(root).as_posix() not in wanted:
                    path.unlink()
    with ThreadPoolExecutor(OBJECTS_AT_ONCE) as pool:
        try:
            kept.note(folder, dict(pool.map(bring, objects)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _download(entry: _Object, path: Path, lake: Lake, bucket: str, count: Callable[[int], None]) -> str:
    """Bring one object, and give the sha256 of its bytes."""
    digest = hashlib.sha256()
    uri = f"{SCHEME}{bucket}/{entry.key}"
    with file_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with kept.writing(path) as file, _refusals(uri, lake):
        body = lake.client().get_object(Bucket=bucket, Key=entry.key, IfMatch=entry.etag)["Body"]
        while chunk := body.read(CHUNK_BYTES):
            digest.update(chunk)
            with file_errors(path):
                file.write(chunk)
            count(len(chunk))
    return digest.hexdigest()


@contextmanager
def _refusals(uri: str, lake: Lake) -> Iterator[None]:
    """Turn refusals into sentences: of the source where it is at fault, else of the server."""
    from botocore.exceptions import ClientError

    from marquee.lake.objects import lake_errors

    with lake_errors(f"read {uri}", lake):
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchBucket":
                raise SourceError(f"{uri} names a bucket that does not exist at {lake.endpoint}: check it.") from error
            if code in ("AccessDenied", "Forbidden"):
                raise SourceError(
                    f"{uri} may not be read with the lake's login at {lake.endpoint} ({code}): let that login read it, "
                    "or copy the file to where it can."
                ) from error
            if code in ("PreconditionFailed", "NoSuchKey"):
                raise SourceError(
                    f"{uri} changed while it was read: wait until nobody writes it, then run this again.",
                    is_transient=True,
                ) from error
            raise
