"""A job of `spark_jobs/`, submitted by the Spark provider, that gives back figures and fails with a sentence."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException

from marquee.class_archive import ClassArchive, class_archive
from marquee.errors import MarqueeError
from marquee.java import find_java
from marquee.lake import outcome
from marquee.lake.outcome import ERROR_MARK
from marquee.settings import PROJECT, settings
from plugins.connections import SPARK, lake, mlflow_environment
from plugins.mlflow_link import MlflowRunLink


class SparkJobOperator(SparkSubmitOperator):
    """Submits `spark_jobs/<job>.py` on the connection `spark_default`, and returns what the job left as its outcome.

    Args:
        job: name of the file in `spark_jobs/`.
        arguments: the job's arguments by name; what is no text is passed as JSON. Templated.
    """

    # Not the provider's list: its `env_vars` would show the job's secrets among the rendered templates.
    template_fields: Sequence[str] = ("arguments",)
    template_fields_renderers = {"arguments": "json"}  # noqa: RUF012 - Airflow declares it so
    operator_extra_links = (MlflowRunLink(),)

    def __init__(self, *, job: str, arguments: dict[str, Any], **kwargs: Any) -> None:
        spark = settings().spark
        self.spark_conf = {
            "spark.driver.extraJavaOptions": spark.java_options,
            "spark.executor.extraJavaOptions": spark.java_options,
            "spark.sql.shuffle.partitions": str(spark.shuffle_partitions),
            "spark.log.level": "WARN",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": str(settings().var / "spark"),
            "spark.sql.warehouse.dir": str(settings().var / "spark" / "warehouse"),
        }
        super().__init__(
            conn_id=SPARK,
            application=str(PROJECT / "spark_jobs" / f"{job}.py"),
            name=f"marquee {job}",
            driver_memory=spark.driver_memory,
            conf=self.spark_conf,
            **kwargs,
        )
        self.job = job
        self.arguments = arguments
        self.classes: ClassArchive | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        ti = context["ti"]
        where = outcome.key(
            f"{ti.dag_id}/{re.sub(r'[^A-Za-z0-9_.-]', '-', ti.run_id)}",
            f"{ti.task_id}{'' if ti.map_index < 0 else f'-{ti.map_index}'}-try{ti.try_number}",
        )
        self.application_args = [*as_arguments(self.arguments), "--outcome", where]
        try:
            super().execute(context)
        except AirflowException as error:
            raise failure(self.job, outcome.load(lake(), where), str(error)) from None
        if self.classes is not None:
            self.classes.keep()
        left = outcome.load(lake(), where)
        if left is None:
            raise MarqueeError(
                f"Job {self.job} ended without leaving an outcome at {where}: read the task's log.", is_transient=True
            )
        self.log.info("%s: %s", self.job, json.dumps(left.result))
        return left.result

    def _get_hook(self) -> SparkSubmitHook:
        chosen = find_java(settings().var)
        if settings().spark.master.startswith("local"):
            self.classes = class_archive(chosen, settings().var / "spark" / "classes", os.environ)
        if self.classes is not None:
            options = f"{settings().spark.java_options} {self.classes.options}"
            self.conf = {**self.spark_conf, "spark.driver.extraJavaOptions": options}
        hook = super()._get_hook()
        self.log.info("Java: %s", chosen.reason)
        hook._env_vars = {**lake().environment(), **mlflow_environment(), "JAVA_HOME": str(chosen.home)}
        return hook


def as_arguments(arguments: dict[str, Any]) -> list[str]:
    """`{"k": 10, "tags": {"a": 1}}` as `["--k", "10", "--tags", '{"a": 1}']`."""
    return [
        text
        for name, value in arguments.items()
        for text in (
            f"--{name.replace('_', '-')}",
            value if isinstance(value, str) else json.dumps(value, sort_keys=True),
        )
    ]


def failure(job: str, left: outcome.Outcome | None, log_tail: str) -> MarqueeError:
    """What went wrong in a job: its own sentence, from the lake or from the end of its log."""
    if left is not None and left.error:
        return MarqueeError(left.error, is_transient=left.is_transient)
    marked = [line.split(ERROR_MARK, 1)[1].strip() for line in log_tail.splitlines() if ERROR_MARK in line]
    if marked:
        return MarqueeError(marked[-1], is_transient=True)
    return MarqueeError(
        f"Job {job} ended without a word: read the task's log for the end of Spark's own.", is_transient=True
    )
