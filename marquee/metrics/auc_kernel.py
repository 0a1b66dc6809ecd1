"""The compiled part of `auc`: whoever imports the metrics does not wait for numba."""

from __future__ import annotations

import numpy as np

from marquee.top_k.compiled import compiled

CANDIDATE, RELEVANT, OUT = 0, 1, 2


@compiled()
def auc_kernel(scores, is_item, seen_at, seen_items, relevant_at, relevant_items):  # type: ignore[no-untyped-def]
    n_users, n_items = scores.shape
    values = np.full(n_users, np.nan)
    kind = np.empty(n_items, np.uint8)
    others = np.empty(n_items, np.float32)
    for user in range(n_users):
        for item in range(n_items):
            kind[item] = CANDIDATE if is_item[item] else OUT
        for at in range(seen_at[user], seen_at[user + 1]):
            kind[seen_items[at]] = OUT
        n_relevant = 0
        for at in range(relevant_at[user], relevant_at[user + 1]):
            if kind[relevant_items[at]] == CANDIDATE:
                kind[relevant_items[at]] = RELEVANT
                n_relevant += 1
        n_others = 0
        is_number = True
        for item in range(n_items):
            if kind[item] != OUT and np.isnan(scores[user, item]):
                is_number = False
            if kind[item] == CANDIDATE:
                others[n_others] = scores[user, item]
                n_others += 1
        if n_relevant == 0 or n_others == 0 or not is_number:
            continue
        twice = 0
        for item in range(n_items):
            if kind[item] == RELEVANT:
                score = scores[user, item]
                below, equal = 0, 0
                for other in range(n_others):
                    below += others[other] < score
                    equal += others[other] == score
                twice += 2 * below + equal
        values[user] = twice / (2.0 * n_relevant * n_others)
    return values
