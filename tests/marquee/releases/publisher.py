"""A process that publishes and rolls back as it is told, each time in a child that may be killed.

    python -m tests.marquee.releases.publisher FOLDER MODEL

It reads a JSON object a line, and prints the child's process id, then how it ended (0, or the negative signal).
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

# All that a child needs is imported once: then a child starts in no time.
import deltalake  # noqa: F401
import duckdb  # noqa: F401
import mlflow  # noqa: F401
import pyarrow.dataset
import pyarrow.fs  # noqa: F401

from marquee.lake.objects import Lake
from marquee.releases import rollback
from tests.marquee.releases import small

LEASE_SECONDS = 1.0
#: More than a rollback goes back over, and few enough for retention to have work.
KEEP = 6


def act(order: dict[str, Any], folder: Path, model: str) -> None:
    lake = Lake.from_environment()
    if order["act"] == "publish":
        what = small.release(order["release"], order["version"], model, is_by_person=True)
        small.publish(
            lake, folder, what, shift=order["shift"], keep=KEEP, lease_seconds=LEASE_SECONDS, why="it is wanted"
        )
    else:
        asked = small.asked(order["action"], "it is not wanted")
        rollback.rollback(lake, folder, asked=asked, lease_seconds=LEASE_SECONDS)


def main(folder: Path, model: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                act(json.loads(line), folder, model)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
