"""Figures that go with a model: each a pure function from numbers to a matplotlib figure.

Figures are made without pyplot, so nothing is global, nothing needs a display, and nothing has to be closed. matplotlib
is imported inside the functions: whoever imports this module does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito, "Color universal design", 2008: told apart by people with any colour vision, yellow left out."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NAMES = {"ndcg": "nDCG", "map": "MAP", "mrr": "MRR", "hit_rate": "hit rate"}
GREY = "#777777"


def metrics_by_k(metrics: Mapping[str, Mapping[str, Sequence[float]]], ks: Sequence[int]) -> Figure:
    """One panel a metric, one line a model.

    Args:
        metrics: model -> metric -> its values, one for each k; NaN leaves a gap. Models may have different metrics.
        ks: lengths of the lists, ascending.

    Returns:
        The figure.

    Raises:
        ValueError: there is nothing to draw, or a metric has not one value for each k.
    """
    panels = list(dict.fromkeys(metric for values in metrics.values() for metric in values))
    if not panels or not ks:
        raise ValueError("There is no metric, or no k, to draw.")
    for model, values in metrics.items():
        for metric, line in values.items():
            if len(line) != len(ks):
                raise ValueError(f"{metric} of {model} has {len(line)} values for {len(ks)} ks.")
    n_columns = min(3, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    figure = figure_of(width=3.6 * n_columns, height=2.7 * n_rows + 0.5)
    grid = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, metric in zip(grid, panels, strict=False):
        for number, (model, values) in enumerate(metrics.items()):
            if metric in values:
                axes.plot(ks, values[metric], label=model, markersize=5, linewidth=1.8, **look(number))
        axes.set_title(NAMES.get(metric, metric.replace("_", " ")), loc="left", fontsize=11)
        axes.set_xlabel("k, length of the list")
        axes.set_xticks(list(ks))
        axes.set_ylim(bottom=0.0)
        calm(axes)
    for axes in grid[len(panels) :]:
        axes.remove()
    legend(figure, grid[: len(panels)])
    return figure


def panel_of_lines(panels: Sequence[tuple[str, Sequence[float], Mapping[str, Sequence[float]]]], *, y: str) -> Figure:
    """A panel for each (label of x, values of x, line -> its values), both axes logarithmic, y shared.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not panels or not any(len(xs) for _, xs, _ in panels):
        raise ValueError("There is no panel, or no value, to draw.")
    figure = figure_of(width=3.8 * len(panels), height=3.6)
    grid = list(figure.subplots(1, len(panels), squeeze=False, sharey=True).flat)
    for axes, (label, xs, lines) in zip(grid, panels, strict=True):
        for number, (name, values) in enumerate(lines.items()):
            axes.plot(xs, values, label=name, markersize=5, linewidth=1.8, **look(number))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(list(xs), [f"{x:,g}" if x < 1e5 else f"{x / 1e6:g} M" for x in xs])
        axes.minorticks_off()
        axes.set_xlabel(label)
        calm(axes)
    grid[0].set_ylabel(y)
    legend(figure, grid)
    return figure


def lists_by_popularity(recommended: Mapping[str, NDArray[np.integer]], n_ratings: NDArray[np.integer]) -> Figure:
    """How far the lists of each model reach down from the popular items.

    Left: how many lists each item is in, beside its rank by popularity (items in no list are not drawn). Right: the
    part of all list places that the most popular items take; the grey line is the same for the ratings, so a model
    above it is more popularity-minded than its users are.

    Args:
        recommended: model -> number of lists that each item is in (n_items,).
        n_ratings: ratings of each item (n_items,), in the same order of items.

    Returns:
        The figure.

    Raises:
        ValueError: the lengths differ, or there is no item.
    """
    from matplotlib.ticker import PercentFormatter, StrMethodFormatter

    n_items = int(n_ratings.size)
    if n_items == 0:
        raise ValueError("There is no item to draw.")
    for model, counts in recommended.items():
        if counts.shape != (n_items,):
            raise ValueError(f"{model} has counts of shape {counts.shape} for {n_items} items.")
    # Stable: items of equal popularity keep their order, so that the same numbers make the same picture.
    by_popularity = np.argsort(-n_ratings.astype(np.int64), kind="stable")
    rank = np.arange(1, n_items + 1)
    figure = figure_of(width=10.0, height=4.2)
    left, right = figure.subplots(1, 2)
    right.plot(rank, _cumulative(n_ratings[by_popularity]), color=GREY, linewidth=1.4, linestyle="--", label="ratings")
    for number, (model, counts) in enumerate(recommended.items()):
        in_order = counts[by_popularity]
        is_listed = in_order > 0
        own = look(number)
        left.scatter(
            rank[is_listed],
            in_order[is_listed],
            s=14,
            alpha=0.6,
            linewidths=0,
            color=own["color"],
            marker=own["marker"],
        )
        # A line of all items is drawn without markers; the legend, which serves both panels, has them.
        right.plot(rank, _cumulative(in_order), label=model, linewidth=1.8, markevery=[], **own)
    left.set_title("lists that an item is in", loc="left", fontsize=11)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    right.set_title("part of all list places, cumulated", loc="left", fontsize=11)
    right.set_ylim(0.0, 1.03)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    for axes in (left, right):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xlim(0.9, max(n_items * 1.1, 2.0))
        axes.set_xlabel("item, by popularity (1 is the most rated)")
        calm(axes)
    legend(figure, [right])
    return figure


