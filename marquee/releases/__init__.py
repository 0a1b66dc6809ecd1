"""Releases: published tables as DuckDB files, switched in one step.

    serving/recommendations.duckdb       a link to the release that is current
    serving/releases/<id>.duckdb         read-only, never changed (but by forgetting, which puts another in its place)
    serving/releases/rejected/<id>.duckdb  built, and refused by its checks
    serving/releases/.building-*         what a build that died has left; the next one removes it
    s3://.../releases/lease.json         who may publish, roll back or remove now (`lease`)
    s3://.../releases/<id>/              the remote copy: the file, each table as Parquet, manifest.json (`remote`)
    s3://.../tables/releases/            the ledger: what was done to the releases, by whom and why (`ledger`)

DuckDB lets one process write a file, or many read it, never both. So a release is built beside the others, and readers
are led to it by one `os.replace` of the link. A reader that stays long takes `connect`, which opens the release by its
own name: within one process, DuckDB takes a second connection to the same path for the same database, also after a
switch.

The row in the ledger decides which release is current; the link and MLflow's alias `champion` follow it (`following`).
"""

from __future__ import annotations

from marquee.releases.building import PUBLISHED, VIEWS, build, published_sql
from marquee.releases.files import LINK, UNFINISHED, path_of
from marquee.releases.switching import connect, current, switch

__all__ = [
    "LINK",
    "PUBLISHED",
    "UNFINISHED",
    "VIEWS",
    "build",
    "connect",
    "current",
    "path_of",
    "published_sql",
    "switch",
]
