"""What a source holds: how it is read, and which file is which table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from marquee.errors import SourceError
from marquee.sources.archive import INNER, Entry
from marquee.sources.contents import data_files, everything, packings, sample
from marquee.sources.formats import FORMATS, GENERATED, MOVIELENS_1M, MOVIELENS_10M, MOVIELENS_CSV, understood
from marquee.sources.location import Located
from marquee.sources.packing import without_ending
from marquee.sources.reading import Reading, Source, Table

MAX_NAMES = 10
MAX_GENERATED_BYTES = 1 << 20
HEADER_BYTES = 64 << 10
SAMPLE_BYTES = 1 << 20

# Files that MovieLens CSV data brings along and that are no ratings, so never "the single ratings file".
BESIDE_RATINGS = frozenset({"movies.csv", "tags.csv", "links.csv", "genome-scores.csv", "genome-tags.csv"})


@dataclass(frozen=True)
class Member:
    """One file of a table: the file itself, or what is packed in it.

    Attributes:
        table: which table it holds.
        file: name of the file (of its object in the lake, too).
        member: path inside that file where it is an archive; None where the file itself is meant.
        name: what a person sees, as `ml.zip!/ml/ratings.csv`.
        packing: how the file, or the archive's member itself, is packed: "", "gzip", "bzip2", "xz" or "zstd".
        split: name of the published split, where the table is "splits".
    """

    table: Table
    file: str
    member: str | None
    name: str
    packing: str = ""
    split: str = ""

    def reading(self, source: Source) -> Reading:
        """How a source reads it."""
        if self.table == "ratings":
            return source.ratings
        if self.table == "items" and source.items:
            return source.items
        return next(split for split in source.splits if split.split == self.split)


@dataclass(frozen=True)
class Recognised:
    """A source and what is in it.

    Attributes:
        reading: how it is read.
        files: the local files to keep by their names in the lake: the archive, or those that hold the tables.
        members: where each table is; one of `ratings` at least.
        ignored: names in the source that nothing is read from.
        is_generated: the data is made up by a generator, `parameters` are the generator's.
    """

    located: Located
    reading: Source
    files: dict[str, Path]
    members: tuple[Member, ...]
    ignored: tuple[str, ...] = ()
    is_generated: bool = False
    parameters: dict[str, Any] | None = None


def recognise(located: Located, source: Source | None = None) -> Recognised:
    """Tell which files of a source hold which table, from their names.

    Looks at a single file, a folder with the folders in it, or all of an archive; the shallowest folder that fits wins.
    All that will be read and is packed is unpacked here once, so that damaged files never reach the lake.

    Args:
        source: how it is read; None: as one of `FORMATS`, the one that fits. Giving it lets a single file have any
            name.

    Raises:
        SourceError: the names fit no format, or several; or a file is empty, damaged or unreadable.
    """
    found = everything(located)
    fit = _fitting(located, found, source)
    tables = [(table, split, entry) for table, split, some in fit.tables for entry in some]
    used = {entry.path: entry for _, _, entry in tables}
    packed = packings(located, list(used.values()))
    parameters = _parameters(located, fit.generated) if fit.generated else None
    kept = {*used, fit.generated.path} if fit.generated else set(used)
    return Recognised(
        located=located,
        reading=fit.source,
        files=_files(located, fit.folder, kept),
        members=tuple(
            _member(located, fit.folder, entry, table, split, packed[entry.path]) for table, split, entry in tables
        ),
        ignored=tuple(entry.path for entry in found if entry.path not in kept),
        is_generated=parameters is not None,
        parameters=parameters,
    )


def format_of(located: Located) -> tuple[Source, Entry] | None:
    """The one of `FORMATS` that a source is in, and its first file of ratings; None where it is in none.

    Of what is packed little is read.

    Raises:
        SourceError: it fits several, or can't be read.
    """
    try:
        fit = _fitting(located, everything(located), None)
        return fit.source, fit.ratings[0]
    except _NoFormatError:
        return None


class _NoFormatError(SourceError):
    """The source is in none of the formats that are told by names."""


#: The files of a folder and all folders in it, by the parts of their paths from there.
Inside = dict[tuple[str, ...], Entry]


@dataclass(frozen=True)
class _Fit:
    """A folder that a source fits: for each table (and split) its files."""

    folder: PurePosixPath
    source: Source
    tables: tuple[tuple[Table, str, tuple[Entry, ...]], ...]
    generated: Entry | None = None

    @property
    def ratings(self) -> tuple[Entry, ...]:
        return self.tables[0][2]


def _fitting(located: Located, found: Sequence[Entry], source: Source | None) -> _Fit:
    fit = _single_file(located, found, source) if located.kind == "file" else _find(located, found, source)
    return fit if source else _checked_by_content(located, fit)


def _single_file(located: Located, found: Sequence[Entry], source: Source | None) -> _Fit:
    name = found[0].path
    fits = [known for known in _wanted(source) if any(_fits((name,), pattern) for pattern in known.ratings.files)]
    if source is None and not fits and _is_csv_of_ratings(name):
        fits = [MOVIELENS_CSV]
    # Who says how the file is read need not name it as well.
    chosen = source or (fits[0] if fits else None)
    if chosen is None:
        raise _fits_nothing(located, found)
    return _Fit(PurePosixPath(), chosen, (("ratings", "", (found[0],)),))


def _find(located: Located, found: Sequence[Entry], source: Source | None) -> _Fit:
    """The shallowest folder that fits a source, and the only one at its depth."""
    folders: dict[PurePosixPath, Inside] = {}
    for entry in found:
        path = PurePosixPath(entry.path.lstrip("/"))
        for depth, folder in enumerate(reversed(path.parents)):
            folders.setdefault(folder, {})[path.parts[depth:]] = entry
    fits = [
        fit
        for folder, inside in folders.items()
        for known in _wanted(source)
        if (fit := _fit(located, folder, inside, known, known.ratings.files))
    ]
    if not fits and source in (None, MOVIELENS_CSV):
        fits = [fit for folder, inside in folders.items() if (fit := _fit_single_csv(located, folder, inside))]
    if not fits and source and len(only := data_files(located)) == 1:
        fits = [_Fit(PurePosixPath(only[0].path).parent, source, (("ratings", "", tuple(only)),))]
    if not fits:
        raise _fits_nothing(located, found, source)
    depth = min(len(fit.folder.parts) for fit in fits)
    shallowest = [fit for fit in fits if len(fit.folder.parts) == depth]
    if len(shallowest) > 1:
        raise _more_than_once(located, ((fit.ratings[0], fit.source) for fit in shallowest))
    return shallowest[0]


def _wanted(source: Source | None) -> list[Source]:
    """The sources to look for; MovieLens 1M and 10M have the same names, so one stands for both."""
    return [source] if source else [known for known in FORMATS.values() if known != MOVIELENS_1M]


def _fit(
    located: Located,
    folder: PurePosixPath,
    inside: Inside,
    source: Source,
    patterns: Sequence[str],
) -> _Fit | None:
    """How the source fits the folder; None where no file is ratings."""
    ratings = _files_of(located, inside, source, patterns)
    if not ratings:
        return None
    tables: list[tuple[Table, str, tuple[Entry, ...]]] = [("ratings", "", ratings)]
    if source.items and (items := _files_of(located, inside, source, source.items.files)):
        tables.append(("items", "", items))
    for split in source.splits:
        if files := _files_of(located, inside, source, split.files):
            tables.append(("splits", split.split, files))
    return _Fit(folder, source, tuple(tables), inside.get((GENERATED,)))


def _fit_single_csv(located: Located, folder: PurePosixPath, inside: Inside) -> _Fit | None:
    """A folder whose only CSV file is the ratings, by whatever name."""
    single = [name for name, *below in inside if not below and _is_csv_of_ratings(name)]
    return _fit(located, folder, inside, MOVIELENS_CSV, [_literally(single[0])]) if len(single) == 1 else None


def _is_csv_of_ratings(name: str) -> bool:
    plain = without_ending(name).lower()
    return plain.endswith(".csv") and plain not in BESIDE_RATINGS


def _files_of(located: Located, inside: Inside, source: Source, patterns: Sequence[str]) -> tuple[Entry, ...]:
    """The files of a table, in the order of their names.

    Raises:
        SourceError: files that mean the same are there twice; or all are empty.
    """
    by_pattern = [{path: entry for path, entry in inside.items() if _fits(path, pattern)} for pattern in patterns]
    by_pattern = [matched for matched in by_pattern if matched]
    # A built-in format's patterns are ways to lay the same rows out; a person's are a list of files.
    if len(by_pattern) > 1 and source == FORMATS.get(source.name):
        raise _more_than_once(located, ((next(iter(matched.values())), source) for matched in by_pattern))
    files = {path: entry for matched in by_pattern for path, entry in matched.items()}
    spelled: dict[str, Entry] = {}
    for path, entry in files.items():
        other = spelled.setdefault(without_ending("/".join(path)).lower(), entry)
        if other != entry:
            raise SourceError(f"{located.source} holds both {other.path} and {entry.path}: leave one of them out.")
    listed = [files[path] for path in sorted(files)]
    # Part files may well be empty, as Spark leaves them.
    if listed and not any(entry.size for entry in listed):
        raise SourceError(f"{located.shown(listed[0].path)} is empty (0 bytes): put the data into it, or leave it out.")
    return tuple(entry for entry in listed if entry.size)


def _fits(path: tuple[str, ...], pattern: str) -> bool:
    """Whether a path fits a pattern, part by part and in any case of letters; the ending of a packing may follow."""
    *folders, pattern_of_name = pattern.lower().split("/")
    if len(path) != len(folders) + 1:
        return False
    name = path[-1].lower()
    return (fnmatchcase(name, pattern_of_name) or fnmatchcase(without_ending(name), pattern_of_name)) and all(
        fnmatchcase(part.lower(), wanted) for part, wanted in zip(path, folders, strict=False)
    )


def _literally(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _checked_by_content(located: Located, fit: _Fit) -> _Fit:
    """What names alone don't tell: MovieLens 1M from 10M, and whether a CSV of ratings is MovieLens's."""
    if fit.source == MOVIELENS_10M:
        return _Fit(fit.folder, _which_movielens_dat(located, fit), fit.tables, fit.generated)
    if fit.source == MOVIELENS_CSV:
        first = sample(located, fit.ratings[0].path, HEADER_BYTES).removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
        header = [name.strip(' "\r') for name in first.decode("latin-1").split(",")]
        expected = list(MOVIELENS_CSV.ratings.columns.values())
        if sorted(map(str.lower, header)) != sorted(map(str.lower, expected)):
            raise _NoFormatError(
                f"{located.shown(fit.ratings[0].path)} begins with {','.join(header)[:200]!r}, not with MovieLens's "
                f"{','.join(expected)!r}: run {_inspect(located)} to say what its columns are, or rename them."
            )
    return fit


def _which_movielens_dat(located: Located, fit: _Fit) -> Source:
    """1M or 10M: by the name of the folder or archive; else by half stars (10M) and the letters of the titles.

    What can't be told is 10M, whose scale is the wider one, with the encoding that the titles have.
    """
    around = f"{located.path}/{fit.folder}".lower()
    if "ml-10m" in around:
        return MOVIELENS_10M
    if "ml-1m" in around:
        return MOVIELENS_1M
    lines = sample(located, fit.ratings[0].path, SAMPLE_BYTES).split(b"\n")
    has_halves = any(b"." in line.split(b"::")[2] for line in lines if line.count(b"::") >= 2)
    if _is_utf8(located, [entry for table, _, some in fit.tables if table == "items" for entry in some]):
        return MOVIELENS_10M
    if not has_halves:
        return MOVIELENS_1M
    assert MOVIELENS_10M.items is not None  # noqa: S101 - for the types
    latin = MOVIELENS_10M.items.model_copy(update={"encoding": "latin-1"})
    return MOVIELENS_10M.model_copy(update={"items": latin})


def _is_utf8(located: Located, files: Iterable[Entry]) -> bool:
    for entry in files:
        text = sample(located, entry.path, 8 * SAMPLE_BYTES)
        try:
            text[: text.rfind(b"\n") + 1].decode()
        except UnicodeDecodeError:
            return False
    return True


def _files(located: Located, folder: PurePosixPath, paths: Iterable[str]) -> dict[str, Path]:
    if located.kind != "folder":
        return {located.name: located.path}
    return {str(PurePosixPath(path).relative_to(folder)): located.path / path for path in sorted(paths)}


def _member(located: Located, folder: PurePosixPath, entry: Entry, table: Table, split: str, packing: str) -> Member:
    if located.kind == "archive":
        return Member(table, located.name, entry.path, located.name + INNER + entry.path, packing, split)
    name = str(PurePosixPath(entry.path).relative_to(folder))
    return Member(table, name, None, name, packing, split)


def _parameters(located: Located, entry: Entry) -> dict[str, Any]:
    """The generator's parameters, from `generated.json`."""
    name = located.shown(entry.path)
    if entry.size > MAX_GENERATED_BYTES:
        raise SourceError(f"{name} has {entry.size:,} bytes, too many for a list of parameters: leave it out.")
    try:
        parameters = json.loads(sample(located, entry.path, MAX_GENERATED_BYTES))
    except ValueError as error:
        raise SourceError(f"{name} is no JSON ({error}): generate the data again, or leave the file out.") from None
    if not isinstance(parameters, dict):
        raise SourceError(f"{name} is no JSON object: generate the data again, or leave the file out.")
    return parameters


