"""How the benchmark of models sums up several splits: a user counts once, whatever splits judge them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.evaluation import summed_up


def test_a_user_s_figure_is_the_mean_over_the_splits() -> None:
    first = pa.table({"user_index": [1, 2], "ndcg_at_10": [0.2, 0.6]})
    second = pa.table({"user_index": [1, 3], "ndcg_at_10": [0.4, np.nan]})
    told = summed_up([(first, 0.2), (second, 0.4)])
    assert told["ndcg_at_10"] == pytest.approx(0.45) and told["coverage_at_10"] == pytest.approx(0.3)
    assert told["n_users"] == 2 and 0.3 <= told["low"] <= told["high"] <= 0.6
