"""The yes of a person: asked for on the run's page, or given with the form."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import TaskAwaitingInput

from plugins.confirming import ConfirmOperator


def operator() -> ConfirmOperator:
    return ConfirmOperator(task_id="confirm", subject="Go on?", response_timeout=timedelta(hours=1))


def test_a_form_that_says_yes_asks_nobody() -> None:
    assert operator().execute({"params": {"confirm": True}}) is None


def test_without_it_the_task_waits_and_silence_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **what: asked.append(what))  # needs Airflow's supervisor
    with pytest.raises(TaskAwaitingInput):
        operator().execute({"params": {"confirm": False}, "task_instance": SimpleNamespace(id="1")})
    (one,) = asked
    assert (one["options"], one["defaults"], one["subject"]) == (["Approve", "Reject"], ["Reject"], "Go on?")
