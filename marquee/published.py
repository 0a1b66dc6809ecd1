"""What a release is built from, all of it pinned: the inputs of the SQL in `marquee/sql/`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marquee import registry
from marquee.lake import tables
from marquee.lake.objects import Lake
from marquee.lake.raw import read_manifest
from marquee.published_evaluation import evaluation_rows, evaluation_table

if TYPE_CHECKING:
    import pyarrow as pa

    from marquee.recommender_files import RecommenderFiles
    from marquee.releases.building import Rows

QUALITY = "data_quality"
#: Items whose lists of similar ones are computed, and go into the release, together.
ITEMS_OF_A_BATCH = 65_536
#: Of a cosine and of a place on the map: enough to read, and it packs well.
DECIMALS = 4


def model_files(stamp: dict[str, Any]) -> RecommenderFiles:
    """The model of a release.

    Raises:
        RegistryError: it can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="marquee-model-") as folder:
        return registry.load_files(stamp["model_name"], stamp["model_version"], Path(folder))


def published_tables(lake: Lake, stamp: dict[str, Any], files: RecommenderFiles, quality: pa.Schema) -> dict[str, Rows]:
    """The inputs of a release.

    Args:
        stamp: what `lineage.of_model` gives, with `recommendations_version`, `publish_run_id` and
            `created_at` (ISO 8601).
        files: the model.
        quality: schema of the lake's table `data_quality`, by its contract.

    Raises:
        RegistryError: the model can't be read.
        LakeError: a manifest or a table is missing, or the store refuses.
    """
    import pyarrow as pa

    model, version = stamp["model_name"], stamp["model_version"]
    items = pa.Table.from_batches(list(tables.read_table(lake, "items", stamp["items_version"])))
    is_generated = any(read_manifest(lake, batch).is_generated for batch in stamp["batches"])
    card = {"model_name": model, "model_version": version, "card": registry.description(model, version)}
    return {
        "recommendations": lambda: tables.read_table(lake, "recommendations", stamp["recommendations_version"]),
        **tables_of_model(files, items, stamp["k"]),
        "model_card": pa.Table.from_pylist([card]),
        "evaluation": evaluation_table(evaluation_rows(lake, stamp)),
        "data_quality": quality_rows(lake, [*stamp["batches"], stamp["release_id"]], quality),
        "release": pa.Table.from_pylist([{**stamp, "is_generated": is_generated}]),
    }


def tables_of_model(files: RecommenderFiles, items: pa.Table, k: int) -> dict[str, Rows]:
    """The inputs that a model and the catalogue give.

    Args:
        files: the model.
        items: the catalogue, at least item_id and genres.
        k: length of a list of similar items.
    """
    return {
        "items": items,
        "item_counts": item_counts(files),
        "users": users_of(files),
        "similar_items": lambda: similar_items_of(files, k),
        "clusters": clustered(files, items),
    }


def item_counts(files: RecommenderFiles) -> pa.Table:
    """How many ratings of the training data each item has, and how many of the latest (0 where it is not known)."""
    import numpy as np
    import pyarrow as pa

    n_recent = np.zeros(len(files.item_ids), np.int64) if files.n_recent is None else files.n_recent
    return pa.table(
        {
            "item_id": files.item_ids,
            "n_ratings": pa.array(files.n_ratings, pa.int64()),
            "n_recent": pa.array(n_recent, pa.int64()),
        }
    )


def users_of(files: RecommenderFiles) -> pa.Table:
    """Every user, by how much they have rated, and whether the model can tell them by it."""
    import numpy as np
    import pyarrow as pa

    from marquee.metrics.segments import USER_SEGMENTS, user_segments

    n_ratings = np.diff(files.seen_indptr)
    return pa.table(
        {
            "user_id": files.user_ids,
            "n_ratings": pa.array(n_ratings, pa.int64()),
            "segment": pa.array(USER_SEGMENTS).take(pa.array(user_segments(n_ratings))),
            "is_cold": pa.array(files.is_cold),
        }
    )


