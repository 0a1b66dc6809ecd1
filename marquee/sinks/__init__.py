"""Where a release goes besides its file: databases that applications read already, one module each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from marquee.settings import Settings


class Sink(Protocol):
    """A place that holds the tables of one release at a time, all of them of the same one."""

    def publish(self, release_file: Path, release_id: str, *, fence: int) -> None:
        """Let readers there see this release instead of the one before, in one step; the same file again is nothing.

        Args:
            fence: number of the lease that this is done under; it is kept, and a lower one is refused from then on.

        Raises:
            ReleaseError: the place can't be reached, refuses, or follows a later action already; what is there stays.
        """


def sinks(settings: Settings) -> list[Sink]:
    """The sinks that the settings name."""
    serving = settings.serving
    if not serving.postgres:
        return []
    from marquee.sinks.postgres import Postgres

    return [Postgres(serving.postgres, serving.postgres_password.get_secret_value(), serving.postgres_schema)]
