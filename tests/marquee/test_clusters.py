"""Clusters, their names and the map: deterministic, by direction alone, and named after what stands out."""

from __future__ import annotations

import numpy as np
import pytest

from marquee import clusters
from marquee.clusters import axes_of, clusters_of, names_of


def two_directions(n: int = 200) -> np.ndarray:
    """Vectors of any length around two directions, two thirds of them around the first."""
    rng = np.random.default_rng(0)
    centres = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0]])[(np.arange(n) % 3 == 0).astype(int)]
    noisy = centres + rng.normal(0, 0.02, (n, 4))
    return (noisy * rng.uniform(0.1, 9, (n, 1))).astype(np.float32)


def test_rows_of_one_direction_share_clusters_and_the_largest_comes_first() -> None:
    factors = two_directions()
    found = clusters_of(factors, axes_of(factors))
    is_second = np.arange(len(factors)) % 3 == 0
    assert not set(found.cluster[is_second]) & set(found.cluster[~is_second])
    sizes = np.bincount(found.cluster)
    assert len(sizes) == 10 and (np.diff(sizes) <= 0).all()
    # the map keeps the two directions apart, along its first axis
    first, second = found.places[~is_second, 0], found.places[is_second, 0]
    assert first.min() > second.max() or first.max() < second.min()


def test_the_same_factors_give_the_same_clusters_and_the_same_map() -> None:
    factors = two_directions()
    first, second = (clusters_of(factors, axes_of(factors)) for _ in range(2))
    np.testing.assert_array_equal(first.cluster, second.cluster)
    np.testing.assert_array_equal(first.places, second.places)
    axes = axes_of(factors)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    assert (axes[[0, 1], np.abs(axes).argmax(axis=1)] > 0).all()
    np.testing.assert_allclose(axes, axes_of(factors * 7), atol=1e-5)  # lengths don't count


def test_more_rows_than_the_sample_are_all_in_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "SAMPLE", 60)
    factors = two_directions()
    found = clusters_of(factors, axes_of(factors))
    is_second = np.arange(len(factors)) % 3 == 0
    assert len(found.cluster) == 200 and not set(found.cluster[is_second]) & set(found.cluster[~is_second])


@pytest.mark.parametrize(("n", "expected"), [(0, 0), (1, 1), (7, 1), (8, 2), (32, 4), (288, 12), (2000, 12)])
def test_the_number_of_clusters_follows_the_number_of_rows(n: int, expected: int) -> None:
    factors = np.random.default_rng(1).normal(size=(n, 3)).astype(np.float32)
    assert clusters_of(factors, axes_of(factors)).n_clusters == expected


def test_rows_without_factors_are_in_no_cluster() -> None:
    factors = two_directions(40)
    factors[[0, 7]] = 0
    found = clusters_of(factors, axes_of(factors))
    assert set(range(40)) - set(found.rows.tolist()) == {0, 7}


def test_one_factor_makes_a_map_of_one_dimension() -> None:
    found = clusters_of(np.array([[2.0], [-3.0]], np.float32), axes_of(np.array([[2.0], [-3.0]], np.float32)))
    assert found.places.tolist() == [[1.0, 0.0], [-1.0, 0.0]]


def test_items_are_counted_by_the_cluster_of_their_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "ROWS_AT_ONCE", 2)
    found = clusters.Clusters(np.array([0, 1, 3]), np.array([0, 1, 0]), np.zeros((3, 2)))
    # rows 0 to 3 have the items {0, 1}, {1}, {2}, {1}; row 2 is in no cluster
    counts = found.items(np.array([0, 2, 3, 4, 5]), np.array([0, 1, 1, 2, 1]), 3)
    assert counts.tolist() == [[1, 2, 0], [0, 1, 0]]


def test_names_are_of_the_genres_that_stand_out() -> None:
    genres = ["Comedy", "Drama", "Horror", "Rare"]
    counts = np.array([[10, 80, 0, 0], [10, 70, 90, 1], [60, 60, 15, 0], [10, 80, 0, 0]])
    assert names_of(counts, genres) == ["Drama", "Horror", "Comedy", "Drama (2)"]
    assert names_of(np.array([[5, 5], [5, 5]]), ["A", "B"]) == ["cluster 1", "cluster 2"]
    assert names_of(np.zeros((2, 0)), []) == ["cluster 1", "cluster 2"]
    assert names_of(np.zeros((1, 2)), ["A", "B"]) == ["cluster 1"]
