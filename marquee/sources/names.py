"""Names of sources: URLs without their secrets, and paths that URLs name."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from marquee.errors import SourceError


def without_secrets(source: str) -> str:
    """The URL without user, password, query string and fragment, any of which may be a secret.

    Raises:
        SourceError: it can't be taken apart as a URL.
    """
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise SourceError(f"The source is no URL that can be read ({error}): check its spelling.") from None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def path_of(url: str) -> Path:
    """The path that a `file:` URL names.

    Raises:
        SourceError: it names another machine.
    """
    shown = without_secrets(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise SourceError(f"{shown} names another machine: write file:///path, or an http(s) URL.")
    path = unquote(parts.path)
    if has_control_letters(path):
        raise SourceError(f"{shown} holds letters that can't be printed: check its spelling.")
    return Path(path)


def has_control_letters(text: str) -> bool:
    """Whether the text holds control letters, or bytes that were no valid UTF-8."""
    return any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
