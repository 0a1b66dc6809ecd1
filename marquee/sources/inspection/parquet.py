"""A Parquet file's first rows as a table."""

from __future__ import annotations

from typing import BinaryIO

from marquee.errors import SourceError
from marquee.sources.inspection.guesses import Guess
from marquee.sources.inspection.table import Table

MAGIC = b"PAR1"
ROWS = 20_000


def table_of_parquet(stream: BinaryIO, name: str) -> Table:
    """The columns of a Parquet file that hold single values, as texts.

    Args:
        stream: all of the file, seekable.

    Raises:
        SourceError: it can't be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(stream) as file:
            schema = file.schema_arrow
            plain = [field for field in schema if not pa.types.is_nested(field.type)]
            names = [field.name for field in plain]
            batch = next(file.iter_batches(batch_size=ROWS, columns=names), None)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"{name} can't be read as Parquet ({str(error).splitlines()[0]}): get the file again."
        ) from None
    rows = [] if batch is None else batch.to_pylist()
    guess = Guess(
        "ratings.layout", "parquet", "certain", f"it begins as Parquet does; columns {', '.join(names)[:200]}"
    )
    values = [["" if row[each] is None else str(row[each]) for each in names] for row in rows]
    return Table({"layout": "parquet"}, names, values, is_named=True, guesses=[guess])