def with_intervals(values: Mapping[str, tuple[float, float, float]], x: str) -> Figure:
    """A point and its interval for each model, one under the other.

    Args:
        values: model -> value, low end, high end; NaN ends are not drawn.
        x: what the values are.

    Raises:
        ValueError: there is no model.
    """
    if not values:
        raise ValueError("There is no model to draw.")
    figure = figure_of(width=8.0, height=1.4 + 0.42 * len(values))
    axes = figure.subplots()
    for row, (_, (value, low, high)) in enumerate(values.items()):
        color = COLORS[row % len(COLORS)]
        axes.plot([low, high], [row, row], color=color, linewidth=2.2)
        axes.plot([value], [row], marker="o", markersize=7, color=color)
        axes.annotate(f"{value:.4f}", (value, row), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=9)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(-0.6, len(values) - 0.3)
    axes.set_xlabel(f"{x}, 95 % interval over users")
    calm(axes)
    return figure


def by_group(values: Mapping[str, Sequence[tuple[float, float, float]]], groups: Sequence[str], y: str) -> Figure:
    """Points with intervals, models beside each other within each group.

    Args:
        values: model -> for each group value, low end, high end.
        groups: their names.
        y: what the values are.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not values or not groups:
        raise ValueError("There is no model, or no group, to draw.")
    figure = figure_of(width=2.0 + 2.4 * len(groups), height=3.8)
    axes = figure.subplots()
    for number, (model, points) in enumerate(values.items()):
        at = np.arange(len(groups)) + (number - (len(values) - 1) / 2) * 0.7 / len(values)
        value, low, high = np.array(points, float).T
        axes.vlines(at, low, high, color=COLORS[number % len(COLORS)], linewidth=2.0)
        axes.plot(at, value, linestyle="none", markersize=6, label=model, **look(number))
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_ylabel(y)
    axes.set_ylim(bottom=0.0)
    calm(axes)
    legend(figure, [axes])
    return figure


def against(points: Mapping[str, tuple[float, float]], x: str, y: str) -> Figure:
    """A point a model, x against y.

    Raises:
        ValueError: there is no model.
    """
    if not points:
        raise ValueError("There is no model to draw.")
    figure = figure_of(width=6.0, height=4.2)
    axes = figure.subplots()
    for number, (model, (at, height)) in enumerate(points.items()):
        axes.plot([at], [height], linestyle="none", markersize=9, label=model, **look(number))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.margins(0.12)
    axes.set_xlim(left=0.0)
    axes.set_ylim(bottom=0.0)
    calm(axes)
    legend(figure, [axes])
    return figure


def figure_of(*, width: float, height: float) -> Figure:
    """An empty figure, without pyplot; width and height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def look(number: int) -> dict[str, Any]:
    return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}


def _cumulative(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    total = int(counts.sum())
    return counts.cumsum() / total if total else np.zeros(counts.size)


def calm(axes: Axes) -> None:
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend for all panels, each label once."""
    entries = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        entries.values(), entries.keys(), loc="outside upper center", ncols=max(1, min(len(entries), 5)), frameon=False
    )
