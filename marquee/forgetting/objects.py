"""Objects of the lake, as forgetting needs them: listed, read, written, removed."""

from __future__ import annotations

from collections.abc import Iterable

from marquee.lake.objects import Lake, lake_errors


def keys(lake: Lake, prefix: str) -> list[str]:
    """Keys of all objects below a prefix, in order.

    Raises:
        LakeError: the store refuses.
    """
    with lake_errors(f"list {lake.uri(prefix)}", lake):
        pages = lake.client().get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=prefix)
        return [str(entry["Key"]) for page in pages for entry in page.get("Contents", [])]


def read_bytes(lake: Lake, key: str) -> bytes:
    """All bytes of an object.

    Raises:
        LakeError: it is missing, or the store refuses.
    """
    with lake_errors(f"read {lake.uri(key)}", lake):
        return bytes(lake.client().get_object(Bucket=lake.bucket, Key=key)["Body"].read())


def write_bytes(lake: Lake, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
    """An object in place of the one that is there.

    Raises:
        LakeError: the store refuses.
    """
    with lake_errors(f"write {lake.uri(key)}", lake):
        lake.client().put_object(Bucket=lake.bucket, Key=key, Body=body, ContentType=content_type)


def remove(lake: Lake, gone: Iterable[str]) -> None:
    """Remove objects; those that are not there are none.

    Raises:
        LakeError: the store refuses.
    """
    for key in gone:
        with lake_errors(f"remove {lake.uri(key)}", lake):
            lake.client().delete_object(Bucket=lake.bucket, Key=key)
