"""A person's yes in Airflow's page, before what follows may run."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator


class ConfirmOperator(ApprovalOperator):
    """Waits for somebody to approve under Required Actions, unless the run's form says `confirm` already.

    Who rejects it, or lets its time pass, skips what follows.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(defaults=self.REJECT, **kwargs)

    def execute(self, context: Any) -> Any:
        if context["params"]["confirm"]:
            self.log.info("It was confirmed when the run was asked for.")
            return None
        return super().execute(context)
