"""How a fit that runs in the executors tells the driver of each iteration, while it runs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow.flight as flight

from spark_jobs.als.exchange import TOKEN_HEADER, TokenCheck, bracketed

SECONDS = 5.0
ACTION = "iteration"


@dataclass(frozen=True)
class Ear:
    """Where the driver listens; travels to the tasks."""

    address: str
    token: str

    def tell(self, told: str) -> None:
        """Tell the driver; a driver that can't be reached misses the news, and the fit goes on."""
        headers = [(TOKEN_HEADER.encode(), self.token.encode())]
        try:
            with flight.FlightClient(self.address) as client:
                action = flight.Action(ACTION, told.encode())
                list(client.do_action(action, flight.FlightCallOptions(timeout=SECONDS, headers=headers)))
        except (flight.FlightError, OSError):
            return


class Listener(flight.FlightServerBase):  # type: ignore[misc]
    """Listens on the driver's address while a fit runs.

    Args:
        host: the address by which executors know the driver.
        hear: called with each iteration's JSON.
    """

    def __init__(self, host: str, hear: Callable[[str], None]) -> None:
        token = secrets.token_hex(32)
        super().__init__(f"grpc://{bracketed(host)}:0", middleware={"token": TokenCheck(token)})
        self.hear = hear
        self.ear = Ear(f"grpc://{bracketed(host)}:{self.port}", token)

    def do_action(self, context: Any, action: flight.Action) -> list[bytes]:
        self.hear(action.body.to_pybytes().decode())
        return []
