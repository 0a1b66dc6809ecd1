"""How many of a batch's users and items the tables do not have yet: counted exactly, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from expectations.drift import Newcomers
from marquee.lake import tables
from marquee.lake.objects import Lake, lake_errors
from marquee.lake.tables import Prepared

if TYPE_CHECKING:
    import pyarrow as pa


def newcomers(lake: Lake, ratings: Prepared, items: Prepared, *, ratings_version: int) -> Newcomers:
    """Shares of the users of prepared ratings, and of the prepared items, that the tables do not have.

    Raises:
        LakeError: the store refuses.
    """
    return Newcomers(new_users(lake, ratings, ratings_version), new_items(lake, items))


def new_users(lake: Lake, prepared: Prepared, version: int) -> float:
    """Share of the users that the table does not have; 0 without users.

    A user's bucket is the same in every division, but for its upper bits: a bucket of the batch is compared with those
    buckets of the table alone that may hold the same users.
    """
    n_all = n_new = 0
    table = tables.open_table(lake, "ratings", version)
    buckets = tables.buckets_of(table) or dict.fromkeys(tables.parts_of(table), 0)
    n_common = min(prepared.n_buckets or 1, tables.n_buckets(lake, "ratings", version))
    for bucket in sorted({part.bucket or 0 for part in prepared.parts}):
        users = ids(lake, "ratings", [p.path for p in prepared.parts if (p.bucket or 0) == bucket], "user_id")
        n_all += len(users)
        for path, other in buckets.items():
            if other % n_common == bucket % n_common and len(users):
                users = without(users, ids(lake, "ratings", [path], "user_id"))
        n_new += len(users)
    return n_new / n_all if n_all else 0.0


def new_items(lake: Lake, prepared: Prepared) -> float:
    """Share of the items that the table does not have; 0 without items."""
    items = ids(lake, "items", [part.path for part in prepared.parts], "item_id")
    n_all = len(items)
    if tables.exists(lake, "items") and n_all:
        for path in tables.parts_of(tables.open_table(lake, "items")):
            items = without(items, ids(lake, "items", [path], "item_id"))
    return len(items) / n_all if n_all else 0.0


def without(some: pa.Array, others: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return some.filter(pc.invert(pc.is_in(some, value_set=others)))


def ids(lake: Lake, table: str, paths: Iterable[str], column: str) -> pa.Array:
    """The distinct ids in these parts, from the dictionaries of their column alone where they have some."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found = [pa.array([], pa.string())]
    filesystem = lake.filesystem()
    for path in paths:
        where = f"{lake.bucket}/{tables.folder(table)}/{path}"
        with (
            lake_errors(f"read {path} of table {table}", lake),
            pq.ParquetFile(where, filesystem=filesystem, read_dictionary=[column]) as file,
        ):
            for batch in file.iter_batches(batch_size=tables.ROWS_OF_A_GROUP, columns=[column]):
                found.append(pc.unique(batch.column(0)).dictionary_decode().cast(pa.string()))
    return pc.unique(pa.concat_arrays(found))
