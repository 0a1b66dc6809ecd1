"""How the file of `marquee ingest` is read: what the command says, what is written down for it, or what is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from marquee.errors import SettingsError
from marquee.settings import settings
from marquee.sources.formats import AUTO, format_named
from marquee.sources.reading import Source


def reading_of(source: str, described: str, format_name: str, say: Callable[[str], None]) -> Source | None:
    """How a source is read; None where only the task can tell, since the file is elsewhere.

    Args:
        source: as a person typed it.
        described: name or path of a TOML file; "" is none.
        format_name: a built-in format; "auto" is none.
        say: takes each line on where the reading comes from.

    Raises:
        SettingsError: both are given.
        SourceError: the TOML file or the format is wrong, or something only a person can tell.
        DataError: the file is not as the TOML says.
    """
    from marquee.sources import locate
    from marquee.sources.inspection import check, inspect, source_name
    from marquee.sources.requested import described as in_words
    from marquee.sources.requested import without_questions
    from marquee.sources.toml_file import load, path_of

    if described and format_name != AUTO:
        raise SettingsError("--source and --format both say how the file is read: give one of them.")
    if described:
        return load(described)
    if format_name != AUTO:
        return format_named(format_name)
    is_here = not is_url(source) and bool(source.strip()) and Path(source).expanduser().exists()
    located = locate(source, settings().cache) if is_here else None
    toml = path_of(source_name(located.name if located else _name_of(source)))
    if toml.exists():
        say(f"Read as {toml} says.")
        reading = load(str(toml))
        if located:
            check(located, reading)
        return reading
    if located is None:
        return None
    inspection = inspect(located)
    reading = without_questions(inspection, located)
    for line in [f"Read as {inspection.format}."] if inspection.format else in_words(inspection):
        say(line)
    return reading


def is_url(source: str) -> bool:
    """Whether a source is a URL, not a path. A scheme has two letters or more, so that a Windows drive is none."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", source) is not None


def _name_of(source: str) -> str:
    """The last part of a URL or path."""
    return PurePosixPath(unquote(urlsplit(source).path)).name
