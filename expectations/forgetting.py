"""Data Docs without an id among their examples: the pages are made anew from results that name it no more."""

from __future__ import annotations

import html
import re

from expectations.report import DATA_DOCS, page_key, result_key
from marquee.forgetting.objects import keys, read_bytes, remove
from marquee.forgetting.subject import Subject
from marquee.lake.objects import Lake

PAGES = f"{DATA_DOCS}/validations/"
_PAGE = re.compile(rf"{PAGES}(?P<table>[^/]+)/(?P<run_name>[^/]+)/result/index\.html")


def renew_pages(lake: Lake, subject: Subject) -> list[str]:
    """Make each page that shows the id anew from its result, which `marquee.forgetting` has cleaned before.

    A page whose result is gone goes too.

    Returns:
        Keys of these pages.

    Raises:
        LakeError: the object store refuses.
    """
    from great_expectations.core.expectation_validation_result import expectationSuiteValidationResultSchema

    from expectations import data_docs

    renewed = []
    for key in keys(lake, PAGES):
        match = _PAGE.fullmatch(key)
        if match is None or not subject.is_shown_in(html.unescape(read_bytes(lake, key).decode(errors="replace"))):
            continue
        table, run_name = match["table"], match["run_name"]
        source = result_key(table, run_name)
        if lake.exists(source):
            result = expectationSuiteValidationResultSchema.load(lake.read_json(source))
            data_docs.write(lake, page_key(table, run_name), data_docs.result_page(result))
        else:
            remove(lake, [key])
        renewed.append(key)
    return renewed
