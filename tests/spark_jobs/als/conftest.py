"""Several tasks of a fit, as threads that talk over real Arrow Flight."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from spark_jobs.als.exchange import Alone, Exchange, FlightExchange

Tasks = Callable[[int, Callable[[Exchange], Any]], list[Any]]


@pytest.fixture
def in_tasks() -> Tasks:
    """A function (n, task) that runs `task(exchange)` in n tasks at once; their results, in order."""

    def run(n: int, task: Callable[[Exchange], Any]) -> list[Any]:
        if n == 1:
            return [task(Alone())]
        exchanges = [FlightExchange(number, "127.0.0.1", "token of the test", patience=30) for number in range(n)]
        for exchange in exchanges:
            exchange.connect([one.address for one in exchanges])
        with ThreadPoolExecutor(n) as pool:
            try:
                return list(pool.map(task, exchanges))
            finally:
                list(pool.map(lambda one: one.close(seconds=1), exchanges))

    return run
