"""Spark reads and writes the lake through this one file: no job knows a path, a key or a bucket.

    read_table(spark, "ratings", version=7)                   a pinned Delta version, read by the executors
    prepare_table(frame, "ratings", batch="3f2a...")          Parquet parts by the executors, one listing by the driver

PySpark's wheel has no S3 client, and the AWS bundle weighs hundreds of megabytes: pyarrow reads and writes the files in
Python workers, as a Python Data Source (Spark 4). The credentials come from the environment (`Lake.from_environment`),
never through options, which Spark shows in its plans.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.datasource import (
    DataSource,
    DataSourceArrowWriter,
    DataSourceReader,
    InputPartition,
    WriterCommitMessage,
)

from expectations.contracts import TABLES
from expectations.schema import arrow_schema, spark_ddl
from marquee.lake import tables
from marquee.lake.objects import Lake, lake_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FORMAT = "marquee_lake"
ROWS_OF_A_GROUP = 262_144


def read_table(spark: SparkSession, table: str, version: int, columns: list[str] | None = None) -> DataFrame:
    """The rows of a pinned version of a table, with the columns named (default: all of its contract)."""
    reader = spark.read.format(FORMAT).option("table", table).option("version", str(version))
    return reader.option("columns", ",".join(columns or TABLES[table].column_names)).load()


def prepare_table(frame: DataFrame, table: str, batch: str) -> tables.Prepared:
    """Write the frame as parts of a batch, and list them; `marquee.lake.tables.commit` makes them part of the table.

    A run that dies leaves no listing, or the earlier one; parts that no listing names are read by nobody.
    """
    ordered = frame.select(*TABLES[table].column_names)
    ordered.write.format(FORMAT).option("table", table).option("batch", batch).mode("append").save()
    return tables.load_prepared(Lake.from_environment(), table, batch)


class LakeSource(DataSource):
    """The Data Source behind `read_table` and `prepare_table`."""

    @classmethod
    def name(cls) -> str:
        return FORMAT

    def schema(self) -> str:
        columns = self.options.get("columns")
        return spark_ddl(TABLES[self.options["table"]], columns.split(",") if columns else None)

    def reader(self, schema: Any) -> PinnedReader:
        return PinnedReader(self.options["table"], int(self.options["version"]), schema.names)

    def writer(self, schema: Any, overwrite: bool) -> PartsWriter:
        return PartsWriter(self.options["table"], self.options["batch"])


@dataclass
class PartPartition(InputPartition):
    """One file of the pinned version, for one task; `path` is relative to the table's folder."""

    path: str


class PinnedReader(DataSourceReader):
    """Lists the files of a Delta version on the driver, reads each in an executor."""

    def __init__(self, table: str, version: int, columns: list[str]) -> None:
        self.table, self.version, self.columns = table, version, columns

    def partitions(self) -> list[InputPartition]:
        delta = tables.open_table(Lake.from_environment(), self.table, self.version)
        return [PartPartition(path) for path in tables.parts_of(delta)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        if not isinstance(partition, PartPartition):  # Spark asks once with an empty one where there are no files
            return
        lake = Lake.from_environment()
        schema = arrow_schema(TABLES[self.table])
        wanted = pa.schema([schema.field(name) for name in self.columns])
        path = f"{lake.bucket}/{tables.folder(self.table)}/{partition.path}"
        with (
            lake_errors(f"read {partition.path} of table {self.table} at version {self.version}"),
            pq.ParquetFile(path, filesystem=lake.filesystem()) as file,
        ):
            for batch in file.iter_batches(batch_size=ROWS_OF_A_GROUP, columns=self.columns):
                yield batch.select(self.columns).cast(wanted)


@dataclass
class Written(WriterCommitMessage):
    """What a task wrote: one part, or none where it had no rows."""

    part: tables.Part | None


class PartsWriter(DataSourceArrowWriter):
    """Parts by the executors; one listing of them by the driver, when all are there."""

    def __init__(self, table: str, batch: str) -> None:
        self.table, self.batch = table, batch

    def write(self, iterator: Iterator[pa.RecordBatch]) -> Written:
        from pyspark import TaskContext

        context = TaskContext.get()
        if context is None:
            raise RuntimeError("PartsWriter.write runs inside a Spark task only.")
        lake = Lake.from_environment()
        schema = arrow_schema(TABLES[self.table])
        # A new name for each attempt: a task that Spark runs twice never writes over its twin's part.
        name = f"part-{context.partitionId():05d}-{uuid.uuid4().hex[:12]}.parquet"
        path = tables.part_path(self.batch, name)
        full_path = f"{lake.bucket}/{tables.folder(self.table)}/{path}"
        filesystem = lake.filesystem()
        rows = 0
        writer: pq.ParquetWriter | None = None
        with lake_errors(f"write {path} of table {self.table}"):
            try:
                for batch in iterator:
                    if writer is None:
                        writer = pq.ParquetWriter(full_path, schema, filesystem=filesystem, compression="zstd")
                    writer.write_table(pa.Table.from_batches([batch]).cast(schema), row_group_size=ROWS_OF_A_GROUP)
                    rows += batch.num_rows
            finally:
                if writer is not None:
                    writer.close()
            if writer is None:
                return Written(None)
            return Written(tables.Part(path, int(filesystem.get_file_info(full_path).size), rows))

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        parts = tuple(message.part for message in messages if isinstance(message, Written) and message.part)
        tables.save_prepared(Lake.from_environment(), tables.Prepared(self.table, self.batch, parts))

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Nothing to undo: parts that no listing names are read by nobody."""