def _fits_nothing(located: Located, found: Sequence[Entry], source: Source | None = None) -> SourceError:
    names = _listed(entry.path for entry in found)
    if source:
        patterns = ", ".join(source.ratings.files) or "no pattern"
        return _NoFormatError(
            f"{located.source} holds no ratings as {source.name} has them ({patterns}): found {names}. Name the "
            "file, or the files by ratings.files of the source."
        )
    kinds = {PurePosixPath(without_ending(entry.path)).suffix.lower() for entry in data_files(located)}
    if located.kind == "file" or len(kinds) == 1:
        return _NoFormatError(
            f"{located.source} fits no format that is told by names: run {_inspect(located)} to see how it may be read "
            f"(found {names}). Told by names are: {understood()}."
        )
    return _NoFormatError(
        f"{located.source} holds no ratings that are understood: found {names}. "
        f"Understood are: {understood()}; for any other, run `marquee inspect` on the file that holds the ratings."
    )


def _more_than_once(located: Located, fits: Iterable[tuple[Entry, Source]]) -> SourceError:
    where = _listed(f"{entry.path} ({known.name})" for entry, known in fits)
    return SourceError(f"{located.source} holds ratings more than once: {where}. Name one of these as the source.")


def _inspect(located: Located) -> str:
    return f"`marquee inspect {shlex.quote(located.source)}`"


def _listed(names: Iterable[str]) -> str:
    all_names = list(names)
    if not all_names:
        return "no files"
    more = len(all_names) - MAX_NAMES
    return ", ".join(all_names[:MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
