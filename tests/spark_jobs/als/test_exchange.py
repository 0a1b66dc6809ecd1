"""What tasks give one another arrives whole and in order, and what does not arrive is a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from marquee.errors import TrainingError
from spark_jobs.als.exchange import Exchange, FlightExchange, all_reduce


@pytest.mark.parametrize("n", [1, 2, 5])
def test_each_gets_what_each_has_for_it(n: int, in_tasks: Any) -> None:
    def task(exchange: Exchange) -> list[list[int]]:
        tables = [pa.table({"x": [exchange.task * 10 + to] * (to + 1)}) for to in range(n)]
        return [table["x"].to_pylist() for table in exchange.all_to_all(tables)]

    got = in_tasks(n, task)
    assert got == [[[sender * 10 + me] * (me + 1) for sender in range(n)] for me in range(n)]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_arrays_of_any_length_are_gathered_in_the_order_of_the_tasks(n: int, in_tasks: Any) -> None:
    def task(exchange: Exchange) -> np.ndarray:
        mine = np.full((exchange.task, 3), exchange.task, np.float32)
        return np.concatenate(exchange.all_gather(mine))

    for got in in_tasks(n, task):
        assert got.dtype == np.float32
        assert got.tolist() == [[float(number)] * 3 for number in range(n) for _ in range(number)]


def test_a_sum_has_the_same_bits_in_every_task(in_tasks: Any) -> None:
    def task(exchange: Exchange) -> bytes:
        return all_reduce(exchange, np.array([0.1, 1e17, -1e17][exchange.task] * np.ones(2))).tobytes()

    got = in_tasks(3, task)
    assert len(set(got)) == 1


def test_rows_of_what_is_offered_are_fetched_and_replaced(in_tasks: Any) -> None:
    def task(exchange: Exchange) -> list[list[float]]:
        seen = []
        for step in (1.0, 2.0):
            exchange.offer(np.arange(6, dtype=np.float32).reshape(3, 2) + np.float32(100 * step + 10 * exchange.task))
            for other in range(exchange.n_tasks):
                seen.append(exchange.rows(other, np.array([2, 0])).ravel().tolist())
        return seen

    for got in in_tasks(2, task):
        assert got == [
            [104.0, 105.0, 100.0, 101.0],
            [114.0, 115.0, 110.0, 111.0],
            [204.0, 205.0, 200.0, 201.0],
            [214.0, 215.0, 210.0, 211.0],
        ]


def test_a_neighbour_that_never_answers_is_given_up_with_a_sentence() -> None:
    here, silent = (FlightExchange(task, "127.0.0.1", "t", patience=0.5) for task in (0, 1))
    here.connect([here.address, silent.address])
    with pytest.raises(TrainingError, match=r"Task 0 of the fit waited for .* from task 1, and gave up after 0.5 s"):
        here.all_gather(np.zeros(1))
    silent.connect([here.address, silent.address])
    silent.close(seconds=0)
    with pytest.raises(TrainingError, match=r"from task 1, which is gone .*tried again from the last checkpoint"):
        here.all_gather(np.zeros(1))
    here.close(seconds=0)


def test_without_the_token_nothing_is_told() -> None:
    exchange = FlightExchange(0, "127.0.0.1", "the right one", patience=0.5)
    stranger = FlightExchange(1, "127.0.0.1", "a wrong one", patience=0.5)
    stranger.connect([exchange.address, stranger.address])
    with pytest.raises(TrainingError, match="its token was refused"):
        stranger.all_gather(np.zeros(1))
    with flight.FlightClient(exchange.address) as client, pytest.raises(flight.FlightUnauthenticatedError):
        client.do_get(flight.Ticket(b"[1, 0]"))
    for one in (stranger, exchange):
        one.close(seconds=0)
