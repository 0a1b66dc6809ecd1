"""The item map shows every cluster in its colour, and the legend names it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from marquee import plots_of_releases
from marquee.plots_of_releases import item_map, map_of


def rows(n: int = 60) -> list[dict[str, Any]]:
    """Two clusters, around (0, 0) and (10, 5)."""
    rng = np.random.default_rng(0)
    return [
        {"kind": "item", "id": str(at), "cluster": 1 + at % 2, "name": ("Drama", "Horror")[at % 2],
         "x": 10 * (at % 2) + rng.normal(), "y": 5 * (at % 2) + rng.normal()}
        for at in range(n)
    ]  # fmt: skip


def test_every_item_is_a_point_and_every_cluster_is_named() -> None:
    figure = item_map(rows())
    (axes,) = figure.axes
    assert [len(drawn.get_offsets()) for drawn in axes.collections] == [30, 30]
    colors = [tuple(drawn.get_facecolor()[0][:3]) for drawn in axes.collections]
    assert colors[0] != colors[1]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Drama, 30 items", "Horror, 30 items"]
    for drawn, centre in zip(axes.collections, ((0, 0), (10, 5)), strict=True):
        np.testing.assert_allclose(np.median(drawn.get_offsets(), axis=0), centre, atol=1)


def test_of_very_many_items_some_are_drawn_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots_of_releases, "MOST_POINTS", 20)
    figure = item_map(rows())
    assert [len(drawn.get_offsets()) for drawn in figure.axes[0].collections] == [10, 10]
    assert figure.legends[0].get_texts()[0].get_text() == "Drama, 30 items"


def test_the_map_is_of_items_alone_and_there_is_none_without_them() -> None:
    users = [row | {"kind": "user"} for row in rows()]
    assert map_of(pa.Table.from_pylist(users)) == {}
    (figure,) = map_of(pa.Table.from_pylist([*users, *rows(10)])).values()
    assert sum(len(drawn.get_offsets()) for drawn in figure.axes[0].collections) == 10
    with pytest.raises(ValueError, match="no item to draw"):
        item_map([])


def test_churn_over_releases() -> None:
    figure = plots_of_releases.churn([("r1", 0.5, 0.6), ("r2", 0.25, 0.3)])
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[0.5, 0.25], [0.6, 0.3]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["r1", "r2"]
    figure.savefig(buffer := io.BytesIO(), format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no release"):
        plots_of_releases.churn([])
