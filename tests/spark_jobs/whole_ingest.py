"""The ingest of batches as a process that can be killed: normalize and accept, as the DAG's tasks do them.

    python -m tests.spark_jobs.whole_ingest BATCH:MODE...

Says "ready" once Spark is up and "done BATCH" behind each. The lake is the one that the environment names.
"""

from __future__ import annotations

import sys

from expectations.contracts import TABLES
from expectations.schema import arrow_schema
from marquee import buckets
from marquee.lake import acceptance, outcome
from marquee.lake.objects import Lake
from marquee.lake.raw import read_manifest
from spark_jobs import normalize
from spark_jobs.session import session

#: Small, so that small batches have many buckets, and a kill may come between any two of them.
BYTES_OF_A_BUCKET = 2_000


def main(words: list[str]) -> int:
    buckets.BYTES_OF_A_BUCKET = BYTES_OF_A_BUCKET
    lake = Lake.from_environment()
    schemas = {name: arrow_schema(TABLES[name]) for name in ("ratings", *acceptance.BESIDE)}
    session("whole ingest")
    print("ready", flush=True)
    for word in words:
        batch, _, mode = word.partition(":")
        how = "replace" if mode == "replace" else "append"
        if not acceptance.is_accepted(lake, batch, how):
            where = outcome.key("killed", batch)
            if normalize.main(["--batch", batch, "--outcome", where, "--max-quarantined", "1"]):
                return 1
            acceptance.accept(lake, read_manifest(lake, batch), schemas, mode=how, run_id=f"run of {batch}")
        print(f"done {batch}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
