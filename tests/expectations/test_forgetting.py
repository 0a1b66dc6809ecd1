"""Pages of Data Docs whose examples named a person are made anew without the name."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import pyarrow as pa
import pytest

from expectations.contracts import RECOMMENDATIONS
from expectations.forgetting import renew_pages
from expectations.report import page_key, result_key
from expectations.schema import arrow_schema
from expectations.validation import validate
from marquee.forgetting import results
from marquee.forgetting.objects import keys, read_bytes
from marquee.forgetting.subject import Subject
from marquee.lake.objects import Lake
from marquee.lake.tables import Prepared

PrepareTable = Callable[[Lake, str, str, Sequence[pa.Table]], Prepared]
ANNA = "anna <o'neil>@example.org"


def page(lake: Lake, batch: str) -> str:
    return html.unescape(read_bytes(lake, page_key("recommendations", batch)).decode())


@pytest.fixture
def broken(fresh_lake: Lake, prepare_table: PrepareTable) -> Lake:
    """Two validations that name Anna: a score that is none, and an item that is listed twice."""
    for batch, users in (("one", [ANNA, ANNA, "ben"]), ("two", ["ben", "ben", "jo" + ANNA])):
        rows = pa.table(
            {
                "user_id": users,
                "position": [1, 2, 1],
                "item_id": ["a", "a", "a"],
                "title": ["A"] * 3,
                "score": [float("nan"), 1.0, float("nan")],
                "source": ["als"] * 3,
                "because": [[]] * 3,
            }
        )
        prepare_table(fresh_lake, "recommendations", batch, [rows.cast(arrow_schema(RECOMMENDATIONS))])
        assert not validate(fresh_lake, "recommendations", batch, k=2).success
    return fresh_lake


def test_pages_that_name_a_person_are_made_anew(broken: Lake) -> None:
    subject = Subject("user", ANNA)
    assert ANNA in page(broken, "one") and subject.is_in(page(broken, "one"))
    before = {key: read_bytes(broken, key) for key in keys(broken, "")}

    assert results.clean(broken, subject) == [result_key("recommendations", "one")]
    assert renew_pages(broken, subject) == [page_key("recommendations", "one")]
    after = {key: read_bytes(broken, key) for key in keys(broken, "")}
    assert not subject.is_in(page(broken, "one")) and "(forgotten)" in page(broken, "one")
    assert not subject.is_in(str(broken.read_json(result_key("recommendations", "one"))))
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {page_key("recommendations", "one"), result_key("recommendations", "one")}
    # it is the page that it was but for the name
    assert len(page(broken, "one").splitlines()) == len(
        html.unescape(before[page_key("recommendations", "one")].decode()).splitlines()
    )
    assert results.clean(broken, subject) == [] and renew_pages(broken, subject) == []


def test_a_page_without_its_result_goes(broken: Lake) -> None:
    broken.client().delete_object(Bucket=broken.bucket, Key=result_key("recommendations", "one"))
    assert renew_pages(broken, Subject("user", ANNA)) == [page_key("recommendations", "one")]
    assert keys(broken, page_key("recommendations", "one")) == []


def test_a_person_that_is_nowhere(broken: Lake) -> None:
    assert renew_pages(broken, Subject("user", "nobody at all")) == []
