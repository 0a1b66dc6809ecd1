"""The archive of Spark's classes: left by the first job, used by the others, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from marquee.class_archive import class_archive
from marquee.java import Java

JAVA = Java(Path("/java/17"), 17, "")


def test_the_first_job_leaves_it_and_the_others_use_it(tmp_path: Path) -> None:
    first = class_archive(JAVA, tmp_path / "classes", {})
    assert first is not None and first.left is not None
    assert first.options.startswith(f"-XX:ArchiveClassesAtExit={first.left} ")
    first.keep()  # nothing was left: nothing is kept
    assert not first.path.exists()
    first.left.write_bytes(b"classes")
    first.keep()
    assert [path.name for path in (tmp_path / "classes").iterdir()] == [first.path.name]
    second = class_archive(JAVA, tmp_path / "classes", {})
    assert second is not None and second.left is None
    assert second.options.startswith(f"-XX:SharedArchiveFile={first.path} ")


def test_each_java_has_its_own(tmp_path: Path) -> None:
    others = (JAVA, Java(Path("/java/17b"), 17, ""), Java(Path("/java/21"), 21, ""))
    paths = {archive.path for java in others if (archive := class_archive(java, tmp_path, {}))}
    assert len(paths) == 3


@pytest.mark.parametrize("name", ["SPARK_HOME", "SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR"])
def test_none_where_settings_are_on_the_class_path(tmp_path: Path, name: str) -> None:
    assert class_archive(JAVA, tmp_path, {name: "/etc/somewhere"}) is None
