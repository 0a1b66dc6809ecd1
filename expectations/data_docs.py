"""Data Docs: Great Expectations' own pages about results and suites, made to need neither network nor scripts.

Its renderers make the content. Its page templates load Bootstrap, Font Awesome, jQuery, Popper, Bootstrap Table,
Datepicker, Vega and a logo from seven hosts, and a script draws the index: without a network the pages are bare and the
index is empty (great_expectations issues 994 and 8734, closed undone). `templates/` replaces those few templates.
"""

from __future__ import annotations

import html
import logging
import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResult
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.render.renderer import (
    ExpectationSuitePageRenderer,
    SiteIndexPageRenderer,
    ValidationResultsPageRenderer,
)
from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader

from expectations.report import DATA_DOCS, INDEX_KEY, QUALITY, page_key, suite_key
from expectations.suite import Suite
from marquee.errors import LakeError
from marquee.lake.objects import Lake, lake_errors

log = logging.getLogger("marquee")

TEMPLATES = Path(__file__).parent / "templates"
SITE = "Marquee"
MAX_LISTED = 100
MAX_INDEX_TRIES = 10
# quality/profiles/ keeps the profiles of batches, which are no results.
RESULT = re.compile(rf"{QUALITY}/(?!profiles/)(?P<table>[^/]+)/(?P<run_name>[^/]+)\.json")


class OfflineView(DefaultJinjaPageView):  # type: ignore[misc]
    """Great Expectations' page view, with our templates before its own."""

    def __init__(self) -> None:
        super().__init__()
        self.env.loader = ChoiceLoader([FileSystemLoader(TEMPLATES), self.env.loader])


def publish(lake: Lake, suite: Suite, result: ExpectationSuiteValidationResult, run_name: str) -> None:
    """Write the page of a result (whose JSON lies in the bucket already), of its suite, and the index.

    Raises:
        LakeError: the object store refuses.
    """
    write(lake, page_key(suite.table.name, run_name), result_page(result))
    write(lake, suite_key(suite.table.name), suite_page(suite))
    publish_index(lake)


def publish_index(lake: Lake) -> None:
    """Write the index of the newest results.

    Two runs may end at once, and the one that listed less may write last. So whoever writes looks again: the last
    writer has seen every result, since each is there before its own run's index.
    """
    listed: list[str] = []
    for _ in range(MAX_INDEX_TRIES):
        found = newest_results(lake)
        if found == listed:
            return
        write(lake, INDEX_KEY, index_page([link for key in found if (link := result_link(lake, key))]))
        listed = found


def write(lake: Lake, key: str, page: str) -> None:
    with lake_errors(f"write {lake.uri(key)}", lake):
        lake.client().put_object(
            Bucket=lake.bucket, Key=key, Body=page.encode(), ContentType="text/html; charset=utf-8"
        )


def newest_results(lake: Lake) -> list[str]:
    """Keys of the newest results, the newest first."""
    with lake_errors(f"list {lake.uri(QUALITY)}/", lake):
        pages = lake.client().get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=f"{QUALITY}/")
        found = [item for page in pages for item in page.get("Contents", []) if RESULT.fullmatch(item["Key"])]
    newest = sorted(found, key=lambda item: (item["LastModified"], item["Key"]), reverse=True)
    return [str(item["Key"]) for item in newest[:MAX_LISTED]]


def result_link(lake: Lake, key: str) -> dict[str, Any] | None:
    """What the index shows of a result; None where the object is none of ours."""
    match = RESULT.fullmatch(key)
    try:
        result = lake.read_json(key)
        run_time, success = result["meta"]["run_id"]["run_time"], bool(result["success"])
    except (LakeError, KeyError, TypeError) as error:
        log.warning("Data Docs leaves out %s, which is no validation result: %s", lake.uri(key), error)
        return None
    if match is None:
        return None
    table, run_name = match["table"], match["run_name"]
    return {
        "expectation_suite_name": table,
        "expectation_suite_filepath": suite_key(table).removeprefix(f"{DATA_DOCS}/"),
        "filepath": page_key(table, run_name).removeprefix(f"{DATA_DOCS}/"),
        "validation_success": success,
        "run_time": run_time,
        "run_name": run_name,
        "asset_name": table,
    }


def result_page(result: ExpectationSuiteValidationResult) -> str:
    """The page of a validation result."""
    shown = deepcopy(result)
    # Great Expectations tries to read a run's name as a time, and fails on a long number.
    shown.meta["run_id"]["run_name"] = f"run {shown.meta['run_id']['run_name']}"
    for expectation_result in shown.results:
        expectation_result.result = for_page(expectation_result.result)
        config = expectation_result.expectation_config
        config.description = with_severity(config.description, config.severity)
    return render(ValidationResultsPageRenderer().render(shown))


def for_page(found: dict[str, Any]) -> dict[str, Any]:
    """One expectation's findings as the page needs them: safe in HTML, and each example with the place where it is."""
    examples = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or []
    changes: dict[str, Any] = {"partial_unexpected_list": examples}
    if "element_count" not in found:
        changes["unexpected_count"] = 0  # the page would tell it as a share of rows, which it is not
    return dict(escape(found | changes))


def suite_page(suite: Suite) -> str:
    """The page of a suite: what is expected, of whichever data."""
    copies = [expectation.copy(deep=True) for expectation in suite.expectations]
    for expectation in copies:
        expectation.description = with_severity(expectation.description, expectation.severity)
    meta = {"great_expectations_version": gx.__version__}
    return render(
        ExpectationSuitePageRenderer().render(
            gx.ExpectationSuite(name=suite.table.name, expectations=copies, meta=meta)
        )
    )


def with_severity(sentence: str, severity: FailureSeverity) -> str:
    """A rule in words, with what becomes of a batch that breaks it: Great Expectations' pages leave that out."""
    consequence = "a warning" if severity == FailureSeverity.WARNING else "fatal"
    return f"{sentence} (Where broken: {consequence}.)"


def index_page(links: list[dict[str, Any]]) -> str:
    """The page that lists results (and their suites), each a link."""
    suites = {
        link["expectation_suite_name"]: {
            "expectation_suite_name": link["expectation_suite_name"],
            "filepath": link["expectation_suite_filepath"],
        }
        for link in links
    }
    content = {"site_name": SITE, "validations_links": links, "expectations_links": list(suites.values())}
    return render(SiteIndexPageRenderer.render(content))


def render(document: Any) -> str:
    return str(view().render(document))


@cache
def view() -> OfflineView:
    """One for all pages: it compiles its templates, which takes longer than to fill them in."""
    return OfflineView()


def escape(value: Any) -> Any:
    """The value with its texts safe in HTML: Great Expectations puts values of the data into its pages as they are."""
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, list | tuple):
        return [escape(item) for item in value]
    if isinstance(value, dict):
        return {key: escape(item) for key, item in value.items()}
    return value
