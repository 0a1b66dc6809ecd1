"""The operator that submits a job: its command line, its secrets, its sentences, and what is tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import RetryAction

from marquee.errors import DataError, LakeError, MarqueeError
from marquee.lake.outcome import Outcome
from marquee.settings import PROJECT, settings
from plugins.retries import RetryWhatPasses
from plugins.spark_job import SparkJobOperator, as_arguments, failure

S3_SECRET, MLFLOW_SECRET = "s3-Geheim/+1", "mlflow-Geheim 2"


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The provider's hook as the operator makes it, from connections as the services give them."""
    connections = {
        "AWS_DEFAULT": {
            "conn_type": "aws",
            "login": "AKEY",
            "password": S3_SECRET,
            "extra": {"endpoint_url": "http://127.0.0.1:8333", "region_name": "us-east-1"},
        },
        "SPARK_DEFAULT": {"conn_type": "spark", "host": "local[*]", "extra": {"deploy-mode": "client"}},
        "MLFLOW_DEFAULT": {
            "conn_type": "http",
            "host": "http://127.0.0.1:5000",
            "login": "admin",
            "password": MLFLOW_SECRET,
        },
    }
    for name, value in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(value))
    monkeypatch.setenv("MARQUEE_VAR", str(tmp_path / "var"))
    settings.cache_clear()
    operator = SparkJobOperator(task_id="normalize", job="normalize", arguments={})
    operator.application_args = as_arguments({"batch": "a" * 64, "max_quarantined": 0.5})
    yield operator._get_hook()
    settings.cache_clear()


def test_arguments_become_words() -> None:
    given = {"k": 10, "version": "3", "max_quarantined": "0.01", "tags": {"b": 1, "a": "x y"}, "names": ["ü"]}
    words = as_arguments(given)
    assert words == [
        "--k", "10", "--version", "3", "--max-quarantined", "0.01",
        "--tags", '{"a": "x y", "b": 1}', "--names", '["\\u00fc"]',
    ]  # fmt: skip
    assert json.loads(words[7]) == {"a": "x y", "b": 1} and json.loads(words[9]) == ["ü"]
    assert as_arguments({}) == []


def test_the_command_line(hook: Any) -> None:
    command = hook._build_spark_submit_command(str(PROJECT / "spark_jobs" / "normalize.py"))
    assert command[0] == "spark-submit"
    assert command[command.index("--master") + 1] == "local[*]"
    assert command[command.index("--name") + 1] == "marquee normalize"
    assert command[command.index("--driver-memory") + 1] == settings().spark.driver_memory
    assert command[-5:] == [
        str(PROJECT / "spark_jobs" / "normalize.py"), "--batch", "a" * 64, "--max-quarantined", "0.5",
    ]  # fmt: skip


def test_secrets_go_by_the_environment_alone(hook: Any) -> None:
    assert hook._env_vars["AWS_SECRET_ACCESS_KEY"] == S3_SECRET
    assert hook._env_vars["MLFLOW_TRACKING_PASSWORD"] == MLFLOW_SECRET
    assert Path(hook._env_vars["JAVA_HOME"]).is_dir()
    command = " ".join(hook._build_spark_submit_command("job.py"))
    for secret in (S3_SECRET, MLFLOW_SECRET, "AKEY"):
        assert secret not in command


def test_no_secret_among_the_rendered_templates() -> None:
    operator = SparkJobOperator(task_id="score", job="score", arguments={"k": 1})
    assert tuple(operator.template_fields) == ("arguments",)
    assert not operator.env_vars  # they are only put into the hook, when the task runs


@pytest.mark.parametrize(
    ("left", "log", "sentence", "is_transient"),
    [
        (Outcome(error="ratings.csv, line 1: no column."), "", "ratings.csv, line 1: no column.", False),
        (Outcome(error="No answer.", is_transient=True), "", "No answer.", True),
        # the lake could not carry it: the last marked line of the log does
        (None, "x\nmarquee: error: first\n INFO marquee: error: No answer. \nend", "No answer.", True),
        (None, "java.lang.OutOfMemoryError", "Job score ended without a word: read the task's log", True),
        (Outcome(), "killed", "Job score ended without a word: read the task's log", True),
    ],
)
def test_what_a_failed_job_says(left: Outcome | None, log: str, sentence: str, is_transient: bool) -> None:
    error = failure("score", left, log)
    assert isinstance(error, MarqueeError)
    assert str(error).startswith(sentence) and error.is_transient is is_transient


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (DataError("ratings.csv is wrong"), RetryAction.FAIL),
        (LakeError("no such bucket"), RetryAction.FAIL),
        (LakeError("no answer", is_transient=True), RetryAction.DEFAULT),
        (MarqueeError("without a word", is_transient=True), RetryAction.DEFAULT),
        (ConnectionResetError("peer"), RetryAction.DEFAULT),
    ],
)
def test_what_is_tried_again(error: Exception, action: RetryAction) -> None:
    decision = RetryWhatPasses().evaluate(error, try_number=1, max_tries=2)
    assert decision.action is action
    assert decision.reason == (str(error) if action is RetryAction.FAIL else None)


def test_the_policy_travels_to_the_worker() -> None:
    assert isinstance(RetryWhatPasses.deserialize(RetryWhatPasses().serialize()), RetryWhatPasses)
