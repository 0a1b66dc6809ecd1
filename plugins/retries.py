"""Which failures are worth another try: what passes by itself is tried again, what needs a person fails at once."""

from __future__ import annotations

from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from marquee.errors import MarqueeError


class RetryWhatPasses(RetryPolicy):
    """A `MarqueeError` says itself whether it passes; any other error is tried again."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        if isinstance(exception, MarqueeError) and not exception.is_transient:
            return RetryDecision.fail(reason=str(exception))
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RetryWhatPasses:
        return cls()
