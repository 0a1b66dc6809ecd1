"""Refusals of the object store, from boto3, pyarrow or deltalake, as one sentence each."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marquee.errors import LakeError, MarqueeError

if TYPE_CHECKING:
    from marquee.lake.objects import Lake


@contextmanager
def lake_errors(what: str, lake: Lake | None = None) -> Iterator[None]:
    """Turn refusals of the object store, from boto3, pyarrow or deltalake, into one sentence.

    Args:
        what: what was tried, as a verb phrase: "read table ratings".
        lake: names bucket and server in the sentence; without it they come from the refusal, else the environment.

    Raises:
        LakeError: in place of the library's error; `is_transient` where the same call may succeed later.
    """
    try:
        yield
    except MarqueeError:
        raise
    except Exception as error:
        refusal = _refusal(error, lake)
        if refusal is None:
            raise
        raise _sentence(refusal, what) from error


@dataclass(frozen=True)
class _Refusal:
    """What the three libraries tell of a refusal, in S3's own words."""

    code: str
    status: int
    text: str
    bucket: str
    endpoint: str


# pyarrow: "... for key 'k' in bucket 'b': AWS Error NO_SUCH_BUCKET during ..."
_ARROW = re.compile(r"AWS Error (\w+)")
_ARROW_BUCKET = re.compile(r"in bucket '([^']+)'")
# pyarrow, on a missing object or bucket: "Path does not exist 'bucket/key'"
_ARROW_MISSING = re.compile(r"Path does not exist '([^'/]+)/([^']*)'")
# deltalake: "Error performing GET http://host/bucket/... non-2xx status code: 404 Not Found: <Error><Code>..."
_DELTA = re.compile(r"Generic S3 error|Server returned non-2xx|Error performing \w+ request|lacked the necessary priv")
_DELTA_URL = re.compile(r"Error performing \w+ (https?://[^/\s]+)/([^/?\s]+)")
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_COLOUR = re.compile(r"\x1b\[\d*m|[↳\n]|\s{2,}")
_NO_SPACE = re.compile(r"no space|no writable volumes|no free volumes|disk full|insufficient storage|StorageFull", re.I)
_MAX_TEXT = 300


def _refusal(error: Exception, lake: Lake | None) -> _Refusal | None:
    """The error as a refusal of the object store; None where it is something else (a local file's, a caller's)."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as BotoConnectionError

    text = " ".join(_COLOUR.sub(" ", str(error)).split())
    endpoint = lake.endpoint if lake else os.environ.get("AWS_ENDPOINT_URL", "the object store")
    bucket = lake.bucket if lake else os.environ.get("MARQUEE_BUCKET", "of the lake")

    if isinstance(error, ClientError):
        answer = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        message = f"{answer.get('Code')}: {answer.get('Message')}"
        return _Refusal(str(answer.get("Code", "")), status, message, str(answer.get("BucketName", bucket)), endpoint)
    if isinstance(error, BotoConnectionError | HTTPClientError):
        return _Refusal("Unreachable", 0, text, bucket, endpoint)
    if isinstance(error, BotoCoreError | S3UploadFailedError):
        return _Refusal(type(error).__name__, 0, text, bucket, endpoint)
    if isinstance(error, OSError) and (match := _ARROW_MISSING.search(text)):
        return _Refusal("NoSuchKey", 404, text, match[1], endpoint)
    if isinstance(error, OSError) and (match := _ARROW.search(text)):
        named = _ARROW_BUCKET.search(text)
        # SIGNATURE_DOES_NOT_MATCH -> SignatureDoesNotMatch, the name that S3 gives it.
        code = "".join(word.capitalize() for word in match[1].split("_"))
        return _Refusal(_ARROW_CODES.get(code, code), 0, text, named[1] if named else bucket, endpoint)
    if _DELTA.search(text):
        code_match, status_match, url = _CODE.search(text), _STATUS.search(text), _DELTA_URL.search(text)
        status = int(status_match[1]) if status_match else 0
        code = code_match[1] if code_match else ("Unreachable" if status == 0 else str(status))
        return _Refusal(code, status, text, url[2] if url else bucket, url[1] if url else endpoint)
    if _is_delta_error(error):
        return _Refusal(type(error).__name__, 0, text, bucket, endpoint)
    return None


_ARROW_CODES = {
    "NetworkConnection": "Unreachable",
    "RequestTimeout": "Unreachable",
    "InvalidAccessKeyId": "InvalidAccessKeyId",
    "InternalFailure": "InternalError",
    "ServiceUnavailable": "ServiceUnavailable",
}


def _is_delta_error(error: Exception) -> bool:
    from deltalake.exceptions import DeltaError

    return isinstance(error, DeltaError)


def _sentence(refusal: _Refusal, what: str) -> LakeError:
    code, at = refusal.code, refusal.endpoint
    text = refusal.text if len(refusal.text) <= _MAX_TEXT else refusal.text[:_MAX_TEXT] + "..."
    if code == "NoSuchBucket":
        return LakeError(
            f"Bucket {refusal.bucket} does not exist at {at} (wanted: {what}): create it, or set s3.bucket "
            "(MARQUEE_S3__BUCKET) to one that does."
        )
    if code == "SignatureDoesNotMatch":
        return LakeError(
            f"The object store at {at} refuses the secret key (wanted: {what}): set s3.secret_key "
            "(MARQUEE_S3__SECRET_KEY) to the one of that access key."
        )
    if code == "InvalidAccessKeyId":
        return LakeError(
            f"The object store at {at} does not know the access key (wanted: {what}): set s3.access_key "
            "(MARQUEE_S3__ACCESS_KEY) to one that it knows."
        )
    if code in {"AccessDenied", "Forbidden", "403"} or refusal.status == 403:
        return LakeError(
            f"The object store at {at} refuses access to bucket {refusal.bucket} (wanted: {what}; {text}): check "
            "s3.access_key and s3.secret_key, and what that key may do."
        )
    if code in {"BucketAlreadyExists", "BucketAlreadyOwnedByAnother"}:
        return LakeError(f"The name of a bucket at {at} is somebody else's (wanted: {what}): set s3.bucket to another.")
    if code in {"NoSuchKey", "404"}:
        return LakeError(
            f"An object is missing from bucket {refusal.bucket} at {at} (wanted: {what}; {text}): run the step that "
            "writes it again, or check s3.bucket."
        )
    if _NO_SPACE.search(refusal.text) or refusal.status == 507:
        return LakeError(
            f"The disk of the object store at {at} is full (wanted: {what}; {text}): free space, then run this again."
        )
    if code == "Unreachable":
        return LakeError(
            f"The object store at {at} does not answer (wanted: {what}; {text}): start it (marquee up), or set "
            "s3.endpoint (MARQUEE_S3__ENDPOINT).",
            is_transient=True,
        )
    if refusal.status >= 500 or code in {"InternalError", "ServiceUnavailable", "SlowDown"}:
        # SeaweedFS says no more than this when its disk is full, so the sentence has to.
        return LakeError(
            f"The object store at {at} failed (wanted: {what}; {text}): where it goes on so, see its log and the free "
            "space of its disk.",
            is_transient=True,
        )
    return LakeError(f"It was not possible to {what} at {at} ({text}): mend what this names, then run it again.")