def similar_items_of(files: RecommenderFiles, k: int) -> Iterator[pa.RecordBatch]:
    """The k other items most similar to each by the cosine of the factors, where that is above 0.

    Yields:
        Columns item_id, position, similar_item_id, similarity; one batch without rows for a model without factors.
    """
    import numpy as np
    import pyarrow as pa

    from marquee.top_k import catalogue_of, similar_of

    names = ("item_id", "position", "similar_item_id", "similarity")
    kinds = (pa.string(), pa.int64(), pa.string(), pa.float64())
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    if files.item_factors is None:
        yield from schema.empty_table().to_batches() or [pa.RecordBatch.from_pylist([], schema=schema)]
        return
    catalogue = catalogue_of(files.item_factors, measure="cosine")
    for start in range(0, len(files.item_ids), ITEMS_OF_A_BATCH):
        block = np.arange(start, min(start + ITEMS_OF_A_BATCH, len(files.item_ids)))
        found, cosines = similar_of(catalogue, k, items=block)
        is_there = (found >= 0) & (cosines > 0)
        rows, places = np.nonzero(is_there)
        yield pa.RecordBatch.from_arrays(
            [
                files.item_ids.take(pa.array(block[rows])),
                pa.array(places + 1, pa.int64()),
                files.item_ids.take(pa.array(found[is_there])),
                pa.array(cosines[is_there].astype(np.float64).round(DECIMALS)),
            ],
            schema=schema,
        )


def clustered(files: RecommenderFiles, items: pa.Table) -> pa.Table:
    """Items and users in clusters; no rows for a model without factors."""
    import numpy as np
    import pyarrow as pa

    from marquee.clusters import axes_of, clusters_of, names_of

    names = (("kind", pa.string()), ("id", pa.string()), ("cluster", pa.int64()), ("name", pa.string()))
    schema = pa.schema([*names, ("x", pa.float64()), ("y", pa.float64())])
    if files.item_factors is None or files.user_factors is None:
        return schema.empty_table()
    genres, vectors = genres_of(files, items)
    axes = axes_of(files.item_factors)
    # What tells a row's genres: an item itself, and a user's history (CSR).
    itself = np.arange(len(files.item_ids) + 1)
    parts = []
    for kind, ids, factors, indptr, indices in (
        ("item", files.item_ids, files.item_factors, itself, itself[:-1]),
        ("user", files.user_ids, files.user_factors, files.seen_indptr, files.seen_indices),
    ):
        found = clusters_of(factors, axes)
        counts = found.items(indptr, indices, len(files.item_ids))
        called = pa.array(names_of(counts @ vectors, genres), pa.string())
        columns = [
            pa.repeat(pa.scalar(kind), len(found.rows)),
            ids.take(pa.array(found.rows)),
            pa.array(found.cluster + 1),
            called.take(pa.array(found.cluster)),
            *(pa.array(places) for places in found.places.round(DECIMALS).T),
        ]
        parts.append(pa.Table.from_arrays(columns, schema=schema))
    return pa.concat_tables(parts)


def genres_of(files: RecommenderFiles, items: pa.Table) -> tuple[list[str], Any]:
    """The genres by name, and a sparse matrix (n_items, n_genres) of 0 and 1 in the order of the model's items."""
    from scipy.sparse import csr_array

    own = dict(zip(items["item_id"].to_pylist(), items["genres"].to_pylist(), strict=True))
    of_item = [sorted(set(own.get(item) or [])) for item in files.item_ids.to_pylist()]
    names = sorted({name for row in of_item for name in row})
    place = {name: at for at, name in enumerate(names)}
    cells = [(row, place[name]) for row, named in enumerate(of_item) for name in named]
    rows, columns = zip(*cells, strict=True) if cells else ((), ())
    return names, csr_array(([1.0] * len(cells), (rows, columns)), shape=(len(of_item), len(names)))


def quality_rows(lake: Lake, batches: list[str], schema: pa.Schema) -> pa.Table:
    """What the lake knows of the quality of these batches; no rows where nothing was validated yet."""
    import pyarrow as pa
    import pyarrow.compute as pc

    version = tables.current_version(lake, QUALITY)
    if version is None:
        return schema.empty_table()
    found = [
        pa.Table.from_batches([batch]).cast(schema) for batch in tables.read_table(lake, QUALITY, version, schema.names)
    ]
    rows = pa.concat_tables([schema.empty_table(), *found])
    return rows.filter(pc.is_in(rows["batch"], value_set=pa.array(batches, pa.string())))
