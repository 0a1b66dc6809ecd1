"""What the demo prints of a release, and where it takes its data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from marquee import releases
from marquee.cli import demo
from marquee.errors import SourceError
from marquee.settings import settings
from tests import small_release

SHA = "c" * 64


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MARQUEE_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("MARQUEE_CACHE", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def publish(folder: Path, *, is_generated: bool) -> None:
    title = "[bold]M[/] (1995)"
    lists = [
        {"user_id": user, "position": 1, "item_id": "i", "title": title, "score": 0.5, "source": "als"}
        for user in ("10", "9", "8", "7")
    ]
    tables = small_release.tables("r1", lists, [small_release.item("i", title, ["Drama"])], k=1)
    tables["evaluation"] = small_release.evaluation(
        ndcg_at_1=(0.2468, 0.1357), ndcg_at_5=(0.9753, 0.8642), coverage=(0.7, 0.1), seconds=(3.5, 3.5)
    )
    tables["release"] = small_release.stamp("r1", 1, raw_sha256=[SHA], is_generated=is_generated)
    releases.build(folder, "r1", tables)
    releases.switch(folder, "r1")


@pytest.mark.parametrize("is_generated", [False, True])
def test_lists_evaluation_and_origin(is_generated: bool) -> None:
    publish(settings().var / "serving", is_generated=is_generated)
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as captured:
        demo.show_release(console)
    out = captured.get()
    assert out.index("User 7") < out.index("User 8") < out.index("User 9") and "User 10" not in out
    assert out.count("[bold]M[/] (1995)") == 3
    assert "0.2468" in out and "0.1357" in out and "coverage" in out
    assert "ndcg_at_5" not in out and "seconds" not in out
    assert SHA in out.replace("\n", "")
    assert ("GENERATED" in out) == is_generated


def test_without_a_network_it_says_so_and_makes_up_data(monkeypatch: pytest.MonkeyPatch) -> None:
    # a closed port of this machine stands in for a network that is not there
    monkeypatch.setattr(demo, "MOVIELENS", "http://127.0.0.1:9/ml-latest-small.zip")
    monkeypatch.setattr(demo, "GENERATED_RATINGS", 5_000)
    console = Console(width=500)
    with console.capture() as captured:
        source, sha256 = demo._default_source(console)
    assert "can't be downloaded" in captured.get() and "goes on with GENERATED data" in captured.get()
    assert sha256 == "" and (Path(source) / "generated.json").exists()
    assert demo._default_source(console) == (source, "")


def test_another_file_at_the_publishers_address_is_no_reason_to_make_up_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other.zip"
    other.write_bytes(b"not the file")
    monkeypatch.setattr(demo, "MOVIELENS", other.as_uri())
    with pytest.raises(SourceError):
        demo._default_source(Console())
