"""Local files to objects of the lake: each whole or not at all, with exactly the bytes that were measured.

Taking the sum of a file first and sending it then costs less than doing both in one pass: an object is named after that
sum, so it would have to be copied in the store afterwards (the sum of 676 MB takes 0.7 s, its upload 15 s).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from marquee.errors import SourceError
from marquee.lake.objects import Lake, lake_errors
from marquee.sources.files import file_errors

# 10,000 parts at most, so objects may have up to 160 GB. Smaller files are one request each, many at once.
PART_BYTES = 16 << 20
PARTS_AT_ONCE = 3
FILES_AT_ONCE = 8

# Without a type SeaweedFS looks into the bytes, finds text, and packs it: that costs it more than all else it does.
CONTENT_TYPE = "application/octet-stream"

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True)
class Upload:
    """A local file, the object that it becomes, and what was measured of it: size in bytes, sha256 in hex."""

    path: Path
    key: str
    size: int
    sha256: str


def upload_all(lake: Lake, uploads: Sequence[Upload]) -> None:
    """Send files to the store; an object appears only if all its bytes are those that were measured.

    Raises:
        SourceError: a file can't be read, or has changed since.
        LakeError: the store refuses.
    """
    at_once(lambda upload: _upload_small(lake, upload), [upload for upload in uploads if upload.size < PART_BYTES])
    for upload in uploads:
        if upload.size >= PART_BYTES:
            _upload_in_parts(lake, upload)


def at_once(work: Callable[[A], T], of: Iterable[A]) -> list[T]:
    """The results of several calls at once, in order; the first that fails ends them."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        try:
            return list(pool.map(work, of))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _upload_small(lake: Lake, upload: Upload) -> None:
    with lake_errors(f"upload {upload.path.name} to {lake.uri(upload.key)}", lake), file_errors(upload.path):
        body = upload.path.read_bytes() if upload.path.stat().st_size == upload.size else b""
        if hashlib.sha256(body).hexdigest() != upload.sha256:
            raise _changed(upload)
        lake.client().put_object(
            Bucket=lake.bucket,
            Key=upload.key,
            Body=body,
            ContentType=CONTENT_TYPE,
            ChecksumSHA256=base64.b64encode(bytes.fromhex(upload.sha256)).decode(),
        )


def _upload_in_parts(lake: Lake, upload: Upload) -> None:
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(
        multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=PARTS_AT_ONCE
    )
    config.max_in_memory_upload_chunks = PARTS_AT_ONCE + 1
    with (
        lake_errors(f"upload {upload.path.name} to {lake.uri(upload.key)}", lake),
        file_errors(upload.path),
        upload.path.open("rb") as file,
    ):
        client = lake.client()
        client.meta.events.register("before-sign.s3.UploadPart", _with_type, unique_id="marquee-type-of-parts")
        client.upload_fileobj(
            _CheckedReader(file, upload),
            lake.bucket,
            upload.key,
            ExtraArgs={"ChecksumAlgorithm": "SHA256", "ContentType": CONTENT_TYPE},
            Config=config,
        )


def _with_type(request: Any, **_: Any) -> None:
    """Give a part its type, which boto3 gives to whole objects only."""
    request.headers["Content-Type"] = CONTENT_TYPE


class _CheckedReader:
    """A file's bytes, which have to be the measured ones: else its last read fails, and the upload with it.

    It can't seek, so that the upload reads it once and in order.
    """

    def __init__(self, file: IO[bytes], measured: Upload) -> None:
        self._file, self._measured = file, measured
        self._digest, self._size = hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        self._size += len(chunk)
        is_end = size < 0 or len(chunk) < size or self._size >= self._measured.size
        if is_end and (self._size, self._digest.hexdigest()) != (self._measured.size, self._measured.sha256):
            raise _changed(self._measured)
        return chunk


def _changed(upload: Upload) -> SourceError:
    return SourceError(
        f"{upload.path} changed while it was read (had {upload.size:,} bytes, now others): wait until nobody writes "
        "it, then run this again.",
        is_transient=True,
    )
