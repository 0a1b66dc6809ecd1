"""Who or what is to be forgotten: a user or an item by its id, which shows in no repr, log or message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Kind = Literal["user", "item"]

#: Sentences and examples may show the start of a long value only: so many letters at least.
CUT_AT = 40
#: The raw tables whose rows are of a user, or of an item.
TABLES = {"user": ("ratings", "splits"), "item": ("ratings", "items", "splits")}


@dataclass(frozen=True)
class Subject:
    """A user or an item; `id` is spelt as in the tables."""

    kind: Kind
    id: str = field(repr=False)

    @property
    def column(self) -> str:
        return f"{self.kind}_id"

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of a source whose rows can be the subject's."""
        return TABLES[self.kind]

    @cached_property
    def _token(self) -> re.Pattern[str]:
        return re.compile(rf"(?<!\w){re.escape(self.id)}(?!\w)")

    @cached_property
    def _shown(self) -> re.Pattern[str]:
        if len(self.id) <= CUT_AT:
            return self._token
        return re.compile(rf"(?<!\w){re.escape(self.id[:CUT_AT])}\S*")

    def is_in(self, text: str) -> bool:
        """Whether a text holds the id as a whole token: no letter, digit or underscore on either side."""
        return self.id in text and self._token.search(text) is not None

    def is_shown_in(self, text: str) -> bool:
        """Whether a text written for people names the id: as `is_in` has it, or the start of it where it is long."""
        return self.id[:CUT_AT] in text and self._shown.search(text) is not None

    def without(self, text: str, instead: str) -> str:
        """Such a text with another in place of each id."""
        return self._shown.sub(lambda _: instead, text) if self.is_shown_in(text) else text
