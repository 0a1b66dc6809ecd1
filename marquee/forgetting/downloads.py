"""Downloads that are kept of raw files: without a subject's rows in the lake, they must not keep them either."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from marquee.sources import kept


def remove(cache: Path, sums: Collection[str]) -> int:
    """Remove the downloads that have a file with one of these sums (sha256), and tell how many.

    Whoever ingests their address again gets them anew.
    """
    notes = {note.parent: json.dumps(kept.noted(note.parent)) for note in cache.glob(f"*/{kept.ORIGIN}")}
    gone = [folder for folder, text in notes.items() if any(sum_ in text for sum_ in sums)]
    for folder in gone:
        shutil.rmtree(folder, ignore_errors=True)
    return len(gone)
