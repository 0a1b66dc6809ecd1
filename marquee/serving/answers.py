"""What the endpoint takes and gives: the shapes of its OpenAPI description."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, model_validator

MAX_K = 1000
MAX_HISTORY = 10_000

#: Releases have times without a zone, which are UTC.
Time = Annotated[datetime, AfterValidator(lambda time: time.replace(tzinfo=UTC))]
Text = Annotated[str, Field(max_length=1000)]


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class Reason(Answer):
    """An item of the user's history, and its share of the score."""

    item_id: str
    title: str
    share: float


class Recommended(Answer):
    """An item at a position of a list, the first is 1; scores are comparable within one list only."""

    position: int
    item_id: str
    title: str
    score: float
    source: str = Field(description="what made the row: als, fold_in or popular")
    because: list[Reason] = []


class UserList(Answer):
    release_id: str
    user_id: str
    recommendations: list[Recommended]


class Popular(Answer):
    position: int
    item_id: str
    title: str
    n_ratings: int


class PopularList(Answer):
    release_id: str
    scope: str
    items: list[Popular]


class Similar(Answer):
    position: int
    item_id: str
    title: str
    similarity: float


class SimilarList(Answer):
    release_id: str
    item_id: str
    items: list[Similar]


class History(BaseModel):
    """What a visitor has rated; nothing of it is kept."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"items": ["318", "296"], "ratings": [5.0, 4.0], "k": 10}}
    )

    items: list[Text] = Field(min_length=1, max_length=MAX_HISTORY, description="ids of the items")
    ratings: list[FiniteFloat] | None = Field(None, description="their ratings, one an item; by default each 1")
    k: int = Field(10, ge=1, le=MAX_K, description="length of the list")

    @model_validator(mode="after")
    def _one_rating_an_item(self) -> Self:
        if self.ratings is not None and len(self.ratings) != len(self.items):
            raise ValueError(f"there are {len(self.items)} items and {len(self.ratings)} ratings; give one an item")
        return self


class HistoryList(Answer):
    release_id: str
    unknown_items: list[str] = Field(description="items of the history that the model does not know; passed over")
    recommendations: list[Recommended]


class About(Answer):
    """The release that is current, and where it comes from."""

    release_id: str
    created_at: Time = Field(description="when the release was asked for")
    model_name: str
    model_version: str
    mlflow_run_id: str
    ratings_version: int
    items_version: int
    recommendations_version: int
    raw_sha256: list[str]
    is_generated: bool
    k: int
    n_users: int
    n_items: int
    marquee_version: str


class Health(Answer):
    status: str
    release_id: str


class Problem(Answer):
    """What was wrong, and what to do."""

    detail: str
