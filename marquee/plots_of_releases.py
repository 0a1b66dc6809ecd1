"""Figures that go with a release: pure functions as those of `marquee.plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from marquee.plots import COLORS, MARKERS, calm, figure_of, legend, look
from marquee.releases.files import quoted
from marquee.releases.ledger import PUBLISH

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

#: More points than these make no other picture, only a slower one: every n-th is drawn.
MOST_POINTS = 20_000


def figures_of(file: Path, ledger: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """The figures of a release by file name: the map of its items, and churn over the releases up to now.

    Args:
        file: the release's; nobody may write it.
        ledger: rows of the table `releases`, in order.
    """
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {quoted(file)} AS release_file (READ_ONLY)")
        figures = map_of(connection.sql("FROM release_file.clusters").to_arrow_table())
    rows = churns(ledger)
    return figures | ({"churn.png": churn(rows)} if rows else {})


def churns(ledger: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, float]]:
    """Release, mean Jaccard and mean rank-biased overlap of each publish that was compared with the one before."""
    return [
        (row["release_id"], row["jaccard"], row["rbo"])
        for row in ledger
        if row["action"] == PUBLISH and row["jaccard"] is not None and row["rbo"] is not None
    ]


def map_of(clusters: pa.Table) -> dict[str, Figure]:
    """The map of a release's items by file name; nothing where it has none.

    Args:
        clusters: the release's table of that name.
    """
    rows = [row for row in clusters.to_pylist() if row["kind"] == "item"]
    return {"item_map.png": item_map(rows)} if rows else {}


def item_map(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Items on their map, coloured by cluster; the legend has the clusters' names.

    Args:
        rows: of the table `clusters`, of one kind: `cluster` (from 1), `name`, `x`, `y`.

    Raises:
        ValueError: there is no item.
    """
    if not rows:
        raise ValueError("There is no item to draw.")
    cluster, x, y = (np.array([row[name] for row in rows]) for name in ("cluster", "x", "y"))
    name_of = {row["cluster"]: row["name"] for row in rows}
    every = -(-len(rows) // MOST_POINTS)
    figure = figure_of(width=10.5, height=6.5)
    axes = figure.subplots()
    for number in sorted(name_of):
        at = np.flatnonzero(cluster == number)
        color, marker = COLORS[(number - 1) % len(COLORS)], MARKERS[(number - 1) // len(COLORS) % len(MARKERS)]
        label = f"{name_of[number]}, {len(at):,} items"
        shown = (x[at][::every], y[at][::every])
        axes.scatter(*shown, s=9, alpha=0.45, linewidths=0, color=color, marker=marker, label=label)
    axes.set_title("items by their factors: near is alike", loc="left", fontsize=11)
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second principal component")
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[["top", "right"]].set_visible(False)
    # beside the map: clusters of few genres lie upon each other in its middle
    names = figure.legend(loc="outside right upper", frameon=False, fontsize=9, markerscale=2.5)
    for handle in filter(None, names.legend_handles):
        handle.set_alpha(1.0)
    return figure


def churn(rows: Sequence[tuple[str, float, float]]) -> Figure:
    """How much the lists of each release have in common with those of the one before it.

    Args:
        rows: release, mean Jaccard, mean rank-biased overlap; in the order that they were published in.

    Raises:
        ValueError: there is no release.
    """
    if not rows:
        raise ValueError("There is no release to draw.")
    figure = figure_of(width=max(5.0, 1.5 + 0.6 * len(rows)), height=4.0)
    axes = figure.subplots()
    names = [name for name, _, _ in rows]
    for number, (label, at) in enumerate((("Jaccard", 1), ("rank-biased overlap, p = 0.9", 2))):
        values = [row[at] for row in rows]
        axes.plot(range(len(rows)), values, label=label, markersize=6, linewidth=1.8, **look(number))
    axes.set_xticks(range(len(rows)), names, rotation=35, ha="right", fontsize=8)
    axes.set_ylabel("in common with the release before")
    axes.set_ylim(0.0, 1.03)
    calm(axes)
    legend(figure, [axes])
    return figure
