"""Downloads of raw files that lost rows are not kept."""

from __future__ import annotations

import json
from pathlib import Path

from marquee.forgetting import downloads


def test_downloads_go_by_their_sum(tmp_path: Path) -> None:
    for folder, text in (
        ("url-1", json.dumps({"sha256": "a" * 64, "name": "x.zip"})),
        ("url-2", json.dumps({"sha256": "b" * 64, "name": "x.zip"})),
        ("url-3", "{"),
        ("url-4", "[]"),
        ("s3-5", json.dumps({"a/x.csv": ["etag", "d" * 64], "y.csv": ["etag", "a" * 64]})),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "origin.json").write_text(text)
        (tmp_path / folder / "x.zip").write_bytes(b"x")
    assert downloads.remove(tmp_path, {"a" * 64, "c" * 64}) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["url-2", "url-3", "url-4"]
    assert downloads.remove(tmp_path / "nothing", {"a" * 64}) == 0
