"""The real services on free ports: up, answering, run through their API, killed, up again, down."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from marquee import services
from marquee.airflow_client import AirflowClient, Task
from marquee.credentials import credentials
from marquee.errors import ServiceError, SettingsError
from marquee.services.ports import free_ports
from marquee.services.processes import marked
from marquee.settings import Mlflow, Ports, Settings

pytestmark = pytest.mark.end_to_end

DAGS = """
from airflow.sdk import DAG, Asset, Param, task

THING = Asset("thing")

with DAG("first", schedule=None, params={"n": Param(2, type="integer", minimum=1), "fails": False}):

    @task
    def numbers(params=None):
        return list(range(params["n"]))

    @task
    def double(number):
        return 2 * number

    @task(outlets=[THING])
    def end(doubled, params=None):
        if params["fails"]:
            raise ValueError("File ratings.csv, line 7: the rating 'abc' is no number, mend that line.")

    end(double.expand(number=numbers()))

with DAG("second", schedule=[THING]):

    @task
    def after():
        return "done"

    after()
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("services")
    (folder / "dags").mkdir()
    (folder / "dags" / "both.py").write_text(DAGS)
    names = ("airflow", "mlflow", "s3", "s3_master", "s3_volume", "s3_filer", "s3_admin")
    ports = Ports(**dict(zip(names, free_ports(7), strict=True)))
    settings = Settings(var=folder / "var", dags=folder / "dags", ports=ports)
    try:
        services.up(settings)
        yield settings
    finally:
        services.down(settings)
        assert marked(settings.var) == []


@pytest.fixture
def client(given: Settings) -> Iterator[AirflowClient]:
    with AirflowClient.of(given) as client:
        yield client


def test_all_answer_and_a_second_up_changes_nothing(given: Settings) -> None:
    assert all(service.is_healthy and service.is_embedded for service in services.status(given))
    before = {process.pid for process in marked(given.var)}
    begin = time.monotonic()
    services.up(given)
    assert time.monotonic() - begin < 5
    assert {process.pid for process in marked(given.var)} == before


def test_every_port_is_on_this_machine_only(given: Settings) -> None:
    listening = [
        connection.laddr
        for process in marked(given.var)
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 12
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_no_secret_on_a_command_line_or_in_a_log(given: Settings) -> None:
    secret = credentials(given)
    lines = " ".join(word for process in marked(given.var) for word in process.cmdline())
    log = (given.var / "logs" / "services.log").read_text(errors="replace")
    for value in (secret.s3_secret_key, secret.mlflow_password, secret.airflow_password, secret.airflow_jwt_secret):
        assert value not in lines and value not in log


def test_each_wants_its_login(given: Settings) -> None:
    for url in (f"{given.mlflow_uri}/api/2.0/mlflow/experiments/search?max_results=1", f"{given.mlflow_uri}/"):
        assert httpx.get(url, trust_env=False).status_code == 401
    assert httpx.get(f"{given.airflow_url}/api/v2/dags", trust_env=False).status_code == 401
    assert httpx.get(given.s3_endpoint, trust_env=False).status_code == 403
    with (
        AirflowClient(given.airflow_url, "admin", "wrong") as stranger,
        pytest.raises(ServiceError, match=r"refuses the login of admin: mend airflow\.username"),
    ):
        stranger.dags()


def test_a_run_its_tasks_and_what_it_sets_off(client: AirflowClient) -> None:
    seen: list[Task] = []
    run_id = client.trigger("first", {"n": 3})
    run = client.follow("first", run_id, seen.append, timeout=120)
    assert run.is_success
    assert {task.name: task.state for task in run.tasks} == {
        "numbers": "success", "double[0]": "success", "double[1]": "success", "double[2]": "success", "end": "success",
    }  # fmt: skip
    assert len(seen) == len({(task.name, task.state, task.try_number) for task in seen})
    assert client.xcom("first", run_id, "double", map_index=2) == 4
    assert client.xcom("first", run_id, "end") is None
    ((dag_id, second),) = client.downstream("first", run_id)
    assert dag_id == "second" and client.follow(dag_id, second, timeout=120).is_success
    assert client.downstream(dag_id, second) == []
    assert client.last_run("first") is not None


def test_a_failed_run_gives_the_sentence_of_its_task(client: AirflowClient) -> None:
    run = client.follow("first", client.trigger("first", {"n": 1, "fails": True}), timeout=120)
    assert not run.is_success
    said = client.failure(run)
    assert said.startswith("Task end of first failed. File ratings.csv, line 7: the rating 'abc' is no number")
    assert f"{client.page('first', run.run_id)}/tasks/end" in said
    assert client.downstream("first", run.run_id) == []


def test_the_same_run_twice_is_one(client: AirflowClient) -> None:
    assert client.trigger("first", {}, "once") == client.trigger("first", {}, "once") == "once"
    assert client.follow("first", "once", timeout=120).is_success


def test_what_airflow_refuses_is_said_in_its_words(client: AirflowClient) -> None:
    with pytest.raises(ServiceError, match="Invalid input for param n: 0 is less than the minimum of 1"):
        client.trigger("first", {"n": 0})
    with pytest.raises(ServiceError, match="`nothing` was not found"):
        client.follow("first", "nothing")


def test_a_taken_port_stops_up_before_it_starts_anything(given: Settings, tmp_path: Path) -> None:
    beside = Settings(var=tmp_path, ports=given.ports)
    with pytest.raises(SettingsError, match=r"is taken by process \d+ \(weed"):
        services.up(beside)
    assert marked(tmp_path) == []


@pytest.mark.slow
def test_up_after_everything_was_killed(given: Settings) -> None:
    for process in marked(given.var):
        process.kill()
    services.up(given)
    assert all(service.is_healthy for service in services.status(given))


@pytest.mark.slow
def test_up_after_honcho_alone_was_killed(given: Settings) -> None:
    before = marked(given.var)
    (leader,) = [
        process for process in before if os.getsid(process.pid) == process.pid and "honcho" in process.cmdline()
    ]
    leader.kill()
    services.up(given)
    assert not [process for process in before if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert all(service.is_healthy for service in services.status(given))


@pytest.mark.slow
def test_a_login_that_the_server_does_not_know(given: Settings) -> None:
    changed = given.model_copy(update={"mlflow": Mlflow(password="another-password")})
    with pytest.raises(ServiceError, match=r"refuses the login of admin: mend mlflow\.username"):
        services.up(changed)
    services.up(given)


@pytest.mark.slow
def test_a_service_that_ends_while_starting_is_named(given: Settings) -> None:
    services.down(given)
    users = given.var / "mlflow" / "auth.db"
    whole = users.read_bytes()
    users.write_bytes(b"no database" * 1000)
    try:
        with pytest.raises(ServiceError, match=r"Service mlflow ended while starting .*read .*services\.log"):
            services.up(given)
    finally:
        users.write_bytes(whole)
    services.up(given)


def test_down_leaves_nothing(given: Settings) -> None:
    assert services.down(given) >= 15
    assert marked(given.var) == []
    assert services.down(given) == 0
