"""What a group of users rates, how, and when.

Each user has a latent taste, z_u ~ N(0, I). A user picks items one after the other and never one twice: first a taste
t with probability theta_u(t), then an item of it in proportion to its popularity,

    p_u(i) = theta_u(t_i) share_i,    theta_u = 0.9 softmax(appeal + 1.8 z_u) + 0.1 / n_tastes

and gives it stars by the same taste,

    r_ui = 3.05 + 0.35 b_u + quality_i + 0.35 z_u(t_i) + 0.85 e_ui,    rounded to half stars in 0.5 .. 5.

So who picks what, and how much it is liked, both have a part of rank n_tastes that a factor model can learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marquee.generator.catalogue import Catalogue

FIRST_TIME, LAST_TIME = 1_420_070_400, 1_735_689_599
"""2015-01-01T00:00:00Z and 2024-12-31T23:59:59Z, seconds since 1970."""

ROUNDS = 12
BLOCK = 1 << 20

Keys = NDArray[np.int64]


@dataclass(frozen=True)
class Histories:
    """Ratings, ordered by user, then item: user and item as indices, half stars 1 .. 10, seconds since 1970."""

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    half_stars: NDArray[np.int8]
    rated_at: NDArray[np.int64]


def draw(counts: NDArray[np.int32], catalogue: Catalogue, random: np.random.Generator) -> Histories:
    """The histories of a group of users.

    Args:
        counts: int32 (n_users,), how many ratings each gives, between 1 and the number of items.
        catalogue: what there is to rate.
        random: source of randomness, of this group alone.

    Returns:
        `counts.sum()` rows, no (user, item) twice, user indices 0 .. n_users - 1. The memory it takes grows with that
        number and with the number of items, and with nothing else.
    """
    n_users, n_items = counts.size, catalogue.n_items
    z = random.standard_normal((n_users, catalogue.n_tastes))
    theta = np.exp(catalogue.appeal + 1.8 * z)
    theta = 0.9 * theta / theta.sum(axis=1, keepdims=True) + 0.1 / catalogue.n_tastes

    is_heavy = counts > n_items // 8
    light, unfinished = _pick_by_urn(np.flatnonzero(~is_heavy), counts, theta, catalogue, random)
    heavy = _pick_by_race(np.concatenate((np.flatnonzero(is_heavy), unfinished)), counts, theta, catalogue, random)
    keys = np.concatenate((light, heavy))
    keys.sort()
    user, item = np.divmod(keys, n_items)

    bias = 0.35 * random.standard_normal(n_users)
    noise = 0.85 * random.standard_normal(keys.size)
    stars = 3.05 + bias[user] + catalogue.quality[item] + 0.35 * z[user, catalogue.taste[item]] + noise
    # Users join early more often than late, and stay: all along there are users with a past, and some newcomers.
    joined = 0.98 * random.random(n_users) ** 1.5
    when = joined[user] + (1 - joined[user]) * random.random(keys.size)
    return Histories(
        user=user,
        item=item,
        half_stars=np.rint(2 * stars).clip(1, 10).astype(np.int8),
        rated_at=FIRST_TIME + (when * (LAST_TIME - FIRST_TIME)).astype(np.int64),
    )


def _pick_by_urn(
    users: NDArray[np.int64],
    counts: NDArray[np.int32],
    theta: NDArray[np.float64],
    catalogue: Catalogue,
    random: np.random.Generator,
) -> tuple[Keys, NDArray[np.int64]]:
    """Draw again and again, keeping each item the first time; quick where few of the items are taken.

    A round draws exactly what is missing, so nobody ever gets too much, and the law is that of drawing one by one.

    Returns:
        Keys (user * n_items + item) of the users who are complete, and the users who are not after all rounds.
    """
    n_items, n_tastes, n_users = catalogue.n_items, catalogue.n_tastes, counts.size
    # One ascending row of numbers, user u's part in (u, u + 1]: a single search finds the taste of every draw.
    steps = theta.cumsum(axis=1) + np.arange(n_users)[:, None]
    steps[:, -1] = np.arange(1, n_users + 1)
    steps = steps.ravel()
    sizes = np.diff(catalogue.urn_start)
    complete, kept = [np.empty(0, dtype=np.int64)], np.empty(0, dtype=np.int64)
    missing = np.zeros(n_users, dtype=np.int64)
    missing[users] = counts[users]
    for _ in range(ROUNDS):
        user = np.repeat(np.arange(n_users), missing)
        taste = np.searchsorted(steps, user + random.random(user.size), side="right") - user * n_tastes
        np.minimum(taste, n_tastes - 1, out=taste)  # the sum above may round up to u + 1
        slot = catalogue.urn_start[taste] + (random.random(user.size) * sizes[taste]).astype(np.int64)
        kept = np.concatenate((kept, user * n_items + catalogue.urn[slot]))
        kept.sort()
        kept = kept[np.concatenate(([True], kept[1:] != kept[:-1]))] if kept.size else kept
        owner = kept // n_items
        missing = np.where(missing > 0, counts - np.bincount(owner, minlength=n_users), 0)
        is_complete = missing[owner] == 0
        complete.append(kept[is_complete])
        kept = kept[~is_complete]
        if not kept.size:
            break
    return np.concatenate(complete), np.flatnonzero(missing)


def _pick_by_race(
    users: NDArray[np.int64],
    counts: NDArray[np.int32],
    theta: NDArray[np.float64],
    catalogue: Catalogue,
    random: np.random.Generator,
) -> Keys:
    """Let all items race, the i-th arriving after Exp(1) / p_u(i), and keep the first; for those who take many.

    The same law as drawing one by one without replacement: Efraimidis and Spirakis, "Weighted random sampling with a
    reservoir", Information Processing Letters 97(5), 2006.
    """
    n_items = catalogue.n_items
    keys = [np.empty(0, dtype=np.int64)]
    at_once = max(1, BLOCK // n_items)
    for start in range(0, users.size, at_once):
        group = users[start : start + at_once]
        arrival = random.standard_exponential((group.size, n_items))
        arrival /= theta[group][:, catalogue.taste] * catalogue.share
        order = np.argsort(arrival, axis=1)
        is_in_time = np.arange(n_items) < counts[group][:, None]
        keys.append((group[:, None] * n_items + order)[is_in_time])
    return np.concatenate(keys)
