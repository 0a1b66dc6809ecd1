"""Files of one table as patterns: names within the folder that holds them all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from marquee.sources.packing import without_ending


def folder_of(paths: Sequence[str]) -> PurePosixPath:
    """The deepest folder that holds all of the files."""
    first, *others = (PurePosixPath(path).parent.parts for path in paths)
    n = next(
        (at for at, part in enumerate(first) if any(len(other) <= at or other[at] != part for other in others)),
        len(first),
    )
    return PurePosixPath(*first[:n])


def patterns_of(paths: Sequence[str], others: Sequence[str], folder: PurePosixPath) -> tuple[str, ...]:
    """One pattern that fits all of these files and none of the others; else their names.

    Args:
        paths: all as deep below the folder.
        others: all other files of the source.
    """
    within = [_parts(path, folder) for path in paths]
    pattern = "/".join(_common([parts[at] for parts in within]) for at in range(len(within[0])))
    beside = [_parts(path, folder) for path in others if PurePosixPath(path).is_relative_to(folder)]
    if any(_fits(parts, pattern) for parts in beside):
        return tuple("/".join(_literally(part) for part in parts) for parts in within)
    return (pattern,)


def shared_start(names: Sequence[str]) -> str:
    """The letters that all names begin with."""
    first, last = min(names), max(names)
    n = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:n]


def _parts(path: str, folder: PurePosixPath) -> tuple[str, ...]:
    """The parts of a path below the folder; the ending of a packing does not count."""
    return PurePosixPath(without_ending(path)).relative_to(folder).parts


def _common(names: Sequence[str]) -> str:
    if len(set(names)) == 1:
        return _literally(names[0])
    # Numbers and days that happen to begin or end alike go on in the next file.
    start = re.sub(r"\d[\d._:-]*$", "", shared_start(names))
    rests = [name[len(start) :] for name in names]
    end = re.sub(r"^[\d._:-]*\d", "", shared_start([rest[::-1] for rest in rests])[::-1])
    return f"{_literally(start)}*{_literally(end)}"


def _fits(parts: Sequence[str], pattern: str) -> bool:
    wanted = pattern.lower().split("/")
    return len(parts) == len(wanted) and all(
        fnmatchcase(part.lower(), name) for part, name in zip(parts, wanted, strict=True)
    )


def _literally(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
