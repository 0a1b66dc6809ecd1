"""Items and users in clusters, with places on one map, by the direction of their factors.

Factors are brought to the length 1, so that what is near is alike by the cosine, as similar items are. Clusters are
those of k-means, for items and users apart; the map is the plane of the two principal components of the items, into
which the users are laid as well. Whoever has no factors (zeros) is in no cluster.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]

SEED = 42
#: Clusters that a map and an eye can hold.
MOST = 12
#: Rows that k-means learns from, a random sample of more; every row then goes to the nearest centre.
SAMPLE = 100_000
#: Rows whose items are counted together.
ROWS_AT_ONCE = 65_536
#: A genre names a cluster that has at least this share of it, and this many times the share that all have.
SHARE, LIFT = 0.1, 1.2
#: Genres of a name, at most.
NAMED = 2


@dataclass(frozen=True)
class Clusters:
    """Rows in clusters.

    Attributes:
        rows: int64 (n,), indexes of the rows that have factors.
        cluster: int64 (n,), from 0; the largest cluster is 0, equals by their first row.
        places: float64 (n, 2), on the map.
    """

    rows: Ints
    cluster: Ints
    places: Floats

    @property
    def n_clusters(self) -> int:
        return int(self.cluster.max(initial=-1)) + 1

    def items(self, indptr: Ints, indices: Ints, n_items: int) -> Ints:
        """How often each item is in the clusters' rows: int64 (n_clusters, n_items).

        Args:
            indptr: int64 (n_rows + 1,).
            indices: items of each row, one row after the other (CSR).
        """
        counts = np.zeros((self.n_clusters, n_items), np.int64)
        n_rows = len(indptr) - 1
        cluster_of = np.full(n_rows, -1)
        cluster_of[self.rows] = self.cluster
        for start in range(0, n_rows, ROWS_AT_ONCE):
            ends = indptr[start : start + ROWS_AT_ONCE + 1]
            cluster = np.repeat(cluster_of[start : start + ROWS_AT_ONCE], np.diff(ends))
            cells = cluster * n_items + indices[ends[0] : ends[-1]]
            counts += np.bincount(cells[cluster >= 0], minlength=counts.size).reshape(counts.shape)
        return counts


def clusters_of(factors: Floats, axes: Floats) -> Clusters:
    """The clusters of rows: min(12, sqrt(n / 2)) of them, at least one.

    Args:
        factors: float32 (n_rows, rank).
        axes: the map's, as `axes_of` gives them.
    """
    rows = np.flatnonzero(factors.any(axis=1))
    unit = unit_length(factors[rows])
    return Clusters(rows, _k_means(unit), unit @ axes.T)


def axes_of(factors: Floats) -> Floats:
    """The two directions in which unit vectors of the factors vary most: float64 (2, rank); a missing one is zeros.

    A direction points to where its largest entry is above 0, so that the same factors give the same map.
    """
    rank = factors.shape[1]
    unit = unit_length(factors[factors.any(axis=1)])
    axes = np.zeros((2, rank))
    if len(unit):
        # Directions of a float64 (rank, rank), the largest variance last.
        _, vectors = np.linalg.eigh(np.cov(unit, rowvar=False, bias=True).reshape(rank, rank))
        for place, vector in enumerate(vectors.T[::-1][:2]):
            axes[place] = vector * (1 if vector[np.abs(vector).argmax()] > 0 else -1)
    return axes


def unit_length(factors: Floats) -> Floats:
    """Rows brought to the length 1, float64; none may be zero."""
    wide = factors.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True))


def names_of(counts: Floats, genres: Sequence[str]) -> list[str]:
    """A name for each cluster: up to two genres that it has most above the rest, those with the highest lift first.

    Lift is the share of a genre within the cluster by its share within all. A name that two clusters would have gets
    a number from the second on.

    Args:
        counts: (n_clusters, n_genres), how often each genre is in the cluster.
        genres: their names.

    Returns:
        "Horror, Thriller"; "cluster 3" where no genre stands out.
    """
    total = max(counts.sum(), 1)
    own = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    lift = np.divide(own, counts.sum(axis=0) / total, out=np.zeros(own.shape), where=counts.sum(axis=0) > 0)
    names: list[str] = []
    for number in range(len(counts)):
        is_told = (own[number] >= SHARE) & (lift[number] >= LIFT)
        best = [place for place in np.lexsort((genres, -lift[number])) if is_told[place]][:NAMED]
        names.append(", ".join(genres[place] for place in best) or f"cluster {number + 1}")
    return _numbered(names)


def _numbered(names: Sequence[str]) -> list[str]:
    met: Counter[str] = Counter()
    numbered = []
    for name in names:
        met[name] += 1
        numbered.append(name if met[name] == 1 else f"{name} ({met[name]})")
    return numbered


def _k_means(unit: Floats) -> Ints:
    """The cluster of each row of (n, rank), by size."""
    from sklearn.cluster import KMeans

    n = len(unit)
    k = max(1, min(MOST, int(math.sqrt(n / 2))))
    if k == 1:
        return np.zeros(n, np.int64)
    rng = np.random.default_rng(SEED)
    sample = unit if n <= SAMPLE else unit[np.sort(rng.choice(n, SAMPLE, replace=False))]
    found = KMeans(k, n_init=4, random_state=SEED).fit(sample).predict(unit)
    sizes = np.bincount(found, minlength=k)
    first = np.array([np.flatnonzero(found == one)[0] if sizes[one] else n for one in range(k)])
    place = np.empty(k, np.int64)
    place[np.lexsort((first, -sizes))] = np.arange(k)
    return np.asarray(place[found])
