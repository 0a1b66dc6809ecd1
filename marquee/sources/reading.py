"""How a source is read: which file holds which table, and how its lines become columns.

`marquee inspect` writes it as TOML (`sources/NAME.toml`), the built-in formats are values of it (`formats.py`), and the
manifest of a batch pins it, so that the same bytes read the same way are the same batch.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Table = Literal["ratings", "items", "splits"]
Layout = Literal["delimited", "jsonl", "parquet", "baskets", "netflix"]
Repeated = Literal["latest", "sum"]

#: Units of a time that is a number, with how many of them make a second; "iso" is text as ISO 8601 writes it.
TIME_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
ISO = "iso"

#: Our names of columns, in the order in which people are told of them.
COLUMNS = ("user_id", "item_id", "rating", "rated_at", "title", "genres")


class Reading(BaseModel):
    """How the files of one table are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: tuple[str, ...] = Field(
        (), description="which files of a folder or archive, as 'ratings*.csv' (any case); a single file needs none"
    )
    layout: Layout = Field("delimited", description="delimited, jsonl, parquet, baskets (one a line) or netflix")
    separator: str = Field(",", max_length=8, description="what stands between two fields, as ',' or '\\t' or '::'")
    quote: str = Field('"', max_length=1, description="what may enclose a field; empty: nothing does")
    header: bool = Field(True, description="whether the first line names the columns")
    encoding: str = Field("utf-8", description="as Python names it: utf-8, latin-1, utf-16")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="our name of a column -> the file's name of it; without a header its position, the first is '1'",
    )
    n_fields: int = Field(0, ge=0, description="fields of a line without a header; 0: as many as the header has")
    last_takes_rest: bool = Field(
        False, description="whether the last of n_fields takes the rest of its line, separators and all"
    )
    other_columns: Literal["ignore", "refuse"] = Field("ignore", description="what to do with columns not named here")

    @field_validator("columns")
    @classmethod
    def _in_our_order(cls, columns: dict[str, str]) -> dict[str, str]:
        """A manifest's JSON has its keys by letters."""
        return {name: columns[name] for name in sorted(columns, key=[*COLUMNS, *columns].index)}


class RatingsReading(Reading):
    """How the ratings are read; `columns` are user_id, item_id and, where the source has them, rating and rated_at."""

    minimum: float | None = Field(None, allow_inf_nan=False, description="lowest rating of the scale; none: unbounded")
    maximum: float | None = Field(None, allow_inf_nan=False, description="highest rating of the scale; none: unbounded")
    time: str = Field("s", description="unit of rated_at: s, ms, us, ns since 1970; iso; or a pattern of strptime")
    repeated: Repeated = Field(
        "latest", description="several rows of a user and item: latest (a rating is changed), sum (events add up)"
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> RatingsReading:
        if self.layout in ("delimited", "jsonl", "parquet"):
            missing = {"user_id", "item_id"} - set(self.columns)
            unknown = set(self.columns) - {"user_id", "item_id", "rating", "rated_at"}
            if missing or unknown:
                raise ValueError(
                    f"columns must name user_id and item_id, and may name rating and rated_at; missing "
                    f"{sorted(missing)}, unknown {sorted(unknown)}"
                )
        twice = {theirs for theirs in self.columns.values() if list(self.columns.values()).count(theirs) > 1}
        if twice:
            raise ValueError(f"columns name {', '.join(map(repr, sorted(twice)))} more than once")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"the lowest rating {self.minimum:g} is above the highest {self.maximum:g}")
        return self

    @property
    def rating_range(self) -> tuple[float | None, float | None]:
        """The lowest and the highest rating that may come of it: the scale does not bound ratings that are added up."""
        if self.repeated == "latest":
            return self.minimum, self.maximum
        is_rising = self.minimum is not None and self.minimum >= 0
        return (self.minimum if is_rising else None), None


class ItemsReading(Reading):
    """How the catalogue is read; `columns` are item_id and, where the source has them, title and genres."""

    genres_separator: str = Field("|", description="what stands between two genres")
    no_genres: str = Field("", description="what the source writes where an item has none")
    genre_flags: tuple[str, ...] = Field(
        (), description="genres as flags: the last fields of a line, one a genre; an empty name is no genre"
    )
    is_complete: bool = Field(False, description="whether every item is listed: a rating of another is then refused")

    @model_validator(mode="after")
    def _says_where_flags_are(self) -> ItemsReading:
        if self.layout == "delimited" and not self.header and self.n_fields < len(self.genre_flags):
            raise ValueError(
                f"genre_flags are the last {len(self.genre_flags)} fields of a line without a header, so n_fields must "
                f"say how many a line has; it is {self.n_fields}"
            )
        return self


class SplitReading(Reading):
    """How a published split is read: the pairs of user_id and item_id that it puts aside."""

    split: str = Field(min_length=1, description="name of the split, as 'probe'")


class Source(BaseModel):
    """A source: its name, and how each of its tables is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$", description="name of the source")
    meaning: str = Field("", description="the source in words")
    ratings: RatingsReading
    items: ItemsReading | None = None
    splits: tuple[SplitReading, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The source in JSON's types, as a manifest keeps it."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """Eight hex digits that tell readings apart; names and words do not count."""
        kept = self.model_dump(mode="json", exclude={"name", "meaning"})
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8]
