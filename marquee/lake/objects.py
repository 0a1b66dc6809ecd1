"""The lake's bucket: how to reach it, and small JSON objects in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marquee.errors import LakeError
from marquee.lake.refusals import lake_errors

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

__all__ = ["Lake", "lake_errors"]

CONNECT_SECONDS = 5
READ_SECONDS = 60
ATTEMPTS = 3

# Which variable of the environment holds which field.
VARIABLES = {
    "endpoint": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
    "bucket": "MARQUEE_BUCKET",
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
}


@dataclass(frozen=True)
class Lake:
    """A bucket of an S3 server, and the login to it; equal fields are the same lake.

    `endpoint` is a URL (`http://127.0.0.1:8333`); neither key shows in a repr.

    Raises:
        LakeError: the endpoint is no such URL.
    """

    endpoint: str
    region: str
    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        address = urlsplit(self.endpoint)
        if address.scheme not in ("http", "https") or not address.netloc or "@" in address.netloc:
            raise LakeError(
                f"The object store's endpoint is no http(s) URL without a login (it starts {self.endpoint[:8]!r}): "
                "set s3.endpoint (MARQUEE_S3__ENDPOINT), as http://127.0.0.1:8333."
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Lake:
        """The lake that the environment names: how a child process gets it.

        Raises:
            LakeError: a variable is missing or empty; all such are named.
        """
        names = os.environ if environ is None else environ
        missing = [variable for variable in VARIABLES.values() if not names.get(variable)]
        if missing:
            raise LakeError(
                f"The object store is not set: {', '.join(missing)} missing from the environment "
                "(Marquee's services and tasks set them; by hand: export them first)."
            )
        return cls(**{name: names[variable] for name, variable in VARIABLES.items()})

    def environment(self) -> dict[str, str]:
        """What `from_environment` reads, for the environment of a child process (never for its command line)."""
        return {variable: str(getattr(self, name)) for name, variable in VARIABLES.items()}

    def client(self) -> Any:
        """A boto3 S3 client (one a process; safe to share among threads)."""
        return _client(self, os.getpid())

    def filesystem(self) -> S3FileSystem:
        """The server as a pyarrow file system; its paths start with the bucket: `marquee/raw/...`."""
        return _filesystem(self, os.getpid())

    def storage_options(self) -> dict[str, str]:
        """The server as deltalake's `storage_options`: commits are conditional PUTs, so no commit is lost."""
        options = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "aws_conditional_put": "etag",
            "connect_timeout": f"{CONNECT_SECONDS}s",
            "timeout": f"{READ_SECONDS}s",
            "max_retries": str(ATTEMPTS),
            "retry_timeout": f"{READ_SECONDS}s",
        }
        return options | ({"AWS_ALLOW_HTTP": "true"} if urlsplit(self.endpoint).scheme == "http" else {})

    def uri(self, key: str) -> str:
        """`s3://bucket/key`, as people and deltalake write it."""
        return f"s3://{self.bucket}/{key}"

    def exists(self, key: str) -> bool:
        """Whether the object is there.

        Raises:
            LakeError: the store refuses (a missing bucket is no "False").
        """
        from botocore.exceptions import ClientError

        # A HEAD's refusal has no body, so it can't tell a missing bucket from a missing key: ask for a byte.
        with lake_errors(f"look for {self.uri(key)}", self):
            try:
                self.client().get_object(Bucket=self.bucket, Key=key, Range="bytes=0-0")["Body"].read()
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in {"NoSuchKey", "InvalidRange"}:
                    return bool(code == "InvalidRange")  # an empty object has no first byte
                raise
        return True

    def read_json(self, key: str) -> Any:
        """The object's JSON value.

        Raises:
            LakeError: it is missing, is no JSON, or the store refuses.
        """
        with lake_errors(f"read {self.uri(key)}", self):
            body = self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        try:
            return json.loads(body)
        except ValueError as error:
            raise LakeError(
                f"{self.uri(key)} is no JSON ({error}): remove it and run the step that wrote it."
            ) from None

    def write_json(self, key: str, value: Any, *, if_absent: bool = False) -> bool:
        """Write a JSON value; keys are sorted, so equal values are equal bytes.

        With `if_absent` an object that is there stays as it is, and of several writers exactly one wins. (A writer
        whose first try arrived while the answer was lost gets False too, and then reads its own value.)

        Returns:
            Whether this call wrote it; False: one was there.

        Raises:
            LakeError: the store refuses.
        """
        from botocore.exceptions import ClientError

        body = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).encode()
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        with lake_errors(f"write {self.uri(key)}", self):
            try:
                self.client().put_object(
                    Bucket=self.bucket, Key=key, Body=body, ContentType="application/json", **condition
                )
            except ClientError as error:
                if if_absent and error.response["ResponseMetadata"]["HTTPStatusCode"] == 412:
                    return False
                raise
        return True

    def create_bucket(self, name: str) -> None:
        """Make a bucket, unless it is there and ours.

        Raises:
            LakeError: it belongs to somebody else, or the store refuses.
        """
        from botocore.exceptions import ClientError

        # us-east-1 is S3's unnamed region: naming it is an error there.
        place = {} if self.region == "us-east-1" else {"LocationConstraint": self.region}
        options = {"CreateBucketConfiguration": place} if place else {}
        with lake_errors(f"create bucket {name}", self):
            try:
                self.client().create_bucket(Bucket=name, **options)
            except ClientError as error:
                if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
                    raise


@lru_cache(maxsize=8)
def _client(lake: Lake, process: int) -> Any:
    """One client a process: a forked child must not share its parent's connections."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Self-hosted servers have no name of their own for each bucket; Amazon's hosts need one.
        s3={"addressing_style": "auto" if lake.endpoint.endswith(".amazonaws.com") else "path"},
    )
    return boto3.session.Session(
        aws_access_key_id=lake.access_key, aws_secret_access_key=lake.secret_key, region_name=lake.region
    ).client("s3", endpoint_url=lake.endpoint, config=config)


@lru_cache(maxsize=8)
def _filesystem(lake: Lake, process: int) -> S3FileSystem:
    """One file system a process, so that its connections serve again."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    address = urlsplit(lake.endpoint)
    return S3FileSystem(
        access_key=lake.access_key,
        secret_key=lake.secret_key,
        region=lake.region,
        scheme=address.scheme,
        endpoint_override=address.netloc,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=READ_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )
