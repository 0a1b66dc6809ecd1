"""Every error that Marquee raises on purpose.

    MarqueeError                what a person may read: one sentence, with what to do
    ├── SettingsError           a setting is wrong, or a port is taken
    ├── SourceError             the source can't be found, read or recognised
    ├── DataError               the data breaks its contract
    ├── LakeError               the object store or a table in it refuses
    ├── TrainingError           a model can't be trained or evaluated on this data
    ├── RegistryError           the MLflow server or its registry refuses
    ├── ReleaseError            a release can't be built or switched
    └── ServiceError            a service doesn't start, answer or stop

Each message says what was wrong, where (file, line, column, value), and what to do. `is_transient` tells whether
the same call may succeed later without anybody's help: Airflow retries those, and fails the others at once.
"""

from __future__ import annotations


class MarqueeError(Exception):
    """Base of all errors that Marquee raises on purpose."""

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class SettingsError(MarqueeError):
    """A setting is wrong, or a port is taken."""


class SourceError(MarqueeError):
    """The source can't be found, read or recognised."""


class DataError(MarqueeError):
    """The data breaks its contract."""


class LakeError(MarqueeError):
    """The object store, or a table in it, refuses."""


class TrainingError(MarqueeError):
    """A model can't be trained or evaluated on this data."""


class RegistryError(MarqueeError):
    """The MLflow server, or its registry, refuses."""


class ReleaseError(MarqueeError):
    """A release can't be built or switched."""


class ServiceError(MarqueeError):
    """A service doesn't start, answer or stop."""
