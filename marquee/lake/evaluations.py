"""What each judged user came to under a candidate, in the lake: for intervals, for slices, for the gate.

evaluations/<key of the candidate>.parquet      user_index, segment, n_history, n_relevant, metrics at k, auc
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marquee.errors import LakeError
from marquee.lake.objects import Lake, lake_errors

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "evaluations"


def save(lake: Lake, key: str, users: pa.Table) -> None:
    """Keep the users' figures; the same key has the same figures, so one that is there is replaced by its equal."""
    import pyarrow.parquet as pq

    with lake_errors(f"keep the users' figures of evaluation {key}"):
        pq.write_table(users, f"{lake.bucket}/{path(key)}", filesystem=lake.filesystem(), compression="zstd")


def load(lake: Lake, key: str) -> pa.Table:
    """The users' figures of a candidate.

    Raises:
        LakeError: there are none.
    """
    import pyarrow.parquet as pq

    with lake_errors(f"read the users' figures of evaluation {key}"):
        try:
            return pq.read_table(f"{lake.bucket}/{path(key)}", filesystem=lake.filesystem())
        except FileNotFoundError:
            raise LakeError(
                f"The lake has no users' figures of evaluation {key} ({path(key)}): train the candidate again."
            ) from None


def path(key: str) -> str:
    """Key of the object."""
    return f"{FOLDER}/{key}.parquet"
