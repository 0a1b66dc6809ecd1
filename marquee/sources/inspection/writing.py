"""The TOML that an inspection leaves, and whether a person has changed it since."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from marquee.errors import SourceError
from marquee.sources.files import file_errors
from marquee.sources.inspection.guesses import Inspection
from marquee.sources.toml_file import dump

_WORDS = "# As `marquee inspect` wrote it, while this fits what stands above:"
_MARK = re.compile(rf"\n{_WORDS} ([0-9a-f]{{8}})\n\Z")


def written(inspection: Inspection, path: Path, *, may_replace: bool) -> None:
    """Write the source of an inspection as TOML, its questions as open ones.

    Args:
        may_replace: whether a file that a person has written or changed may be lost.

    Raises:
        SourceError: there is such a file, or it can't be written.
    """
    text = dump(
        inspection.source,
        {guess.field: f"{guess.confidence}: {guess.reason}" for guess in inspection.guesses},
        {question.field: question.sentence for question in inspection.questions},
    )
    with file_errors(path):
        if not may_replace and path.exists() and not is_untouched(path.read_text(encoding="utf-8", errors="replace")):
            raise SourceError(
                f"{path} was written or changed by a person, and is left as it is: give --force to replace it, or "
                "--name to write another."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.part")
        temporary.write_text(f"{text}\n{_WORDS} {_sum(text)}\n", encoding="utf-8")
        temporary.replace(path)


def is_untouched(text: str) -> bool:
    """Whether the text of a TOML file is as an inspection wrote it."""
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _sum(text[: mark.start()])


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
