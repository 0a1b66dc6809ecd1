"""A client of Airflow's REST API (v2): trigger a DAG, follow its run task by task, and say why a task failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from marquee.credentials import credentials
from marquee.errors import MarqueeError, ServiceError
from marquee.settings import Settings, is_loopback

REQUEST_SECONDS = 30.0
PARSE_SECONDS = 90.0  # a DAG file is read by Airflow within this time after its start
OUTAGE_SECONDS = 60.0  # while following, Airflow may be away this long
ENDED = ("success", "failed")
PAGE = 100


@dataclass(frozen=True)
class Task:
    """A task instance at a moment: its state ('' before it is scheduled), and the seconds that it runs or ran."""

    task_id: str
    map_index: int
    state: str
    try_number: int
    seconds: float | None

    @property
    def name(self) -> str:
        """`candidate[2]` for the third of mapped ones."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


@dataclass(frozen=True)
class Run:
    """A DAG run that has ended: `state` is 'success' or 'failed'."""

    dag_id: str
    run_id: str
    state: str
    seconds: float
    tasks: tuple[Task, ...]

    @property
    def is_success(self) -> bool:
        return self.state == "success"


@dataclass(frozen=True)
class Dag:
    """A DAG as Airflow knows it; `next_run` is an ISO time, or empty where only people and assets start it."""

    dag_id: str
    is_paused: bool
    next_run: str


class TokenAuth(httpx.Auth):
    """Airflow's JWT, fetched with the login when it is first needed, and anew when it has run out."""

    requires_response_body = True

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url, self._username, self._password = url, username, password
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._token:
            yield from self._log_in()
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == 401:
            yield from self._log_in()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _log_in(self) -> Generator[httpx.Request, httpx.Response, None]:
        login = {"username": self._username, "password": self._password}
        answer = yield httpx.Request("POST", f"{self._url}/auth/token", json=login)
        if answer.status_code in {400, 401, 403}:
            raise ServiceError(
                f"Airflow at {self._url} refuses the login of {self._username}: mend airflow.username and "
                "airflow.password."
            )
        if not answer.is_success:
            raise _refusal(self._url, answer)
        self._token = answer.json()["access_token"]


