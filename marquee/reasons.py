"""Why a row is in quarantine: the codes, what they mean, and whether they count as faults of the batch.

They stand here and not beside the tables' contracts, because the command that explains them to people is in this room.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Characters of an id, at most.
MAX_ID_LENGTH = 256


@dataclass(frozen=True)
class Reason:
    """Why a row is in quarantine. Rows of a reason that `is_fault` count against the share that a batch may have."""

    code: str
    meaning: str
    is_fault: bool = True


REASONS = (
    Reason("unreadable_line", "the line can't be taken apart: a quote that doesn't close, JSON that is none"),
    Reason("undecodable_text", "bytes that are no text in the source's encoding"),
    Reason("wrong_field_count", "more or fewer fields than the header or the format has"),
    Reason("missing_user_id", "the user is empty"),
    Reason("missing_item_id", "the item is empty"),
    Reason("missing_rating", "the rating is empty"),
    Reason("missing_rated_at", "the time is empty"),
    Reason("missing_title", "the title is empty"),
    Reason("user_id_too_long", f"the user has more than {MAX_ID_LENGTH} characters"),
    Reason("item_id_too_long", f"the item has more than {MAX_ID_LENGTH} characters"),
    Reason("rating_not_a_number", "the rating is no number"),
    Reason("rating_not_finite", "the rating is NaN or infinite"),
    Reason("rating_out_of_range", "the rating is outside the scale that the source declares"),
    Reason("bad_time", "the time can't be read in the source's unit, or lies before 1970"),
    Reason("future_time", "the time is later than the file was received"),
    Reason("unknown_item", "the item is not in the catalogue, which the source declares to be complete"),
    Reason("superseded", "the same user and item come again with a later time (without times: later)", is_fault=False),
    Reason("duplicate", "the same user, item, time and rating come again", is_fault=False),
    Reason("conflicting_duplicate", "the same user, item and time come again with another rating: the last one stays"),
)
