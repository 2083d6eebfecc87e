"""Downloads are the pinned files or they are not run: corrupt, cut short, altered, raced for.

The repository is a small HTTP server of the test, so that what it serves can be broken on purpose.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from infra import cache
from infra.errors import BadDownload

JAR = b"a jar, as far as this test is concerned" * 100


@dataclass
class Repository:
    """A Maven repository of two artifacts; ``served`` lists what was asked for."""

    root: Path
    served: list[str] = field(default_factory=list)

    def put(self, coordinate: str, content: bytes) -> None:
        group, name, version, *rest = coordinate.split(":")
        suffix = f"-{rest[0]}.{rest[1]}" if rest else ".jar"
        folder = self.root / group.replace(".", "/") / name / version
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}-{version}{suffix}").write_bytes(content)

    def times(self, filename: str) -> int:
        return sum(path.endswith("/" + filename) for path in self.served)


def archive_of(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Two artifacts, pinned, in a repository of the test's own; and an empty cache."""
    repository = Repository(tmp_path / "repository")
    registry = archive_of(quarkus_run="java", settings_txt="x=1")
    repository.put("org.example:broker:1.0", JAR)
    repository.put("org.example:registry:2.0:all:tar.gz", registry)
    pins = tmp_path / "artifacts.txt"
    pins.write_text(
        f"{hashlib.sha256(JAR).hexdigest()}  kafka  org.example:broker:1.0\n"
        f"{hashlib.sha256(registry).hexdigest()}  registry  org.example:registry:2.0:all:tar.gz\n"
    )
    monkeypatch.setattr(cache, "PINS", pins)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, form: str, *arguments: object) -> None:
            repository.served.append(self.path)

    handler = functools.partial(Handler, directory=str(repository.root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TWOFOLD_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("TWOFOLD_CACHE", str(tmp_path / "cache"))
    yield repository
    server.shutdown()
    server.server_close()


def test_every_download_is_pinned_by_a_sha256() -> None:
    """Each line of the table has a whole digest, a known part and a coordinate with a version; one registry."""
    lines = [line for line in cache.PINS.read_text().splitlines() if not line.startswith("#")]
    pinned = re.compile(r"[0-9a-f]{64}  (kafka|registry)  [\w.-]+:[\w.-]+:\d[\w.-]*(:all:tar\.gz)?")
    assert [line for line in lines if not pinned.fullmatch(line)] == []
    assert len(cache.pinned("kafka")) == 46
    assert [artifact.version for artifact in cache.pinned("registry")] == ["3.3.3"]


def test_what_is_in_the_cache_is_not_fetched_again(repository: Repository) -> None:
    """Given a jar that was fetched once, then the second call asks the repository for nothing."""
    (first,) = cache.kafka_jars()
    assert first.read_bytes() == JAR
    assert cache.kafka_jars() == [first]
    assert repository.times("broker-1.0.jar") == 1


def test_a_jar_that_was_damaged_in_the_cache_is_fetched_again(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    """Given one changed byte in a cached jar, then it is never used: it is said, and the jar is fetched again."""
    (jar,) = cache.kafka_jars()
    jar.write_bytes(b"b" + JAR[1:])
    (again,) = cache.kafka_jars()
    assert again.read_bytes() == JAR
    assert repository.times("broker-1.0.jar") == 2
    assert "does not match its pinned SHA-256" in caplog.text


def test_a_file_that_was_altered_on_its_way_is_refused_and_not_kept(repository: Repository) -> None:
    """Given a repository that serves other bytes, then they are refused; it works once it serves the right ones."""
    repository.put("org.example:broker:1.0", b"something else")
    with pytest.raises(BadDownload, match=r"broker-1\.0\.jar was fetched with SHA-256 .* is pinned"):
        cache.kafka_jars()
    assert not list(cache.cache_root().rglob("*.jar"))
    repository.put("org.example:broker:1.0", JAR)
    assert cache.kafka_jars()[0].read_bytes() == JAR


def test_a_missing_download_says_what_was_tried_and_where_to_put_it(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given no repository at the address, then the message names the artifact, the way out, and the file's place."""
    monkeypatch.setenv("TWOFOLD_MAVEN_REPOSITORY", "http://127.0.0.1:1")
    with pytest.raises(BadDownload, match=r"org\.example:broker:1\.0 .*Check the network.*broker-1\.0\.jar yourself"):
        cache.kafka_jars()


def test_an_unpacked_registry_that_lost_a_file_is_fetched_again(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    """Given a file of the unpacked registry cut short, then the whole of it is fetched and unpacked again."""
    home = cache.registry_home()
    (home / "settings.txt").write_text("")
    assert cache.registry_home() == home
    assert (home / "settings.txt").read_text() == "x=1"
    assert repository.times("registry-2.0-all.tar.gz") == 2
    assert "is damaged" in caplog.text


def test_two_stacks_that_start_at_once_fetch_one_download(repository: Repository) -> None:
    """Given two processes with an empty cache, then both get the jar and the repository serves it once."""
    code = (
        f"from pathlib import Path; from infra import cache; cache.PINS = Path({str(cache.PINS)!r}); cache.kafka_jars()"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert repository.times("broker-1.0.jar") == 1


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TWOFOLD_CACHE wins over XDG_CACHE_HOME, which wins over the home directory."""
    monkeypatch.setenv("TWOFOLD_CACHE", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache.cache_root() == tmp_path / "a"
    monkeypatch.delenv("TWOFOLD_CACHE")
    assert cache.cache_root() == tmp_path / "b" / "twofold"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    assert cache.cache_root() == tmp_path / "c" / ".cache" / "twofold"
