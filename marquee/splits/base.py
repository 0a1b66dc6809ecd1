"""What every split is: which ratings a model learns from, and which it is judged by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marquee.errors import TrainingError

Mask = NDArray[np.bool_]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Split:
    """Two sides of the ratings, which share no row; a row may be on neither.

    Attributes:
        is_train: bool (n_ratings,): a model learns from these.
        is_test: bool (n_ratings,): a model is judged by these.
        about: the protocol and what it is a function of, for the metric card: border, seed, fold and the like.
        is_fold_in: bool (n_ratings,), strong generalization alone: the part of the held-out users' history that lists
            are made from, by fold-in. None elsewhere: a list is made from the user's ratings on the train side.
    """

    is_train: Mask
    is_test: Mask
    about: dict[str, Any] = field(default_factory=dict)
    is_fold_in: Mask | None = None

    def __post_init__(self) -> None:
        sides = [self.is_train, self.is_test] + ([] if self.is_fold_in is None else [self.is_fold_in])
        if np.any(np.sum(sides, axis=0) > 1):
            raise ValueError("A rating is on two sides of the split at once: report this.")
        for name, side in (("train", self.is_train), ("test", self.is_test)):
            if not side.any():
                raise TrainingError(
                    f"The {self.about.get('protocol', '')} split leaves no rating for {name} out of "
                    f"{len(self.is_train):,}: bring more ratings, or set another share."
                )

    @property
    def is_history(self) -> Mask:
        """bool (n_ratings,): what is known of a user when a list is made; it is left out of the list."""
        return self.is_train if self.is_fold_in is None else self.is_train | self.is_fold_in


@dataclass(frozen=True)
class Sizes:
    """What lies on the sides, and what of the test is cold: its user, or its item, has no rating that is known.

    Warm test ratings are those whose user and item are known. A cold user gets the popular items; a cold item can be
    in no list.
    """

    train_ratings: int
    train_users: int
    train_items: int
    test_ratings: int
    test_ratings_warm: int
    test_ratings_of_cold_users: int
    test_ratings_of_cold_items: int
    test_users: int
    test_users_cold: int
    test_items_cold: int


def sizes(split: Split, user: Ints, item: Ints) -> Sizes:
    """Count the sides of a split.

    Args:
        user, item: dense indexes (n_ratings,), row by row with the split's masks.
    """
    is_known_user, is_known_item = known(user, split.is_history), known(item, split.is_train)
    is_test = split.is_test
    is_cold_user, is_cold_item = is_test & ~is_known_user[user], is_test & ~is_known_item[item]
    return Sizes(
        train_ratings=int(split.is_train.sum()),
        train_users=len(np.unique(user[split.is_train])),
        train_items=int(is_known_item.sum()),
        test_ratings=int(is_test.sum()),
        test_ratings_warm=int((is_test & ~is_cold_user & ~is_cold_item).sum()),
        test_ratings_of_cold_users=int(is_cold_user.sum()),
        test_ratings_of_cold_items=int(is_cold_item.sum()),
        test_users=len(np.unique(user[is_test])),
        test_users_cold=len(np.unique(user[is_cold_user])),
        test_items_cold=len(np.unique(item[is_cold_item])),
    )


def known(index: Ints, is_in: Mask) -> Mask:
    """bool (max index + 1,): whether the user or item has a row where `is_in` is set."""
    there = np.zeros(int(index.max(initial=-1)) + 1, np.bool_)
    there[index[is_in]] = True
    return there


def hashed(user: Ints, item: Ints, seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each pair, by the pair and the seed alone: the order of the rows never matters.

    splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 16).
    """
    with np.errstate(over="ignore"):
        state = _mixed(np.asarray(user).astype(np.uint64) + np.uint64(seed % 2**63) * np.uint64(0x9E3779B97F4A7C15))
        state = _mixed(state + np.asarray(item).astype(np.uint64))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def rank_within(group: Ints, key: NDArray[Any], tie: Ints) -> NDArray[np.int64]:
    """The place of each row within its group, from 0, by `key` and then by `tie`."""
    order = np.lexsort((tie, key, group))
    sorted_group = group[order]
    place = np.arange(len(group)) - np.searchsorted(sorted_group, sorted_group)
    places = np.empty(len(group), np.int64)
    places[order] = place
    return places


def refuse_share(name: str, share: float) -> None:
    """TrainingError unless the share lies between 0 and 1."""
    if not 0.0 < share < 1.0:
        raise TrainingError(f"The {name} is {share}, but it must lie between 0 and 1, as 0.2 does.")


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
