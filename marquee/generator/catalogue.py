"""What there is to rate: items with a long-tailed popularity, a latent taste, a quality, a title and genres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TASTES = 16
MOST_SLOTS, HEAD, EXPONENT = 1000, 0.01, 1.5
"""Zipf-Mandelbrot popularity: slots(r) = 1000 / (1 + r / (1 % of the items)) ^ 1.5. In MovieLens latest-small the
top item has 32 times the mean, and the top 1 % of the items 16 % of the ratings; the same size generated has 24 times
and 15 %."""

GENRES = (
    "Action", "Adventure", "Animation", "Children", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
    "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
ADJECTIVES = (
    "Amber", "Broken", "Burning", "Crimson", "Crooked", "Distant", "Electric", "Empty", "Endless", "Fallen", "Final",
    "Foreign", "Forgotten", "Frozen", "Gentle", "Golden", "Hidden", "Hollow", "Hungry", "Invisible", "Iron", "Last",
    "Little", "Lonely", "Long", "Lost", "Lucky", "Midnight", "Northern", "Paper", "Quiet", "Restless", "Savage",
    "Second", "Secret", "Silent", "Silver", "Stolen", "Strange", "Sunken", "Velvet", "Wandering", "Wild", "Winter",
)  # fmt: skip
NOUNS = (
    "Alibi", "Anchor", "Architect", "Bridge", "Carnival", "Cartographer", "Circus", "Colony", "Compass", "Corridor",
    "Detective", "Dynasty", "Empire", "Falcon", "Ferry", "Garden", "Harbor", "Harvest", "Horizon", "Hotel", "Island",
    "Janitor", "Journey", "Kingdom", "Lantern", "Letter", "Lighthouse", "Machine", "Magician", "Menagerie", "Mirror",
    "Mountain", "Neighbor", "Orchard", "Orchestra", "Passenger", "Pilot", "Promise", "River", "Rumor", "Sailor",
    "Season", "Shadow", "Signal", "Station", "Stranger", "Summer", "Tailor", "Tower", "Train", "Valley", "Waltz",
)  # fmt: skip
FORMS = ("{} {}{}", "{} {}{}, The", "Return of the {} {}{}")
FIRST_YEAR, LAST_YEAR = 1935, 2014
"""Years in the titles; the first rating is of 2015, so nothing is rated before it is out."""

BLOCK = 1 << 16


@dataclass(frozen=True)
class Catalogue:
    """Items 0 .. n_items - 1, each of one taste. About 100 bytes an item, and 200 while it is made.

    Attributes:
        taste: uint8 (n_items,).
        share: float64 (n_items,), the item's part of its taste's popularity; sums to 1 over each taste.
        quality: float32 (n_items,), stars above or below the usual item.
        urn: int32; each item lies in it as many times as it has slots, and the tastes one after the other, so that
            one random slot is one draw in proportion to popularity.
        urn_start: int64 (n_tastes + 1,), borders of the tastes in the urn.
        appeal: float64 (n_tastes,), log of how popular the tastes are beside each other.
    """

    taste: NDArray[np.uint8]
    share: NDArray[np.float64]
    quality: NDArray[np.float32]
    urn: NDArray[np.int32]
    urn_start: NDArray[np.int64]
    appeal: NDArray[np.float64]

    @property
    def n_items(self) -> int:
        return self.taste.size

    @property
    def n_tastes(self) -> int:
        return self.appeal.size


def make(items: int, random: np.random.Generator) -> Catalogue:
    """A catalogue of so many items, its popular ones spread evenly over the tastes."""
    n_tastes = min(TASTES, items)
    rank = random.permutation(items)  # 0 is the most popular
    taste = (rank % n_tastes).astype(np.uint8)
    slots = np.ceil(MOST_SLOTS * (1 + rank / max(HEAD * items, 1)) ** -EXPONENT).astype(np.int64)
    slots_of_taste = np.bincount(taste, weights=slots, minlength=n_tastes)
    by_taste = np.argsort(taste, kind="stable").astype(np.int32)
    return Catalogue(
        taste=taste,
        share=slots / slots_of_taste[taste],
        quality=(0.4 * random.standard_normal(items) + 0.3 * (1 - 2 * rank / items)).astype(np.float32),
        urn=np.repeat(by_taste, slots[by_taste]),
        urn_start=np.concatenate(([0], slots_of_taste.cumsum())).astype(np.int64),
        appeal=-0.5 * np.log(np.arange(2, n_tastes + 2)),
    )


def titles(catalogue: Catalogue, random: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Title (with year, each title once) and genres (`Drama|War`) of every item, in order."""
    words = random.permutation(catalogue.n_items)
    n_plain = len(ADJECTIVES) * len(NOUNS) * len(FORMS)
    for start in range(0, catalogue.n_items, BLOCK):
        block = slice(start, min(start + BLOCK, catalogue.n_items))
        size = block.stop - block.start
        years = LAST_YEAR - ((LAST_YEAR - FIRST_YEAR + 1) * random.random(size) ** 2).astype(np.int64)
        has_second = random.random(size) < 0.6
        third = random.integers(0, 3 * len(GENRES), size)  # beyond the genres: none
        for i, code in enumerate(words[block].tolist()):
            part, plain = divmod(code, n_plain)
            # 2741 has no divisor in common with n_plain: all words are met early, and no title twice.
            form, pair = divmod(plain * 2741 % n_plain, len(ADJECTIVES) * len(NOUNS))
            noun, adjective = divmod(pair, len(ADJECTIVES))
            sequel = f" {part + 1}" if part else ""
            name = FORMS[form].format(ADJECTIVES[adjective], NOUNS[noun], sequel)
            taste = int(catalogue.taste[start + i])
            genres = {GENRES[taste]}
            if has_second[i]:
                genres.add(GENRES[(taste * 5 + 7) % len(GENRES)])
            if third[i] < len(GENRES):
                genres.add(GENRES[third[i]])
            yield f"{name} ({years[i]})", "|".join(sorted(genres))
