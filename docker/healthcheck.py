"""Exits 0 if a URL answers with success; given a component too, if Airflow calls that one healthy.

python healthcheck.py http://127.0.0.1:5000/health
python healthcheck.py http://airflow-api:8080/api/v2/monitor/health triggerer

It imports next to nothing, for it runs every few seconds: `airflow jobs check` takes seconds of a core.
"""

from __future__ import annotations

import json
import sys
import urllib.request

SECONDS = 5.0


def is_healthy(url: str, component: str = "") -> bool:
    """Whether `url` answers with success, and the component that it reports on is healthy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=SECONDS) as answer:
            return not component or json.load(answer)[component]["status"] == "healthy"
    except (OSError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_healthy(*sys.argv[1:]) else 1)
