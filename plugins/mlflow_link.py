"""From a task's page to the run of MLflow that it made."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.execution_time.xcom import XCom


class MlflowRunLink(BaseOperatorLink):
    """A button on the task's page; empty where the task made no run. The run's own page leads back by its tags."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        result = XCom.get_value(ti_key=ti_key, key="return_value")
        return str(result.get("url", "")) if isinstance(result, dict) else ""
