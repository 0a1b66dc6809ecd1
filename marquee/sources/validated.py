"""A source from values that a person wrote, with one sentence for what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from marquee.errors import SourceError
from marquee.sources.reading import Source

LONGEST_VALUE = 80

_KINDS = {
    "model_type": "a table of fields, under its name in brackets",
    "dict_type": "a table of names and values",
    "tuple_type": "a list in brackets",
}


def validated(values: Mapping[str, Any], where: str) -> Source:
    """The source that the values describe.

    Args:
        where: what holds the values, as a person knows it: the path of a TOML file, or the name of a field of a form.

    Raises:
        SourceError: a field is missing, unknown or wrong; says which, its value, and what is allowed.
    """
    try:
        return Source.model_validate(dict(values))
    except ValidationError as error:
        raise SourceError(f"{where}: {_sentence(error)}") from None


def _sentence(error: ValidationError) -> str:
    # A misspelt name makes two errors, unknown and missing: the first is the one to mend.
    first = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    place = first["loc"]
    field, value = ".".join(str(part) for part in place), first["input"]
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    meaning = f"; it is {said}" if (said := meaning_of(place)) else ""
    match first["type"]:
        case "missing":
            return f"{field} is missing{meaning}: add it."
        case "extra_forbidden":
            return _unknown(field, str(place[-1]), names_beside(place))
        case "value_error":
            return f"in {field}, {message}: mend it." if field else f"{message}: mend it."
        case "model_type" | "dict_type" | "tuple_type":
            return f"{field} is {_shown(value)}, and has to be {_KINDS[first['type']]}: write it so."
        case "literal_error":
            return f"{field} is {_shown(value)}, and has to be {first['ctx']['expected']}: mend it."
        case "string_type" if isinstance(value, int | float) and not isinstance(value, bool):
            return f'{field} is the number {value}, and has to be text: write "{value}", with quotes.'
        case _:
            return f"{field} is {_shown(value)} ({message[0].lower()}{message[1:]}){meaning}: mend it."


def _unknown(field: str, name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}" if close else f"known are {', '.join(known)}"
    return f"{field} is no field of a source ({meant}): mend its name, or leave it out."


def meaning_of(place: Iterable[int | str]) -> str:
    """A field's line of meaning; empty where it has none."""
    *_, last = _walk(place)
    return last[1]


def names_beside(place: Iterable[int | str]) -> list[str]:
    """The names that may stand where the last part of the place stands."""
    *_, last = _walk(place)
    return last[0]


def _walk(place: Iterable[int | str]) -> Iterable[tuple[list[str], str]]:
    """Each step down the model: the names that are known there, and the line of meaning of the one that was taken."""
    model: type[BaseModel] | None = Source
    yield [], ""
    for part in place:
        if isinstance(part, int):
            continue
        fields = model.model_fields if model else {}
        field = fields.get(part)
        yield list(fields), (field.description or "") if field else ""
        model = _model_in(field.annotation) if field else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field's type holds: itself, in a tuple, or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, Union, UnionType):
        return next((model for inner in get_args(annotation) if (model := _model_in(inner))), None)
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
