"""What a source holds: which of the formats, and which file is which table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from marquee.errors import SourceError
from marquee.sources.archive import Entry, archive_errors, check_member, entries, open_inside
from marquee.sources.files import file_errors
from marquee.sources.formats import BESIDE_RATINGS, FORMATS, GENERATED, MOVIELENS_CSV, Format, Table, understood
from marquee.sources.location import Located
from marquee.sources.names import has_control_letters

AUTO = "auto"
MAX_NAMES = 10
MAX_GENERATED_BYTES = 1 << 20


@dataclass(frozen=True)
class Member:
    """One table's file: the file itself, or what is packed in it.

    Attributes:
        table: which table it holds.
        file: name of the file (of its object in the lake, too).
        member: path inside that file where it is an archive; None where the file itself is meant.
        name: what a person sees, as `ml.zip!/ml/ratings.csv`.
    """

    table: Table
    file: str
    member: str | None
    name: str


@dataclass(frozen=True)
class Recognised:
    """A source and what is in it.

    Attributes:
        files: the local files to keep: the archive, or those that hold the tables.
        members: where each table is; `ratings` always, `items` if there.
        ignored: names in the source that nothing is read from.
        is_generated: the data is made up by a generator, `parameters` are the generator's.
    """

    located: Located
    format: str
    files: tuple[Path, ...]
    members: tuple[Member, ...]
    ignored: tuple[str, ...] = ()
    is_generated: bool = False
    parameters: dict[str, Any] | None = None


def recognise(located: Located, format_name: str = AUTO) -> Recognised:
    """Tell the format of a source, from the names in it.

    Looks at a single file, a folder and the folders in it, or all of an archive; the shallowest folder that holds
    a format wins. The files that will be read from an archive are read to their ends here, so that one that is damaged
    never reaches the lake.

    Args:
        format_name: one of `FORMATS`, or "auto"; naming it lets a single file have any name.

    Raises:
        SourceError: the names fit no format, or several; or a file is empty, damaged or unreadable.
    """
    if format_name != AUTO and format_name not in FORMATS:
        raise SourceError(f"{format_name!r} is no format: write {AUTO} or one of {', '.join(FORMATS)}.")
    wanted = list(FORMATS.values()) if format_name == AUTO else [FORMATS[format_name]]
    if located.kind == "file":
        return _recognise_file(located, wanted)
    everything = entries(located.path) if located.kind == "archive" else _entries_of_folder(located.path)
    found = [entry for entry in everything if not _is_hidden(entry)]
    fit = _find(located, found, wanted)
    used = {entry.path for entry in (fit.ratings, fit.items, fit.generated) if entry}
    for entry in (fit.ratings, fit.items):
        if entry and entry.size == 0:
            raise SourceError(f"{_name(located, entry)} is empty (0 bytes): put the data into it, or leave it out.")
    parameters = _parameters(located, fit.generated) if fit.generated else None
    tables: list[tuple[Table, Entry]] = [("ratings", fit.ratings)]
    if fit.items:
        tables.append(("items", fit.items))
    if located.kind == "archive":
        for _, entry in tables:
            check_member(located.path, entry.path)
    return Recognised(
        located=located,
        format=fit.format.name,
        files=(located.path,) if located.kind == "archive" else tuple(located.path / path for path in sorted(used)),
        members=tuple(_member(located, table, entry) for table, entry in tables),
        ignored=tuple(entry.path for entry in found if entry.path not in used),
        is_generated=parameters is not None,
        parameters=parameters,
    )


def _recognise_file(located: Located, wanted: Sequence[Format]) -> Recognised:
    name = located.name.lower()
    fits = [known for known in wanted if name == known.ratings]
    if not fits and len(wanted) == 1:
        fits = list(wanted)  # the caller has said what the file is
    if not fits and name.endswith(".csv") and name not in BESIDE_RATINGS:
        fits = [MOVIELENS_CSV]
    if not fits:
        raise SourceError(f"{located.source} fits no format. Understood are: {understood()}.")
    member = Member("ratings", located.name, None, located.name)
    return Recognised(located, fits[0].name, (located.path,), (member,))


@dataclass(frozen=True)
class _Fit:
    """A folder that holds a format."""

    folder: PurePosixPath
    format: Format
    ratings: Entry
    items: Entry | None
    generated: Entry | None


def _find(located: Located, found: Sequence[Entry], wanted: Sequence[Format]) -> _Fit:
    """The shallowest folder that fits a format, and the only one at its depth."""
    folders: dict[PurePosixPath, list[Entry]] = {}
    for entry in found:
        folders.setdefault(PurePosixPath(entry.path).parent, []).append(entry)
    named = {folder: _by_name(located, inside, wanted) for folder, inside in folders.items()}
    fits = [fit for folder, names in named.items() for fit in _fits(folder, names, wanted)]
    fits = fits or [fit for folder, names in named.items() for fit in _fits_single(folder, names, wanted)]
    if not fits:
        raise SourceError(
            f"{located.source} holds no ratings that are understood: found {_listed(e.path for e in found)}. "
            f"Understood are: {understood()}."
        )
    depth = min(len(fit.folder.parts) for fit in fits)
    shallowest = [fit for fit in fits if len(fit.folder.parts) == depth]
    if len(shallowest) > 1:
        where = _listed(f"{fit.ratings.path} ({fit.format.name})" for fit in shallowest)
        raise SourceError(f"{located.source} holds ratings more than once: {where}. Name one of these as the source.")
    return shallowest[0]


def _by_name(located: Located, inside: Iterable[Entry], wanted: Iterable[Format]) -> dict[str, Entry]:
    """A folder's files by their names in lower case; no two may claim the same table."""
    tables = {name for known in wanted for name in (known.ratings, known.items)}
    named: dict[str, Entry] = {}
    for entry in inside:
        name = PurePosixPath(entry.path).name.lower()
        if name in named and name in tables:
            raise SourceError(
                f"{located.source} holds both {named[name].path} and {entry.path}: leave one of them out."
            )
        named[name] = entry
    return named


