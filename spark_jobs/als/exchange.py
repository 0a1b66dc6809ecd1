"""What the tasks of a fit give one another, directly: Arrow Flight between them, or nothing where there is one task.

Every task serves what it has published, to whoever shows the token of the run, on the address by which Spark knows its
machine; it never passes the driver. A receiver asks, and its question waits at the sender until the answer is
published: that wait is the only barrier there is. A task that gets no answer within `patience` seconds, or whose
neighbour is gone, fails with a sentence, and Spark tries the stage again.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

from marquee.errors import TrainingError

TOKEN_HEADER = "x-marquee-run-token"  # noqa: S105 - the name of a header
#: A message of gRPC ends at 2 GB.
ROWS_OF_A_BATCH, VALUES_OF_A_BATCH = 65_536, 16_777_216
DEFAULT_PATIENCE = 600.0


class Exchange(Protocol):
    """What one task sees of the others. All tasks call the same methods in the same order.

    Attributes:
        task, n_tasks: this task's number, from 0, and how many there are.
        received_bytes: what has come from the other tasks so far.
    """

    task: int
    n_tasks: int
    received_bytes: int

    def all_to_all(self, tables: Sequence[pa.Table]) -> list[pa.Table]:
        """Give each task its table; get what each task has for this one, in the order of the tasks."""
        ...

    def all_gather(self, array: np.ndarray) -> list[np.ndarray]:
        """Give every task the same array; get one from each, in the order of the tasks."""
        ...

    def offer(self, factors: np.ndarray) -> None:
        """Let the others fetch rows of this task's factors, until others are offered; a barrier on both its sides."""
        ...

    def rows(self, task: int, indices: np.ndarray) -> np.ndarray:
        """Rows of what a task offers: float32 of shape (len(indices), rank)."""
        ...

    def close(self, *, seconds: float = 10.0) -> None:
        """End the service, when the others have fetched the last of it, or after so many seconds."""
        ...


def all_reduce(exchange: Exchange, array: np.ndarray) -> np.ndarray:
    """Sum of the tasks' arrays, in the order of the tasks, so that all of them have the very same bits."""
    return np.asarray(np.sum(exchange.all_gather(array), axis=0, dtype=np.float64))


@dataclass
class Alone:
    """The exchange of a single task: what it gives is what it gets."""

    task: int = 0
    n_tasks: int = 1
    received_bytes: int = 0
    offered: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def all_to_all(self, tables: Sequence[pa.Table]) -> list[pa.Table]:
        return list(tables)

    def all_gather(self, array: np.ndarray) -> list[np.ndarray]:
        return [array]

    def offer(self, factors: np.ndarray) -> None:
        self.offered = factors

    def rows(self, task: int, indices: np.ndarray) -> np.ndarray:
        return np.asarray(self.offered[indices])

    def close(self, *, seconds: float = 10.0) -> None:
        """Nothing was started."""


class FlightExchange:
    """Exchange by Arrow Flight.

    Args:
        task: this task's number.
        host: the address to serve at, that of this machine in the cluster; the port is free choice.
        token: what every question has to bring.
        patience: seconds that a question may wait.
    """

    def __init__(self, task: int, host: str, token: str, patience: float = DEFAULT_PATIENCE) -> None:
        self.task, self.n_tasks, self.patience, self.received_bytes = task, 1, patience, 0
        self._token, self._published, self._step = token, _Published(patience), 0
        self._server = _Server(f"grpc://{bracketed(host)}:0", token, self._published)
        self.address = f"grpc://{bracketed(host)}:{self._server.port}"
        self._clients: list[flight.FlightClient | None] = []
        self._pool = ThreadPoolExecutor(1)
        self._counting = threading.Lock()

    def connect(self, addresses: Sequence[str]) -> None:
        """Name the addresses of all tasks, in their order."""
        self.n_tasks = len(addresses)
        self._clients = [
            None if task == self.task else flight.FlightClient(address) for task, address in enumerate(addresses)
        ]
        self._pool = ThreadPoolExecutor(max(1, self.n_tasks))

    def all_to_all(self, tables: Sequence[pa.Table]) -> list[pa.Table]:
        step = self._next_step()
        for task, table in enumerate(tables):
            if task != self.task:
                self._published.put((step, task), table, readers=1)
        return self._from_all(lambda task: tables[task] if task == self.task else self._get(task, step, self.task))

    def all_gather(self, array: np.ndarray) -> list[np.ndarray]:
        step = self._next_step()
        flat = np.ascontiguousarray(array)
        if self.n_tasks > 1:
            self._published.put((step, -1), _as_table(flat), readers=self.n_tasks - 1)

        def get(task: int) -> np.ndarray:
            return array if task == self.task else _as_array(self._get(task, step, -1), array)

        return self._from_all(get)

    def offer(self, factors: np.ndarray) -> None:
        self.all_gather(np.zeros(1))  # whoever still reads the former rows is done once all are here
        self._published.offered = factors
        self.all_gather(np.zeros(1))

    def rows(self, task: int, indices: np.ndarray) -> np.ndarray:
        if task == self.task:
            return np.asarray(self._published.offered[indices])
        client = self._client(task)
        descriptor = flight.FlightDescriptor.for_command(b"rows")
        wanted = pa.table({"index": pa.array(indices, pa.int64())})
        with self._explained(task, "rows of its factors"):
            writer, reader = client.do_exchange(descriptor, self._options())
            with writer:
                writer.begin(wanted.schema)
                writer.write_table(wanted)
                writer.done_writing()
                got = reader.read_all()
        self._count(got)
        return np.asarray(got["row"].combine_chunks().flatten()).reshape(len(indices), -1)

    def close(self, *, seconds: float = 10.0) -> None:
        self._pool.shutdown(wait=False)
        for client in self._clients:
            if client is not None:
                client.close()
        self._published.wait_until_read(seconds)
        self._server.shutdown()

    def _next_step(self) -> int:
        self._step += 1
        return self._step

    def _from_all(self, get: Callable[[int], Any]) -> list[Any]:
        """Of all tasks at once, in the order of the tasks."""
        return list(self._pool.map(get, range(self.n_tasks)))

    def _client(self, task: int) -> flight.FlightClient:
        client = self._clients[task]
        if client is None:
            raise TrainingError(f"Task {self.task} asked itself for factors: report this.")
        return client

    def _options(self) -> flight.FlightCallOptions:
        headers = [(TOKEN_HEADER.encode(), self._token.encode())]
        return flight.FlightCallOptions(timeout=self.patience, headers=headers)

    def _get(self, task: int, step: int, to: int) -> pa.Table:
        ticket = flight.Ticket(json.dumps([step, to]).encode())
        with self._explained(task, f"its part of step {step}"):
            got = self._client(task).do_get(ticket, self._options()).read_all()
        self._count(got)
        return got

    def _count(self, table: pa.Table) -> None:
        with self._counting:
            self.received_bytes += table.nbytes

    def _explained(self, task: int, what: str) -> _Explained:
        return _Explained(f"Task {self.task} of the fit waited for {what} from task {task}", self.patience)


