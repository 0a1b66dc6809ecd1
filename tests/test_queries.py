"""Each question of docs/queries.md has an answer, on a release that has something to say to all of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from marquee import releases
from marquee.releases import path_of
from tests import small_release

PROJECT = Path(__file__).resolve().parent.parent
TEXT = (PROJECT / "docs" / "queries.md").read_text(encoding="utf-8")
GENRES = ("Drama", "Horror", "Comedy")


def questions() -> list[tuple[str, str]]:
    """Heading, and a statement below it."""
    found = []
    for section in TEXT.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        for block in re.findall(r"^```sql\n(.*?)^```", body, flags=re.DOTALL | re.MULTILINE):
            found += [(heading, statement.strip()) for statement in block.split(";") if statement.strip()]
    return found


def inputs(release_id: str, shift: int) -> dict[str, Any]:
    """Two users with lists of three items, six items in three genres; `shift` moves the lists."""
    items = [small_release.item(f"m{at:02d}", f"Title {at}", [GENRES[at % 3]], line=at + 1) for at in range(1, 7)]
    lists = [
        {"user_id": user, "position": place + 1, "item_id": f"m{1 + (place + shift) % 4:02d}",
         "title": f"Title {1 + (place + shift) % 4}", "score": 1 / (1 + place), "source": "als",
         "because": [{"item_id": "m05", "title": "Title 5", "share": 0.75}]}
        for user in ("u1", "u2")
        for place in range(3)
    ]  # fmt: skip
    made = small_release.tables(release_id, lists, items, k=3)
    made["evaluation"] = small_release.evaluation(ndcg_at_10=(0.2, 0.1))
    alike = [{"item_id": "m01", "position": 1, "similar_item_id": "m04", "title": "", "similarity": 0.9}]
    made["similar_items"] = small_release.of("similar_items", alike).drop_columns(["title"])
    places = [("item", row["item_id"]) for row in items] + [("user", "u1"), ("user", "u2")]
    made["clusters"] = pa.Table.from_pylist(
        [{"kind": kind, "id": one, "cluster": 1, "name": "Horror", "x": 0.1, "y": 0.2} for kind, one in places],
        schema=made["clusters"].schema,
    )
    failed = {"batch": "b", "table_name": "ratings", "expectation": "unusual", "column_name": "", "severity": "warning",
              "is_met": False, "n_rows": 5, "unexpected_count": 1, "observed": "", "sentence": "It is unusual.",
              "run_id": "manual__1", "checked_at": datetime(2026, 11, 23, tzinfo=UTC)}  # fmt: skip
    made["data_quality"] = small_release.of("data_quality", [failed])
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    serving = folder / "var" / "serving"
    for release_id, shift in (("previous", 1), ("now", 0)):
        releases.build(serving, release_id, inputs(release_id, shift))
    releases.switch(serving, "now")
    assert path_of(serving, "previous").is_file()
    return folder


@pytest.mark.parametrize(("heading", "statement"), questions())
def test_a_question_has_an_answer(home: Path, monkeypatch: pytest.MonkeyPatch, heading: str, statement: str) -> None:
    monkeypatch.chdir(home)
    with releases.connect(Path("var/serving")) as release:
        if "lake_ratings" in statement:
            rated = [{"user_id": "u1", "item_id": "m05", "rating": 4.0, "rated_at": None, "source_sha256": "a" * 64,
                      "source_file": "ratings.csv", "source_line": 7}]  # fmt: skip
            release.register("lake_ratings", pa.Table.from_pylist(rated))
        found = release.execute(statement).fetchall()
    assert found, heading


def test_there_are_questions() -> None:
    assert len(questions()) > 20
