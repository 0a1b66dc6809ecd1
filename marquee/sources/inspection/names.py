"""What a column's name says of what is in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Role = Literal["", "user_id", "item_id", "rating", "count", "rated_at"]

#: Nouns of each role, the surest first; a weaker one counts where there is no stronger one.
USERS = (
    "user uid customer cust client member visitor reviewer account person profile subscriber buyer shopper purchaser "
    "listener viewer patron guest player patient student learner username nickname",
    "cookie device author session visit household login email basket order invoice transaction cart card",
)
ITEMS = (
    "item iid movie film product prod asin sku isbn book track song article game anime artist show business restaurant "
    "joke course recipe stockcode content video podcast episode news",
    "title album app beer document doc place venue poi url link category brand service merchant store parentasin post "
    "listing ad offer goods material gtin ean upc",
)
RATINGS = (
    "rating ratings stars star overall grade mark",
    "score vote points preference pref likes like evaluation value feedback",
)
COUNTS = (
    "count quantity qty plays playcount listens clicks views purchases times freq frequency",
    "weight amount hours playtime duration n number units",
)
TIMES = (
    "timestamp time ts tstamp datetime unixtime unixtimestamp epoch unixreviewtime ratedat eventtime",
    "reviewtime date day when createdat created updatedat updated at reviewdate orderdate invoicedate purchasedate "
    "watchedat visitdate addedat dateadded dateupdated submitted submissiondate modified",
)

_NOUNS: dict[Role, tuple[str, ...]] = {
    "rated_at": TIMES,
    "rating": RATINGS,
    "count": COUNTS,
    "user_id": USERS,
    "item_id": ITEMS,
}
_LANGUAGES: dict[Role, str] = {
    "user_id": "usuario nutzer kunde benutzer utilisateur client cliente utente klient uzivatel usager",
    "item_id": "artikel produkt produit producto prodotto articulo film pelicula libro buch livre",
    "rating": "bewertung note nota puntuacion valoracion voto hodnoceni ocena avis",
    "count": "menge anzahl cantidad quantite quantita",
    "rated_at": "zeit datum fecha data zeitpunkt heure",
}
_IDENTIFIERS = ("id", "ids", "code", "key", "no", "num", "nr", "number", "hash", "uuid", "guid", "unique", "identifier")
_WORDS_OF = ("name", "title", "label")
_OTHER_WORDS = (
    "title name genres genre categories description text summary review comment price cost age gender sex zip city "
    "country state address url image language lang currency discount verified helpful index latitude longitude lat lon"
)
_UNITS = ("s", "sec", "seconds", "ms", "millis", "us", "micros", "ns", "utc", "gmt")
_SUMMARIES = {"average", "avg", "mean", "total", "max", "min"}
_SUFFIX = re.compile(r":(token|float|token_seq|float_seq)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Named:
    """The role that a name tells, and how strongly: 5 a noun's id, 4 the noun alone, less for a name or weaker noun."""

    role: Role
    strength: int


@lru_cache(maxsize=4096)
def role_of(name: str) -> Named:
    """The role that a column's name tells; the empty role where it tells none.

    `userId`, `User-ID`, `user_id:token`, `reviewerID`, `CustomerNo`, `user.id` and `user` are all a user's.
    """
    words = words_of(name)
    if not words or _SUMMARIES & set(words):
        return Named("", 0)
    for role, (strong, weak) in _NOUNS.items():
        for vocabulary, base in ((strong.split() + _LANGUAGES[role].split(), 4), (weak.split(), 2)):
            if strength := _strength(words, vocabulary, role):
                return Named(role, base + strength - 2)
    return Named("", 0)


def tells_of_something_else(name: str) -> bool:
    """Whether the name tells of a thing that is neither user nor item, as a price or a description."""
    return any(word in _OTHER_WORDS.split() for word in words_of(name))


def _strength(words: list[str], vocabulary: list[str], role: Role) -> int:
    """3 for a noun's id, 2 for the noun alone, 1 where it is a part of the name; 0 for none of the vocabulary."""
    if "".join(words) in vocabulary:
        return 2
    if role in ("user_id", "item_id"):
        nouns = [word for word in words if word not in _IDENTIFIERS]
        if nouns and len(nouns) < len(words) and nouns[-1] in vocabulary:
            return 3
        return int(len(words) == 2 and words[0] in vocabulary and words[1] in _WORDS_OF)
    if role == "rated_at" and len(words) > 1 and words[-1] in _UNITS:
        return _strength(words[:-1], vocabulary, role)
    return int(len(words) > 1 and words[-1] in vocabulary)


def words_of(name: str) -> list[str]:
    """The words of a name in lower case: ["user", "id"] of `userId`, `USER_ID`, `User-ID:token`, `userid`."""
    spaced = _CAMEL.sub(" ", _SUFFIX.sub("", name.strip()))
    words = [word.casefold() for word in re.split(r"[\W_]+", spaced) if word]
    if len(words) == 1 and len(words[0]) > 3 and words[0].endswith("id"):
        return [words[0][:-2], "id"]
    return words