class _Explained:
    """Turns Flight's errors into a sentence."""

    def __init__(self, doing: str, patience: float) -> None:
        self.doing, self.patience = doing, patience

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, flight.FlightTimedOutError):
            raise TrainingError(
                f"{self.doing}, and gave up after {self.patience:g} s: look whether its machine is alive and reachable "
                "from the others; the stage is tried again from the last checkpoint."
            ) from error
        if isinstance(error, flight.FlightUnauthenticatedError):
            raise TrainingError(
                f"{self.doing}, and its token was refused: another program answers at that address."
            ) from error
        if isinstance(error, flight.FlightError | pa.ArrowException | OSError):
            raise TrainingError(
                f"{self.doing}, which is gone ({type(error).__name__}): the stage is tried again from the last "
                "checkpoint."
            ) from error


class _Published:
    """What a task has for the others, each kept until all its readers have fetched it."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.offered: np.ndarray = np.empty((0, 0), np.float32)
        self._tables: dict[tuple[int, int], tuple[pa.Table, int]] = {}
        self._changed = threading.Condition()

    def put(self, key: tuple[int, int], table: pa.Table, readers: int) -> None:
        with self._changed:
            self._tables[key] = (table, readers)
            self._changed.notify_all()

    def take(self, key: tuple[int, int]) -> pa.Table:
        """Wait for it; the last reader's question removes it."""
        with self._changed:
            if not self._changed.wait_for(lambda: key in self._tables, self.patience):
                raise flight.FlightTimedOutError(f"step {key[0]} was not published within {self.patience:g} s")
            table, readers = self._tables.pop(key)
            if readers > 1:
                self._tables[key] = (table, readers - 1)
            self._changed.notify_all()
            return table

    def wait_until_read(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._tables, seconds)


class TokenCheck(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Refuses every call that does not bring the token of the run."""

    def __init__(self, token: str) -> None:
        self.token = token

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> None:
        given = (headers.get(TOKEN_HEADER) or [""])[0]
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            raise flight.FlightUnauthenticatedError("the token of the run is missing or wrong")


class _Server(flight.FlightServerBase):  # type: ignore[misc]
    """Answers with what is published."""

    def __init__(self, location: str, token: str, published: _Published) -> None:
        super().__init__(location, middleware={"token": TokenCheck(token)})
        self.published = published

    def do_get(self, context: Any, ticket: flight.Ticket) -> flight.RecordBatchStream:
        step, to = json.loads(ticket.ticket)
        return flight.RecordBatchStream(self.published.take((step, to)).to_reader(VALUES_OF_A_BATCH))

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        indices = reader.read_all()["index"].to_numpy()
        rank = self.published.offered.shape[1]
        schema = pa.schema([("row", pa.list_(pa.float32(), rank))])
        writer.begin(schema)
        for start in range(0, len(indices), ROWS_OF_A_BATCH):
            rows = self.published.offered[indices[start : start + ROWS_OF_A_BATCH]]
            column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rank)
            writer.write_batch(pa.record_batch([column], schema=schema))


def _as_table(array: np.ndarray) -> pa.Table:
    """An array's values as one column, without a copy."""
    return pa.table({"value": pa.array(array.ravel())})


def _as_array(table: pa.Table, like: np.ndarray) -> np.ndarray:
    """Back again; of another task's array only the first axis may have another length."""
    values = table["value"]
    flat = np.asarray(values.chunk(0).to_numpy() if values.num_chunks == 1 else values.to_numpy())
    return flat.astype(like.dtype, copy=False).reshape(-1, *like.shape[1:])


def bracketed(host: str) -> str:
    """An IPv6 address as it stands in a URI."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
