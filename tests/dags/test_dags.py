"""The DAG files as Airflow reads them: each in a fresh process, where nothing was imported before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from marquee.settings import PROJECT

FILES = sorted(path.stem for path in (PROJECT / "dags").glob("*.py") if path.stem != "__init__")
HEAVY = {"pyspark", "mlflow", "great_expectations", "duckdb", "pandas", "matplotlib", "deltalake"}
#: Tasks that read or write all of the data.
LONG = {"normalize", "tune", "candidate", "score", "find", "clean_tables", "clean_raw_files", "clean_again"}
RULES = {"gate": "all_done_min_one_success", "candidates": "none_failed"}
PARSE_SECONDS = 5.0  # about 0.4 s on an idle machine; Airflow's own limit is 30

# Read by the same class as the DAG processor's; what it found goes out as the last line.
READ = """
import json, sys, time

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions._internal.types import is_arg_set
from airflow.serialization.serialized_objects import DagSerialization

begin = time.monotonic()
bag = DagBag(sys.argv[1])
seconds = time.monotonic() - begin
imported = sorted({name.partition(".")[0] for name in sys.modules})


def dag_params(dag):
    return [(name, dag.params.get_param(name)) for name in dag.params]


def shown(dag):
    return {
        "downstream": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "retries": task.retries,
                "retry_delay": task.retry_delay.total_seconds(),
                "backoff": task.retry_exponential_backoff,
                "max_retry_delay": task.max_retry_delay.total_seconds(),
                "policy": type(task.retry_policy).__name__,
                "timeout": task.execution_timeout.total_seconds(),
                "trigger_rule": str(task.trigger_rule.value),
                "outlets": [outlet.name for outlet in task.outlets],
            }
            for task in dag.tasks
        },
        "params": {
            name: {"has_default": is_arg_set(param.value), "schema": param.schema} for name, param in dag_params(dag)
        },
        "defaults": {name: param.value for name, param in dag_params(dag) if is_arg_set(param.value)},
        "doc_md": dag.doc_md,
        "description": dag.description,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "schedule": str(getattr(dag.timetable, "asset_condition", None)),
        "timetable": type(dag.timetable).__name__,
        "is_serializable": bool(DagSerialization.to_dict(dag)),
    }


found = {
    "errors": {str(file): str(error) for file, error in bag.import_errors.items()},
    "seconds": seconds,
    "imported": imported,
    "dags": {name: shown(dag) for name, dag in bag.dags.items()},
}
print("\\n" + json.dumps(found, default=str))
"""


@cache
def read(file: str, home: Path, **settings: str) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MARQUEE"))}
    environment |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "false", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", READ, str(PROJECT / "dags" / f"{file}.py")],
        env=environment | {"MARQUEE_VAR": str(home / "var")} | settings,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow's home for these processes."""
    return tmp_path_factory.mktemp("airflow_of_dags")


@pytest.fixture(params=FILES)
def found(request: pytest.FixtureRequest, home: Path) -> dict[str, Any]:
    """What Airflow found in one file."""
    return read(request.param, home)


def dag(home: Path, name: str) -> dict[str, Any]:
    return dict(read(name, home)["dags"][name])


def test_one_dag_a_file_under_its_name() -> None:
    assert FILES == [
        "forget_person",
        "ingest_ratings",
        "overrule_gate",
        "publish_recommendations",
        "rollback_release",
        "train_recommender",
    ]


def test_a_file_is_read_without_error_quickly_and_without_heavy_imports(found: dict[str, Any]) -> None:
    assert found["errors"] == {}
    assert found["seconds"] < PARSE_SECONDS
    assert HEAVY & set(found["imported"]) == set()
    (only,) = found["dags"].values()
    assert only["is_serializable"]


@pytest.mark.parametrize(
    ("name", "downstream"),
    [
        (
            "ingest_ratings",
            {
                "stage": ["accept", "is_new", "normalize", "validate_items", "validate_ratings"],
                "is_new": ["normalize"],
                "normalize": ["validate_items", "validate_ratings"],
                "validate_ratings": ["accept"],
                "validate_items": ["accept"],
                "accept": [],
            },
        ),
        (
            "train_recommender",
            {
                "snapshot": ["candidates", "gate", "register", "tuning"],
                "standing": ["candidates", "gate", "register"],
                "tuning": ["tune"],
                "tune": ["candidates"],
                "candidates": ["candidate", "gate"],
                "candidate": ["gate"],
                "gate": ["register"],
                "register": [],
            },
        ),
        ("overrule_gate", {"overrule": []}),
        (
            "publish_recommendations",
            {
                "pin": ["check", "release", "score"],
                "score": ["check"],
                "check": ["release"],
                "release": [],
            },
        ),
        ("rollback_release", {"look": ["confirm"], "confirm": ["roll_back"], "roll_back": []}),
        (
            "forget_person",
            {
                "accept_request": [
                    "clean_again", "clean_raw_files", "clean_tables", "find", "others_rest", "record",
                ],
                "others_rest": ["find"],
                "find": ["clean_tables"],
                "clean_tables": ["clean_raw_files"],
                "clean_raw_files": ["others_rest_again"],
                "others_rest_again": ["clean_again"],
                "clean_again": ["record"],
                "record": ["announce"],
                "announce": [],
            },
        ),
    ],
)  # fmt: skip
def test_tasks_and_what_follows_them(home: Path, name: str, downstream: dict[str, list[str]]) -> None:
    assert dag(home, name)["downstream"] == downstream


