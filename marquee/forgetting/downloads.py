"""Downloads that are kept of raw files: without a subject's rows in the lake, they must not keep them either."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path

from marquee.sources.download import ORIGIN


def remove(cache: Path, batches: Collection[str]) -> int:
    """Remove the downloads with these sums, and tell how many; whoever ingests their address again gets them anew."""
    count = 0
    for origin in cache.glob(f"*/{ORIGIN}"):
        try:
            sha256 = json.loads(origin.read_text(encoding="utf-8"))["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a download that is not whole is not kept by its name
        if sha256 in batches:
            shutil.rmtree(origin.parent, ignore_errors=True)
            count += 1
    return count
