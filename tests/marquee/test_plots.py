"""Figures: they draw what they are given, and as an image they are not empty."""

from __future__ import annotations

import io
import subprocess
import sys
from math import nan

import numpy as np
import pytest

from marquee import plots

KS = [5, 10, 20]
METRICS = {
    "als": {"ndcg": [0.3, 0.28, 0.27], "recall": [0.1, 0.2, 0.3]},
    "popular": {"ndcg": [0.2, nan, 0.18], "recall": [0.05, 0.1, 0.15], "coverage": [0.01, 0.01, 0.02]},
}


def png(figure: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")  # type: ignore[attr-defined]
    return buffer.getvalue()


def test_one_panel_a_metric_and_one_line_a_model() -> None:
    figure = plots.metrics_by_k(METRICS, KS)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["nDCG", "recall", "coverage"]
    drawn = {
        (title, line.get_label()): list(line.get_ydata())
        for title, axes in zip(titles, figure.axes, strict=True)
        for line in axes.get_lines()
    }
    assert drawn["nDCG", "als"] == [0.3, 0.28, 0.27]
    assert set(drawn) == {(m, name) for m in ("nDCG", "recall") for name in METRICS} | {("coverage", "popular")}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["als", "popular"]
    assert png(figure).startswith(b"\x89PNG")


def test_lists_by_popularity_by_eye() -> None:
    n_ratings = np.array([1, 30, 9, 0])  # by popularity: items 1, 2, 0, 3
    figure = plots.lists_by_popularity({"als": np.array([2, 4, 3, 1]), "popular": np.array([0, 10, 0, 0])}, n_ratings)
    left, right = figure.axes
    assert left.collections[0].get_offsets().tolist() == [[1, 4], [2, 3], [3, 2], [4, 1]]
    assert left.collections[1].get_offsets().tolist() == [[1, 10]]  # items in no list are not drawn
    lines = {line.get_label(): list(line.get_ydata()) for line in right.get_lines()}
    assert lines["ratings"] == pytest.approx([30 / 40, 39 / 40, 1, 1])
    assert lines["als"] == pytest.approx([0.4, 0.7, 0.9, 1])
    assert lines["popular"] == pytest.approx([1, 1, 1, 1])
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("n_items", [1, 2, 50])
def test_small_and_empty_ones_are_drawn(n_items: int) -> None:
    nothing = np.zeros(n_items, dtype=np.int64)
    assert png(plots.lists_by_popularity({"als": nothing}, nothing))
    assert png(plots.metrics_by_k({"als": {"ndcg": [nan]}}, [10]))


def test_same_numbers_same_picture() -> None:
    assert png(plots.metrics_by_k(METRICS, KS)) == png(plots.metrics_by_k(METRICS, KS))


def test_candidates_with_their_intervals() -> None:
    figure = plots.with_intervals({"popular": (0.2, 0.18, 0.22), "als": (0.3, nan, nan)}, "nDCG@10")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["popular", "als"]
    assert list(axes.get_lines()[0].get_xdata()) == [0.18, 0.22]
    assert [text.get_text() for text in axes.texts] == ["0.2000", "0.3000"]
    assert png(figure).startswith(b"\x89PNG")


def test_candidates_by_group_and_against_coverage() -> None:
    point = (0.2, 0.1, 0.3)
    figure = plots.by_group({"popular": [point, point], "als": [point, (nan, nan, nan)]}, ["light", "heavy"], "nDCG@10")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["light", "heavy"]
    assert png(figure).startswith(b"\x89PNG")
    figure = plots.against({"popular": (0.01, 0.2), "als": (0.3, 0.3)}, "coverage", "nDCG@10")
    assert [line.get_label() for line in figure.axes[0].get_lines()] == ["popular", "als"]
    assert png(figure).startswith(b"\x89PNG")


def test_lines_by_panel() -> None:
    lines = {"whole": [3.0, 30.0], "part": [1.0, 10.0]}
    figure = plots.panel_of_lines([("ratings", [1e6, 1e8], lines), ("rank", [8, 64], lines)], y="seconds")
    assert [axes.get_xlabel() for axes in figure.axes] == ["ratings", "rank"]
    assert [list(line.get_ydata()) for line in figure.axes[1].get_lines()] == list(lines.values())
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1 M", "100 M"]
    assert png(figure).startswith(b"\x89PNG")


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no panel"):
        plots.panel_of_lines([("ratings", [], {})], y="seconds")
    for draw in (lambda: plots.with_intervals({}, "x"), lambda: plots.against({}, "x", "y")):
        with pytest.raises(ValueError, match="no model"):
            draw()
    with pytest.raises(ValueError, match="no model, or no group"):
        plots.by_group({}, ["light"], "y")
    with pytest.raises(ValueError, match="no metric"):
        plots.metrics_by_k({}, KS)
    with pytest.raises(ValueError, match="ndcg of als has 2 values for 3 ks"):
        plots.metrics_by_k({"als": {"ndcg": [0.1, 0.2]}}, KS)
    with pytest.raises(ValueError, match="no item"):
        plots.lists_by_popularity({}, np.zeros(0, np.int64))
    with pytest.raises(ValueError, match=r"als has counts of shape \(2,\) for 3 items"):
        plots.lists_by_popularity({"als": np.zeros(2, np.int64)}, np.zeros(3, np.int64))


def test_importing_it_does_not_import_matplotlib() -> None:
    program = "import sys, marquee.plots; sys.exit('matplotlib' in sys.modules)"
    path = {"PYTHONPATH": str(plots.__file__).removesuffix("/marquee/plots.py")}
    subprocess.run([sys.executable, "-c", program], check=True, env=path)