@pytest.mark.parametrize(
    ("name", "outlets", "schedule"),
    [
        ("ingest_ratings", {"accept": ["ratings"]}, "None"),
        ("train_recommender", {"register": ["champion"]}, "marquee://lake/ratings"),
        ("overrule_gate", {"overrule": ["champion"]}, "None"),
        ("publish_recommendations", {"release": ["release"]}, "marquee://registry/champion"),
        ("rollback_release", {"roll_back": ["release"]}, "None"),
        ("forget_person", {"announce": ["ratings"]}, "None"),
    ],
)
def test_the_dags_are_chained_by_assets(home: Path, name: str, outlets: dict[str, list[str]], schedule: str) -> None:
    read_dag = dag(home, name)
    assert {task: about["outlets"] for task, about in read_dag["tasks"].items() if about["outlets"]} == outlets
    assert schedule in read_dag["schedule"]


def test_training_is_scheduled_by_a_cron_beside_its_asset(home: Path) -> None:
    found = read("train_recommender", home, MARQUEE_AIRFLOW__TRAIN_SCHEDULE="0 3 * * *")
    assert found["errors"] == {}
    scheduled = found["dags"]["train_recommender"]
    assert scheduled["timetable"] == "AssetOrTimeSchedule" and "marquee://lake/ratings" in scheduled["schedule"]


def test_every_dag_says_what_it_is(found: dict[str, Any]) -> None:
    for name, about in found["dags"].items():
        assert about["doc_md"].count("**") >= 2 * min(4, len(about["tasks"])) and "marquee " in about["doc_md"], name
        assert about["description"] and "marquee" in about["tags"] and len(about["tags"]) >= 2
        assert about["max_active_runs"] == 1 and not about["catchup"]


def test_every_task_has_an_owner_retries_with_backoff_and_a_timeout(found: dict[str, Any]) -> None:
    for about in found["dags"].values():
        for name, task in about["tasks"].items():
            assert task["owner"] == "marquee", name
            assert task["retries"] == 2 and task["retry_delay"] == 10 and task["backoff"] == 2
            assert task["max_retry_delay"] == 300 and task["policy"] == "RetryWhatPasses"
            assert task["timeout"] == (6 * 3600 if name in LONG else 15 * 60), name
            # A failed check stops all that follows; a failed candidate leaves the others, and no search is no failure.
            assert task["trigger_rule"] == RULES.get(name, "all_success"), name


def test_every_param_has_a_default_but_what_a_run_is_about(home: Path) -> None:
    required = {
        (name, param)
        for name in FILES
        for param, about in dag(home, name)["params"].items()
        if not about["has_default"]
    }
    assert required == {
        ("ingest_ratings", "source"),
        ("forget_person", "request"),
        ("overrule_gate", "why"),
        ("rollback_release", "why"),
    }


def test_no_form_takes_an_id_to_forget(home: Path) -> None:
    """What stands in a form is kept by Airflow: there is room for the name of a request, and for nothing else."""
    (param,) = dag(home, "forget_person")["params"].items()
    assert param[0] == "request" and param[1]["schema"]["pattern"].startswith("^[0-9a-f]{8}")
    assert "marquee forget --user" in dag(home, "forget_person")["doc_md"]


def test_the_defaults_of_the_forms(home: Path) -> None:
    assert dag(home, "ingest_ratings")["defaults"] == {
        "format": "auto", "mode": "append", "sha256": None, "max_quarantined": 0.01,
            "drift": "stop",
        "user_column": None, "item_column": None, "rating_column": None, "time_column": None, "separator": None,
        "time_unit": None, "lowest_rating": None, "highest_rating": None, "reading": None,
    }  # fmt: skip
    assert dag(home, "publish_recommendations")["defaults"] == {"model_version": None, "k": None, "why": None}
    assert dag(home, "rollback_release")["defaults"] == {"release": None, "confirm": False}
    training = dag(home, "train_recommender")
    names = {"k", "feedback", "ranks", "iterations", "regularization", "alpha", "test_share", "seed"}
    assert set(training["defaults"]) == names | {"tuning_trials", "tuning_minutes"}
    assert training["defaults"]["k"] == 10 and training["defaults"]["feedback"] == "implicit"


def test_a_field_that_may_be_empty_may_be_null(found: dict[str, Any]) -> None:
    """Airflow's page takes an empty text for null, and then lets nobody trigger the DAG."""
    for about in found["dags"].values():
        assert "" not in about["defaults"].values()


def test_the_forms_explain_themselves(found: dict[str, Any]) -> None:
    for about in found["dags"].values():
        for name, param in about["params"].items():
            assert param["schema"].get("title"), name
            assert "type" in param["schema"] or "enum" in param["schema"], name
