"""JSON Lines: one object a line; a column may be a path, as 'user.id'.

Numbers keep their letters, so that an id of 30 digits or 1.0 comes out as it went in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from marquee.formats.blocks import BadLine, Block
from marquee.formats.lines import Chunk, chunks, n_newlines, picked
from marquee.sources.reading import Reading

IDS = ("user_id", "item_id")


def read(reading: Reading, stream: BinaryIO, first_line: int = 1) -> Iterator[Block]:
    """Blocks with the reading's columns as texts; genres as lists."""
    paths = {ours: tuple(theirs.split(".")) for ours, theirs in reading.columns.items()}
    decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).decode
    number = first_line
    for chunk in chunks(stream, reading.encoding, first_line):
        yield _parse(chunk, number, paths, decode)
        number += n_newlines(chunk.data)


def _parse(chunk: Chunk, first: int, paths: dict[str, tuple[str, ...]], decode: Any) -> Block:
    bad = list(chunk.bad)
    values: dict[str, list[Any]] = {name: [] for name in paths}
    at: list[int] = []
    for position, line in enumerate(chunk.data.decode().split("\n")):
        if not line.strip():
            continue
        try:
            record = decode(line)
        except (ValueError, RecursionError) as error:
            why = str(error).split(": line ")[0]
            bad.append(BadLine(first + position, "unreadable_line", f"it is no JSON ({why})", line.rstrip("\r")))
            continue
        if not isinstance(record, dict):
            kind = type(record).__name__
            bad.append(
                BadLine(first + position, "unreadable_line", f"it is no JSON object but a {kind}", line.rstrip("\r"))
            )
            continue
        found = {name: _found(record, path) for name, path in paths.items()}
        if fault := _fault(found, has_escapes="\\u" in line):
            bad.append(BadLine(first + position, *fault, line.rstrip("\r")))
            continue
        for name, value in found.items():
            values[name].append(_as_text(value, name))
        at.append(position)
    lines = np.array(at, np.int64)

    def raw(positions: Sequence[int]) -> list[str]:
        return picked(chunk.received, lines[list(positions)].tolist(), chunk.encoding)

    types = {name: pa.list_(pa.string()) if name == "genres" else pa.string() for name in paths}
    return Block({name: pa.array(found, types[name]) for name, found in values.items()}, lines + first, raw, bad)


def _fault(found: dict[str, Any], *, has_escapes: bool) -> tuple[str, str] | None:
    """Reason and sentence where the values are no texts and numbers: an object for an id, half of a letter."""
    for name in IDS:
        if isinstance(found.get(name), dict | list):
            return "unreadable_line", f"{name} is no text or number but a {type(found[name]).__name__}"
    for name, value in found.items() if has_escapes else ():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            return "undecodable_text", f"{name} holds half of a surrogate pair, which is no letter"
    return None


def _found(record: dict[str, Any], path: tuple[str, ...]) -> Any:
    """What the path leads to; a key that holds the dots itself comes first."""
    whole = ".".join(path)
    if whole in record:
        return record[whole]
    value: Any = record
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _as_text(value: Any, name: str) -> Any:
    if name == "genres":
        listed = value if isinstance(value, list) else [] if value is None else [value]
        return [str(genre) for genre in listed]
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)
