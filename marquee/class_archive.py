"""Spark's classes in an archive of the JVM's own kind: a short job then costs half the processor time.

The first job leaves it when it ends (`-XX:ArchiveClassesAtExit`, Java 13 and newer: JEP 350), the others start with
it. An archive is for one Java and one Spark, which its name tells; one that does not fit is passed over by the JVM.
Nothing depends on it: a job that finds none, or can't leave one, just starts slower.
"""

from __future__ import annotations

import importlib.metadata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from marquee.java import Java

PART = ".part"
FOLDERS_OF_SETTINGS = ("SPARK_HOME", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR")
#: What the JVM has to say of classes that it leaves out is for nobody.
QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"


@dataclass(frozen=True)
class ClassArchive:
    """The archive of one Java and Spark, at `path`; `options` of the JVM use it, or leave a new one at `left`."""

    path: Path
    left: Path | None

    @property
    def options(self) -> str:
        used = f"SharedArchiveFile={self.path}" if self.left is None else f"ArchiveClassesAtExit={self.left}"
        return f"-XX:{used} {QUIET}"

    def keep(self) -> None:
        """Put what the job has left in its place, whole or not at all."""
        if self.left is not None and self.left.exists():
            self.left.replace(self.path)


def class_archive(java: Java, folder: Path, environment: Mapping[str, str]) -> ClassArchive | None:
    """The archive in this folder, which is made where there is none.

    None where a folder of settings is on Spark's class path: the JVM takes jars alone into an archive, and ends with an
    error over anything else.
    """
    if any(environment.get(name) for name in FOLDERS_OF_SETTINGS):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    spark = importlib.metadata.version("pyspark")
    which = sha256(str(java.home).encode()).hexdigest()[:8]
    path = folder / f"spark-{spark}-java-{java.version}-{which}.jsa"
    return ClassArchive(path, None if path.exists() else path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PART}"))
