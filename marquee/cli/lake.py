"""The lake as a command reaches it."""

from __future__ import annotations

from marquee.credentials import credentials
from marquee.lake.objects import Lake
from marquee.settings import settings


def lake() -> Lake:
    """The lake of the settings, with its keys."""
    from marquee.services import health

    return health.lake(settings(), credentials(settings()))
