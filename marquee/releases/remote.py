"""The remote copy of a release: its file, each of its tables as Parquet, and a manifest with their sha256.

s3://.../releases/<id>/recommendations.duckdb
s3://.../releases/<id>/<table>.parquet
s3://.../releases/<id>/manifest.json     written last: without it there is no copy
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from marquee.errors import ReleaseError
from marquee.lake.objects import Lake, lake_errors
from marquee.lake.uploads import Upload, upload_all
from marquee.releases.building import MEMORY
from marquee.releases.files import LINK, UNFINISHED, path_of, put_in_place, quoted, release_errors, sha256_of

PREFIX = "releases/"
MANIFEST = "manifest.json"
#: How often a copy is fetched anew that changed in the middle.
TIMES = 3


def key_of(release_id: str, file: str) -> str:
    return f"{PREFIX}{release_id}/{file}"


def upload(lake: Lake, folder: Path, release_id: str) -> dict[str, Any]:
    """Make the copy of a release of this machine, unless it is there, and give its manifest.

    Raises:
        ReleaseError: the file can't be read.
        LakeError: the store refuses.
    """
    path = path_of(folder, release_id)
    with release_errors(f"read release {release_id}"):
        sha256 = sha256_of(path)
    there = manifest(lake, release_id)
    if there is not None and there["files"][LINK]["sha256"] == sha256:
        return there
    return send(lake, path, release_id)


def send(lake: Lake, path: Path, release_id: str) -> dict[str, Any]:
    """Put the copy of this file in the place of whatever is there, and give its manifest.

    Raises:
        ReleaseError: the file can't be read.
        LakeError: the store refuses.
    """
    with (
        release_errors(f"copy the tables of release {release_id}"),
        tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{UNFINISHED}copy-") as scratch,
    ):
        files = {LINK: path, **to_parquet(path, Path(scratch))}
        uploads = [
            Upload(file, key_of(release_id, name), file.stat().st_size, sha256_of(file)) for name, file in files.items()
        ]
        upload_all(lake, uploads)
        made = {
            "release_id": release_id,
            "files": {name: {"sha256": one.sha256, "size": one.size} for name, one in zip(files, uploads, strict=True)},
        }
        lake.write_json(key_of(release_id, MANIFEST), made)
    return made


def to_parquet(path: Path, into: Path) -> dict[str, Path]:
    """Write each table of a release as Parquet, in the release's order of rows; file name -> file."""
    import duckdb

    found = {}
    # Attached: another connection of this process may have the file open with another configuration.
    with duckdb.connect(config={"memory_limit": MEMORY}) as connection:
        connection.execute(f"ATTACH {quoted(path)} AS old (READ_ONLY)")
        names = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'old' ORDER BY ALL")
        for (table,) in names.fetchall():
            file = into / f"{table}.parquet"
            connection.execute(f'COPY old."{table}" TO {quoted(file)} (FORMAT parquet, COMPRESSION zstd)')
            found[file.name] = file
    return found


def manifest(lake: Lake, release_id: str) -> dict[str, Any] | None:
    """The manifest of a copy; None where there is none.

    Raises:
        LakeError: the store refuses.
    """
    key = key_of(release_id, MANIFEST)
    return dict(lake.read_json(key)) if lake.exists(key) else None


def bring(lake: Lake, folder: Path, release_id: str) -> Path:
    """Bring a release onto this machine, unless the same bytes are here, and give its file. The link stays as it is.

    Raises:
        ReleaseError: there is no copy, or its bytes are not those that its manifest tells.
        LakeError: the store refuses.
    """
    final = path_of(folder, release_id)
    with release_errors(f"fetch release {release_id} into {folder}"):
        final.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(TIMES):
            there = manifest(lake, release_id)
            if there is None:
                raise ReleaseError(
                    f"Release {release_id} has no copy in the bucket ({lake.uri(key_of(release_id, MANIFEST))}): "
                    "`marquee releases` shows those that there are."
                )
            wanted = there["files"][LINK]["sha256"]
            if final.is_file() and sha256_of(final) == wanted:
                return final
            fetched = final.with_name(f".fetching-{final.name}-{os.getpid()}")
            try:
                download(lake, release_id, fetched)
                if sha256_of(fetched) == wanted:
                    put_in_place(fetched, final)
                    return final
            finally:
                fetched.unlink(missing_ok=True)
    raise ReleaseError(
        f"The copy of release {release_id} in the bucket is not what its manifest tells (sha256 {wanted}): publish it "
        "again, or fetch another.",
    )


def download(lake: Lake, release_id: str, into: Path) -> None:
    """The file of a copy, as it is."""
    key = key_of(release_id, LINK)
    with lake_errors(f"download {lake.uri(key)}", lake):
        lake.client().download_file(lake.bucket, key, str(into))


def ids(lake: Lake) -> list[str]:
    """Releases of which there is anything in the bucket, in order.

    Raises:
        LakeError: the store refuses.
    """
    # Not by the delimiter: SeaweedFS tells folders for a while that are empty by now.
    found = {key.removeprefix(PREFIX).split("/")[0] for key in _keys(lake, PREFIX) if "/" in key.removeprefix(PREFIX)}
    return sorted(found)


def remove(lake: Lake, release_id: str) -> None:
    """Remove a copy, its manifest first.

    Raises:
        LakeError: the store refuses.
    """
    keys = _keys(lake, key_of(release_id, ""))
    for key in sorted(keys, key=lambda key: not key.endswith(f"/{MANIFEST}")):
        with lake_errors(f"remove {lake.uri(key)}", lake):
            lake.client().delete_object(Bucket=lake.bucket, Key=key)


def _keys(lake: Lake, prefix: str) -> list[str]:
    with lake_errors(f"list {lake.uri(prefix)}", lake):
        pages = lake.client().get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=prefix)
        return [str(entry["Key"]) for page in pages for entry in page.get("Contents", [])]
