"""What a job leaves beside the prepared parts of a batch, so that they need not be read to be judged.

prepared/<table>/<batch>.witnesses.parquet    the rows that decide (`expectations.witnesses`)
prepared/ratings/<batch>.profile.json         the numbers of the whole (`expectations.batch_profile`)
quality/profiles/<batch>.json                 the same numbers, kept once the batch is validated
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from expectations.batch_profile import RatingsProfile
from expectations.report import QUALITY
from marquee.lake.objects import Lake, lake_errors

if TYPE_CHECKING:
    import pyarrow as pa


def witnesses_key(table: str, batch: str) -> str:
    return f"prepared/{table}/{batch}.witnesses.parquet"


def profile_key(batch: str) -> str:
    return f"prepared/ratings/{batch}.profile.json"


def kept_profile_key(batch: str) -> str:
    return f"{QUALITY}/profiles/{batch}.json"


def save_witnesses(lake: Lake, table: str, batch: str, witnesses: pa.Table) -> None:
    """Keep the witnesses of a batch, in place of earlier ones.

    Raises:
        LakeError: the store refuses.
    """
    import pyarrow.parquet as pq

    key, body = witnesses_key(table, batch), io.BytesIO()
    pq.write_table(witnesses, body)
    with lake_errors(f"write {lake.uri(key)}", lake):
        lake.client().put_object(Bucket=lake.bucket, Key=key, Body=body.getvalue())


def load_witnesses(lake: Lake, table: str, batch: str) -> pa.Table:
    """The witnesses that a job kept.

    Raises:
        LakeError: it kept none, or the store refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    key = witnesses_key(table, batch)
    with lake_errors(f"read {lake.uri(key)}", lake):
        body = lake.client().get_object(Bucket=lake.bucket, Key=key)["Body"].read()
    return pq.read_table(pa.BufferReader(body))


def save_profile(lake: Lake, batch: str, profile: RatingsProfile) -> None:
    """Keep the profile of a prepared batch, in place of an earlier one.

    Raises:
        LakeError: the store refuses.
    """
    lake.write_json(profile_key(batch), profile.to_json())


def load_profile(lake: Lake, batch: str) -> RatingsProfile:
    """The profile of a prepared batch.

    Raises:
        LakeError: there is none, or the store refuses.
    """
    return RatingsProfile.from_json(lake.read_json(profile_key(batch)))


def keep_profile(lake: Lake, batch: str, profile: RatingsProfile) -> None:
    """Keep the profile of a batch that was validated: later batches are compared with it.

    Raises:
        LakeError: the store refuses.
    """
    lake.write_json(kept_profile_key(batch), profile.to_json())


def kept_profiles(lake: Lake, batches: list[str]) -> dict[str, RatingsProfile]:
    """The profiles of those batches that have one, in their order.

    Raises:
        LakeError: the store refuses.
    """
    keys = {batch: kept_profile_key(batch) for batch in batches}
    return {batch: RatingsProfile.from_json(lake.read_json(key)) for batch, key in keys.items() if lake.exists(key)}