class AirflowClient:
    """Airflow's API with a login. Use as a context manager; all methods raise ServiceError when it does not answer."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v2",
            auth=TokenAuth(self.url, username, password),
            timeout=REQUEST_SECONDS,
            trust_env=not is_loopback(self.url),
        )

    @classmethod
    def of(cls, settings: Settings) -> AirflowClient:
        """The Airflow of the settings, embedded or not, with its login."""
        return cls(settings.airflow_url, settings.airflow.username, credentials(settings).airflow_password)

    def __enter__(self) -> AirflowClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def dag(self, dag_id: str) -> Dag:
        """What Airflow knows of a DAG; waits for it where Airflow has just started and not read all files yet.

        Raises:
            ServiceError: there is no such DAG, or its file can't be read (then with the reason).
        """
        end_at = time.monotonic() + PARSE_SECONDS
        while True:
            answer = self._send("GET", f"/dags/{quote(dag_id)}", allowed={404})
            if answer.is_success:
                found = answer.json()
                return Dag(dag_id, bool(found["is_paused"]), found.get("next_dagrun_run_after") or "")
            broken = self._send("GET", "/importErrors").json()["import_errors"]
            if broken or time.monotonic() > end_at:
                raise _no_dag(self.url, dag_id, broken)
            time.sleep(1)

    def dags(self) -> list[Dag]:
        """All DAGs that Airflow has read."""
        return [
            Dag(found["dag_id"], bool(found["is_paused"]), found.get("next_dagrun_run_after") or "")
            for found in self._pages("/dags", "dags")
        ]

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs start; nothing where they do already."""
        if self.dag(dag_id).is_paused:
            self._send("PATCH", f"/dags/{quote(dag_id)}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run of a DAG, as its button in the page does, and unpause the DAG; returns the run's id.

        Args:
            conf: values of the DAG's params; those left out have their defaults.
            run_id: a run that has this id already is not started again; None: Airflow makes one.

        Raises:
            ServiceError: no such DAG, or a param is refused (then with Airflow's reason).
        """
        self.unpause(dag_id)
        if run_id is not None and self.run_state(dag_id, run_id):
            return run_id
        body = {"logical_date": None, "conf": dict(conf or {})} | ({"dag_run_id": run_id} if run_id else {})
        answer = self._send("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body, allowed={409})
        if answer.status_code == 409 and run_id is not None:
            return run_id
        return str(answer.raise_for_status().json()["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """'queued', 'running', 'success' or 'failed'; empty where there is no such run."""
        answer = self._send("GET", _path(dag_id, run_id), allowed={404})
        return str(answer.json()["state"]) if answer.is_success else ""

    def last_run(self, dag_id: str) -> tuple[str, str, str] | None:
        """(run_id, state, ISO time) of a DAG's newest run; None where it never ran."""
        where = {"order_by": "-run_after", "limit": "1"}
        found = self._send("GET", f"/dags/{quote(dag_id)}/dagRuns", params=where).json()["dag_runs"]
        return (found[0]["dag_run_id"], found[0]["state"], found[0]["run_after"]) if found else None

    def tasks(self, dag_id: str, run_id: str) -> list[Task]:
        """The tasks of a run as they are now, in the order that they started in; those that did not are last."""
        found = sorted(
            self._pages(f"{_path(dag_id, run_id)}/taskInstances", "task_instances"),
            key=lambda task: (task["start_date"] is None, task["start_date"] or "", task["task_id"], task["map_index"]),
        )
        return [
            Task(task["task_id"], task["map_index"], task["state"] or "", task["try_number"], task["duration"])
            for task in found
        ]

    def follow(
        self,
        dag_id: str,
        run_id: str,
        on_change: Callable[[Task], None] = lambda _: None,
        *,
        pause: float = 1.0,
        timeout: float | None = None,
    ) -> Run:
        """Wait for the end of a run, and report each task's change of state (or new try) once.

        Args:
            pause: seconds between two looks.
            timeout: seconds to wait at most; None: as long as it takes.

        Raises:
            ServiceError: no such run, it takes longer than `timeout` (the run itself goes on), or Airflow is away
                for more than a minute.
        """
        seen: dict[tuple[str, int], tuple[str, int]] = {}
        begin = last_answer = time.monotonic()
        while True:
            try:
                # the run before its tasks: when it has ended, they have
                answer = self._send("GET", _path(dag_id, run_id))
                tasks = self.tasks(dag_id, run_id)
                last_answer = time.monotonic()
            except ServiceError as error:
                if not error.is_transient or time.monotonic() - last_answer > OUTAGE_SECONDS:
                    raise
                time.sleep(pause)
                continue
            for task in tasks:
                now = (task.state, task.try_number)
                if task.state and seen.get((task.task_id, task.map_index)) != now:
                    seen[task.task_id, task.map_index] = now
                    on_change(task)
            run = answer.json()
            if run["state"] in ENDED:
                return Run(dag_id, run_id, run["state"], float(run["duration"] or 0.0), tuple(tasks))
            if timeout is not None and time.monotonic() - begin > timeout:
                raise ServiceError(
                    f"Run {run_id} of {dag_id} has not ended after {timeout:.0f} s: it goes on, see "
                    f"{self.page(dag_id, run_id)}."
                )
            time.sleep(pause)

    def downstream(self, dag_id: str, run_id: str, *, timeout: float = 30.0) -> list[tuple[str, str]]:
        """(dag_id, run_id) of the runs that a run's asset events started.

        The scheduler makes them a moment after the event: `timeout` is how many seconds to wait for the first, where
        there is an event. No event, nothing to wait for: an empty list. While such a run is still queued (another run
        of its DAG goes first), Airflow 3.3 answers the question with HTTP 500, for its model of the answer demands a
        start date (apache/airflow issue 71360): then this waits for as long as runs are queued.
        """
        end_at = time.monotonic() + timeout
        where = {"source_dag_id": dag_id, "source_run_id": run_id}
        while True:
            try:
                events = list(self._pages("/assets/events", "asset_events", where))
            except ServiceError as error:
                if not error.is_transient or (time.monotonic() > end_at and not self._has_queued()):
                    raise
            else:
                runs = {(run["dag_id"], run["run_id"]): None for event in events for run in event["created_dagruns"]}
                if runs or not events or time.monotonic() > end_at:
                    return list(runs)
            time.sleep(0.5)

    def _has_queued(self) -> bool:
        where = {"state": "queued", "run_type": "asset_triggered", "limit": "1"}
        return bool(self._send("GET", "/dags/~/dagRuns", params=where).json()["total_entries"])

    def failure(self, run: Run) -> str:
        """Why a run failed: the sentence of the task that failed first, from its log, and where to read more."""
        failed = [task for task in run.tasks if task.state == "failed"]
        if not failed:
            return (
                f"Run {run.run_id} of {run.dag_id} failed before any task did: see {self.page(run.dag_id, run.run_id)}."
            )
        task = failed[0]
        page = f"{self.page(run.dag_id, run.run_id)}/tasks/{quote(task.task_id)}"
        page += f"/mapped/{task.map_index}" if task.map_index >= 0 else ""
        sentence = self.error(run.dag_id, run.run_id, task) or "It left no reason in its log."
        return f"Task {task.name} of {run.dag_id} failed. {sentence} (Its log: {page})"

    def error(self, dag_id: str, run_id: str, task: Task) -> str:
        """The message of the exception that ended a task's last try, from its log; empty where there is none."""
        last_exception = last_error = ""
        for line in self.log(dag_id, run_id, task):
            if line.get("error_detail"):
                last_exception = str(line["error_detail"][0]["exc_value"]).strip()
            elif line.get("level") in {"error", "critical"}:
                last_error = str(line["event"]).strip()
        return last_exception or last_error

    def log(self, dag_id: str, run_id: str, task: Task) -> Iterable[dict[str, Any]]:
        """The log of a task's last try, line by line, as Airflow structures it (`event`, `level`, `error_detail`)."""
        path = f"{_path(dag_id, run_id)}/taskInstances/{quote(task.task_id)}/logs/{max(task.try_number, 1)}"
        where = {"map_index": str(task.map_index), "full_content": "true"}
        while True:
            answer = self._send("GET", path, params=where, headers={"Accept": "application/json"}).json()
            yield from (line for line in answer["content"] if isinstance(line, dict))
            if not answer.get("continuation_token") or not answer["content"]:
                return
            where = where | {"token": answer["continuation_token"]}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task returned (or left under `key`); None where it left nothing."""
        path = f"{_path(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        where = {"map_index": str(map_index), "deserialize": "true"}
        answer = self._send("GET", path, params=where, allowed={404})
        return answer.json()["value"] if answer.is_success else None

    def page(self, dag_id: str, run_id: str) -> str:
        """Address of a run in Airflow's page."""
        return f"{self.url}/dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}"

    def _pages(self, path: str, key: str, where: Mapping[str, str] | None = None) -> Iterable[dict[str, Any]]:
        offset = 0
        while True:
            found = self._send("GET", path, params={**(where or {}), "limit": str(PAGE), "offset": str(offset)}).json()
            yield from found[key]
            offset += PAGE
            if offset >= found["total_entries"]:
                return

    def _send(self, method: str, path: str, *, allowed: Iterable[int] = (), **what: Any) -> httpx.Response:
        """An answer that is a success, or has one of the `allowed` status codes."""
        try:
            answer = self._http.request(method, path, **what)
        except httpx.TransportError as error:
            raise ServiceError(
                f"Airflow at {self.url} does not answer ({type(error).__name__}): "
                "run `marquee up`, or mend airflow.url.",
                is_transient=True,
            ) from None
        if not answer.is_success and answer.status_code not in set(allowed):
            raise _refusal(self.url, answer)
        return answer


def _path(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"


def _refusal(url: str, answer: httpx.Response) -> MarqueeError:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    # of Airflow's reason only the first paragraph: the rest is the JSON schema
    reason = " ".join(str(detail).split("\n\n")[0].split()).rstrip(".")
    is_its_own = answer.status_code >= 500
    return ServiceError(
        f"Airflow at {url} {'fails at' if is_its_own else 'refuses'} {answer.request.method} "
        f"{answer.request.url.path} (HTTP {answer.status_code}: {reason}): "
        f"{'read its log (airflow-api), then try again' if is_its_own else 'mend the value'}.",
        is_transient=is_its_own,
    )


def _no_dag(url: str, dag_id: str, broken: list[dict[str, Any]]) -> MarqueeError:
    if not broken:
        return ServiceError(f"Airflow at {url} has no DAG {dag_id}: see that its folder of DAG files (dags) is right.")
    last_line = str(broken[0]["stack_trace"]).strip().splitlines()[-1]
    return ServiceError(
        f"Airflow at {url} has no DAG {dag_id}, and can't read {broken[0]['filename']} ({last_line}): mend that file."
    )
