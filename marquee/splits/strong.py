"""Strong generalization: whole users are held out; lists are made from a part of their history by fold-in.

    train     all ratings of the other users
    fold-in   a share of each held-out user's ratings
    test      the rest of them

Nothing of a held-out user is known while a model learns: it is the question that a new user asks. Held-out users with
fewer than two ratings are on no side. Users and ratings are drawn by a hash of their ids and the seed.

Source: Marlin, "Collaborative filtering: a machine learning perspective", 2004; with a fold-in share of .8 the protocol
of Liang et al., "Variational autoencoders for collaborative filtering", WWW 2018, section 4.2.
"""

from __future__ import annotations

import numpy as np

from marquee.splits.base import Ints, Split, hashed, rank_within, refuse_share


def strong(user: Ints, item: Ints, held_out: float, fold_in: float, seed: int) -> Split:
    """Hold out whole users.

    Args:
        user, item: dense indexes (n_ratings,); each pair at most once.
        held_out: share of the users, between 0 and 1; at least one.
        fold_in: share of a held-out user's ratings that lists are made from, between 0 and 1; at least one rating, and
            at least one is left for the test.

    Raises:
        TrainingError: a share is not between 0 and 1, or a side is empty.
    """
    refuse_share("share of held-out users", held_out)
    refuse_share("share of their ratings to fold in", fold_in)
    n_users = int(user.max(initial=-1)) + 1
    everybody = np.arange(n_users)
    drawn = hashed(everybody, np.full(n_users, 2**32), seed)
    is_there = np.bincount(user, minlength=n_users) > 0
    order = np.lexsort((everybody, drawn, ~is_there))
    is_held_out = np.zeros(n_users, np.bool_)
    is_held_out[order[: max(1, round(int(is_there.sum()) * held_out))]] = True
    count = np.bincount(user, minlength=n_users)[user]
    place = rank_within(user, hashed(user, item, seed), item)
    n_fold_in = np.clip(np.floor(count * fold_in + 0.5), 1, np.maximum(count - 1, 1))
    of_held_out = is_held_out[user]
    is_judged = of_held_out & (count > 1)
    about = {"protocol": "strong", "held_out": held_out, "fold_in": fold_in, "seed": seed}
    return Split(~of_held_out, is_judged & (place >= n_fold_in), about, is_judged & (place < n_fold_in))
