"""What jobs and validations have left in the lake, without an id among their examples."""

from __future__ import annotations

from typing import Any

from marquee.forgetting.objects import keys
from marquee.forgetting.rows import INSTEAD
from marquee.forgetting.subject import Subject
from marquee.lake.objects import Lake

QUALITY, RUNS = "quality/", "runs/"


def clean(lake: Lake, subject: Subject) -> list[str]:
    """Put other words in place of the id, in the examples of validation results and the sentences of jobs.

    Returns:
        Keys of the objects that were changed.

    Raises:
        LakeError: the store refuses.
    """
    changed = []
    for prefix, without in ((QUALITY, without_examples), (RUNS, without_sentence)):
        for key in keys(lake, prefix):
            if not key.endswith(".json"):
                continue
            value = lake.read_json(key)
            cleaned = without(value, subject)
            if cleaned != value:
                lake.write_json(key, cleaned)
                changed.append(key)
    return changed


def without_examples(value: Any, subject: Subject, *, is_found: bool = False) -> Any:
    """A validation result whose findings name the id no more; what is expected, and numbers, stay as they are."""
    if isinstance(value, dict):
        return {
            key: without_examples(item, subject, is_found=is_found or key in ("result", "examples", "sentence"))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [without_examples(item, subject, is_found=is_found) for item in value]
    return subject.without(value, INSTEAD) if is_found and isinstance(value, str) else value


def without_sentence(value: Any, subject: Subject) -> Any:
    """The outcome of a job, whose sentence may quote rows."""
    if not isinstance(value, dict) or not isinstance(value.get("error"), str):
        return value
    return value | {"error": subject.without(value["error"], INSTEAD)}
