"""What an inspection says: guesses with how sure they are and why, and questions where only a person can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from marquee.sources.reading import Source

Confidence = Literal["certain", "likely", "unsure"]


@dataclass(frozen=True)
class Guess:
    """A field of the source as "ratings.separator", the value that it is guessed to have, how sure that is, and why."""

    field: str
    value: str
    confidence: Confidence
    reason: str


@dataclass(frozen=True)
class Question:
    """What only a person can answer: the field of the source that the answer belongs to, and the sentence."""

    field: str
    sentence: str


@dataclass(frozen=True)
class Answers:
    """What a person has said already, and what is not guessed again.

    Attributes:
        columns: our name -> the file's name of a column, its position where it has no names, or "" where there is none.
        separator: between two fields; "" is guessed, as `time`, the unit of the times, is.
        minimum, maximum: of the scale; None is guessed.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    separator: str = ""
    time: str = ""
    minimum: float | None = None
    maximum: float | None = None

    @property
    def are_given(self) -> bool:
        return self != Answers()


@dataclass(frozen=True)
class Example:
    """A row as it would be read; `rated_at` is in UTC, None where there is no time."""

    user_id: str
    item_id: str
    rating: float
    rated_at: datetime | None


@dataclass(frozen=True)
class Inspection:
    """A look at a source.

    Attributes:
        source: how it would be read; a field that a question is about has the likeliest answer.
        format: the built-in format that it was recognised as; "" where it is none.
        guesses: what was guessed, in the order of the TOML file.
        questions: what has to be answered before it is read so.
        examples: its first rows, as they would be read.
        n_rows: rows of its first MB; `n_refused` of them would go to quarantine for what stands in them alone.
    """

    source: Source
    format: str
    guesses: tuple[Guess, ...]
    questions: tuple[Question, ...]
    examples: tuple[Example, ...]
    n_rows: int
    n_refused: int