def _fits(folder: PurePosixPath, named: Mapping[str, Entry], wanted: Iterable[Format]) -> list[_Fit]:
    generated = named.get(GENERATED)
    return [
        _Fit(folder, known, named[known.ratings], named.get(known.items), generated)
        for known in wanted
        if known.ratings in named
    ]


def _fits_single(folder: PurePosixPath, named: Mapping[str, Entry], wanted: Iterable[Format]) -> list[_Fit]:
    """A folder whose only CSV file is the ratings, by whatever name."""
    single = [entry for name, entry in named.items() if name.endswith(".csv") and name not in BESIDE_RATINGS]
    if MOVIELENS_CSV not in wanted or len(single) != 1:
        return []
    return [_Fit(folder, MOVIELENS_CSV, single[0], named.get(MOVIELENS_CSV.items), named.get(GENERATED))]


def _entries_of_folder(folder: Path) -> list[Entry]:
    """The files of a folder and of the folders in it."""
    with file_errors(folder):
        inside = sorted(folder.iterdir())
        files = [path for path in inside if path.is_file()]
        files += [path for below in inside if below.is_dir() for path in sorted(below.iterdir()) if path.is_file()]
        return [Entry(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]


def _is_hidden(entry: Entry) -> bool:
    """Whether it is no person's data: hidden files, what macOS adds to archives, names that can't be written."""
    if has_control_letters(entry.path):
        return True
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(entry.path).parts)


def _member(located: Located, table: Table, entry: Entry) -> Member:
    if located.kind == "archive":
        return Member(table, located.name, entry.path, _name(located, entry))
    name = PurePosixPath(entry.path).name
    return Member(table, name, None, name)


def _name(located: Located, entry: Entry) -> str:
    return f"{located.name}!/{entry.path}" if located.kind == "archive" else str(located.path / entry.path)


def _parameters(located: Located, entry: Entry) -> dict[str, Any]:
    """The generator's parameters, from `generated.json`."""
    name = _name(located, entry)
    if entry.size > MAX_GENERATED_BYTES:
        raise SourceError(f"{name} has {entry.size:,} bytes, too many for a list of parameters: leave it out.")
    if located.kind == "archive":
        with archive_errors(name), ExitStack() as closing:
            text = open_inside(closing.enter_context(located.path.open("rb")), entry.path, closing).read()
    else:
        with file_errors(located.path / entry.path):
            text = (located.path / entry.path).read_bytes()
    try:
        parameters = json.loads(text)
    except ValueError as error:
        raise SourceError(f"{name} is no JSON ({error}): generate the data again, or leave the file out.") from None
    if not isinstance(parameters, dict):
        raise SourceError(f"{name} is no JSON object: generate the data again, or leave the file out.")
    return parameters


def _listed(names: Iterable[str]) -> str:
    all_names = list(names)
    if not all_names:
        return "no files"
    more = len(all_names) - MAX_NAMES
    return ", ".join(all_names[:MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
