"""A sample's bytes to text: which encoding they are in."""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass

from marquee.errors import SourceError
from marquee.sources.inspection.guesses import Confidence

#: Bytes of lines with foreign letters that are enough to tell an encoding.
ENOUGH_BYTES = 64 << 10
#: Share of the lines with other letters than ASCII's that may be no UTF-8 in a file that is.
MOST_BROKEN = 0.1
#: Share of letters outside of ASCII up to which a text is of a language with Latin letters.
MOST_ACCENTS = 0.3
NUL_SHARE = 0.2

# The mark of UTF-32 begins as that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Text:
    """The sample's whole lines as text, its encoding, how sure that is, and why."""

    text: str
    encoding: str
    confidence: Confidence
    reason: str


def text_of(sample: bytes, name: str, *, is_whole: bool) -> Text:
    """The text of a sample.

    Args:
        name: the file, for messages.
        is_whole: whether the sample is the whole file; else its last line may be cut, and is left out.

    Raises:
        SourceError: it is no text, or its first line goes on beyond the sample.
    """
    for mark, encoding in _BOMS:
        if sample.startswith(mark):
            # An odd end of a sample is half a letter.
            text = sample.decode(encoding, errors="replace").removeprefix("\ufeff")
            return Text(
                _whole_lines(text, name, is_whole), encoding, "certain", f"starts with {encoding}'s byte order mark"
            )
    if encoding := _wide(sample[:ENOUGH_BYTES], name):
        text = sample.decode(encoding, errors="replace")
        return Text(_whole_lines(text, name, is_whole), encoding, "likely", "every other byte is zero")
    encoding, confidence, reason = _encoding(sample if is_whole else sample[: sample.rfind(b"\n") + 1 or None])
    return Text(_whole_lines(sample.decode(encoding, errors="replace"), name, is_whole), encoding, confidence, reason)


def _encoding(sample: bytes) -> tuple[str, Confidence, str]:
    if sample.isascii():
        return "utf-8", "certain", "plain ASCII, as far as was looked"
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    broken = [line for line in lines if not _is_utf8(line)]
    if not broken:
        return "utf-8", "certain", f"{len(lines):,} lines with other letters than ASCII's, all of them valid UTF-8"
    if len(broken) <= MOST_BROKEN * len(lines):
        return "utf-8", "likely", f"but {len(broken):,} of {len(lines):,} lines with other letters are no UTF-8"
    data = b"\n".join(broken)[:ENOUGH_BYTES]
    # 0x80 to 0x9F are control letters in latin-1, which nobody types, and dashes and quotes in Windows' cp1252.
    western = "cp1252" if any(0x80 <= byte <= 0x9F for byte in data) else "latin-1"
    no_utf8 = f"{len(broken):,} of {len(lines):,} lines with other letters are no UTF-8"
    if _has_latin_letters(data.decode(western, errors="replace")):
        return western, "likely", f"{no_utf8}, and read as {western} they are letters with accents"
    if found := _by_frequency(data):
        return found, "likely", f"{no_utf8}, and {found} fits their letters best"
    return western, "unsure", f"{no_utf8}, and no other encoding fits"


def _by_frequency(data: bytes) -> str:
    from charset_normalizer import from_bytes

    # Digits and separators hide what the letters tell.
    best = from_bytes(data).best() or from_bytes(re.sub(rb"[0-9,;|\t]+", b" ", data)).best()
    return codecs.lookup(best.encoding).name if best else ""


def _has_latin_letters(text: str) -> bool:
    foreign = [letter for letter in text if ord(letter) > 127]
    # Quotes and dashes are in all languages.
    is_latin = [not letter.isalpha() or "LATIN" in unicodedata.name(letter, "") for letter in foreign]
    n_letters, n_foreign = sum(letter.isalpha() for letter in text), sum(letter.isalpha() for letter in foreign)
    return "\ufffd" not in foreign and n_foreign <= MOST_ACCENTS * n_letters and sum(is_latin) >= 0.7 * len(foreign)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _wide(head: bytes, name: str) -> str:
    """UTF-16 without a mark: most of its letters have a zero byte at the same end. Many zeros elsewhere are no text.

    Raises:
        SourceError: it is no text.
    """
    n_zeros = head.count(0)
    if n_zeros <= NUL_SHARE * len(head):
        return ""
    n_high, n_low = head[1::2].count(0), head[::2].count(0)
    if min(n_high, n_low) <= 0.05 * n_zeros:
        return "utf-16-le" if n_high > n_low else "utf-16-be"
    raise SourceError(
        f"{name} is no text ({n_zeros:,} of its first {len(head):,} bytes are zero): export it as CSV or Parquet."
    )


def _whole_lines(text: str, name: str, is_whole: bool) -> str:
    # A file of old has carriage returns alone.
    lines = text.replace("\r\n", "\n") if "\n" in text else text.replace("\r", "\n")
    if is_whole:
        return lines
    end = lines.rfind("\n") + 1
    if end == 0:
        raise SourceError(
            f"{name} has a first line of more than {len(text):,} letters, too many to guess from: write a TOML by hand."
        )
    return lines[:end]
