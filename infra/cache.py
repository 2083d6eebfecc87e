"""The download cache: Kafka's jars and the registry, fetched once, checked against ``artifacts.txt``.

A file gets its final name only after its digest was checked, by a rename, so a reader never sees half a
download. One lock file serialises those who fill the cache; all stacks of a user share it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.errors import BadDownload, disk_full_is_said

log = logging.getLogger("twofold.infra")

PINS = Path(__file__).with_name("artifacts.txt")
PARALLEL_DOWNLOADS = 8


@dataclass(frozen=True)
class Artifact:
    """One pinned file: which part of the stack needs it, its Maven coordinate and its digest."""

    part: str
    group: str
    name: str
    version: str
    classifier: str
    packaging: str
    sha256: str

    @property
    def filename(self) -> str:
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{suffix}.{self.packaging}"


def pinned(part: str) -> list[Artifact]:
    """The artifacts that ``part`` (``kafka`` or ``registry``) needs, in the table's order."""
    lines = (line.split() for line in PINS.read_text().splitlines() if line and not line.startswith("#"))
    return [_artifact(digest, owner, coordinate) for digest, owner, coordinate in lines if owner == part]


def _artifact(digest: str, part: str, coordinate: str) -> Artifact:
    group, name, version, *rest = coordinate.split(":")
    classifier, packaging = rest if rest else ("", "jar")
    return Artifact(part, group, name, version, classifier, packaging, digest)


def cache_root() -> Path:
    """Where downloads are kept: ``TWOFOLD_CACHE``, ``$XDG_CACHE_HOME/twofold`` or ``~/.cache/twofold``."""
    chosen = os.environ.get("TWOFOLD_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).expanduser().resolve() / "twofold"


def kafka_jars() -> list[Path]:
    """Kafka's class path, fetched if it is not there; every jar's digest is checked each time.

    Raises :class:`BadDownload` when a jar cannot be fetched or is not the pinned one, :class:`NoSpace` when
    the disk is full.
    """
    artifacts = pinned("kafka")
    with _locked_cache() as root:
        directory = root / f"kafka-{_fingerprint(artifacts)}"
        directory.mkdir(exist_ok=True)
        wanted = [artifact for artifact in artifacts if not _is_intact(directory / artifact.filename, artifact)]
        if wanted:
            log.info("fetching %d of Kafka's %d jars into %s", len(wanted), len(artifacts), directory)
            with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
                list(pool.map(lambda artifact: _download(artifact, directory / artifact.filename), wanted))
        return [directory / artifact.filename for artifact in artifacts]


def registry_home() -> Path:
    """The unpacked registry, fetched and unpacked again if a file of it is missing or cut short.

    Raises :class:`BadDownload` when it cannot be fetched or is not the pinned one, :class:`NoSpace` when the
    disk is full.
    """
    (archive,) = pinned("registry")
    with _locked_cache() as root:
        home = root / f"registry-{archive.version}-{archive.sha256[:12]}"
        if _unpacked_whole(home):
            return home
        if home.exists():
            log.warning("the unpacked registry in %s is damaged: fetching it again", home)
            shutil.rmtree(home)
        log.info("fetching the schema registry (158 MB) into %s", home)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            packed = Path(scratch) / archive.filename
            _download(archive, packed)
            _unpack(packed, Path(scratch) / "unpacked", home)
        return home


@contextmanager
def _locked_cache() -> Iterator[Path]:
    root = cache_root()
    with disk_full_is_said(root):
        root.mkdir(parents=True, exist_ok=True)
        with (root / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield root


def _fingerprint(artifacts: list[Artifact]) -> str:
    return hashlib.sha256("".join(artifact.sha256 for artifact in artifacts).encode()).hexdigest()[:12]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_intact(path: Path, artifact: Artifact) -> bool:
    if not path.exists():
        return False
    if _sha256(path) == artifact.sha256:
        return True
    log.warning("%s does not match its pinned SHA-256: fetching it again", path)
    return False


def _download(artifact: Artifact, target: Path) -> None:
    from jgo.maven import MavenContext, PythonResolver

    with tempfile.TemporaryDirectory(dir=cache_root()) as scratch:
        mirror = os.environ.get("TWOFOLD_MAVEN_REPOSITORY")
        remotes = {"central": mirror} if mirror else None
        context = MavenContext(
            resolver=PythonResolver(), repo_cache=Path(scratch), remote_repos=remotes, local_repos=[], timeout=60
        )
        component = context.project(artifact.group, artifact.name).at_version(artifact.version)
        try:
            got = Path(component.artifact(classifier=artifact.classifier, packaging=artifact.packaging).resolve())
        except OSError as error:
            if getattr(error, "errno", None) is not None:
                raise
            raise _cannot_fetch(artifact, target, error) from error
        except (RuntimeError, ValueError) as error:
            raise _cannot_fetch(artifact, target, error) from error
        if (digest := _sha256(got)) != artifact.sha256:
            raise BadDownload(
                f"{artifact.filename} was fetched with SHA-256 {digest}, but {artifact.sha256} is pinned: it was "
                f"thrown away. Something between here and the package repository alters files: try another "
                f"network."
            )
        os.replace(got, target)


def _cannot_fetch(artifact: Artifact, target: Path, error: Exception) -> BadDownload:
    return BadDownload(
        f"cannot fetch {artifact.group}:{artifact.name}:{artifact.version} ({error}). Check the network and "
        f"the proxy settings and try again, or put the file at {target} yourself."
    )


def _unpack(packed: Path, scratch: Path, home: Path) -> None:
    with tarfile.open(packed) as archive:
        archive.extractall(scratch, filter="data")
    top = [entry for entry in scratch.iterdir()]
    content = top[0] if len(top) == 1 and top[0].is_dir() else scratch
    sizes = {str(p.relative_to(content)): p.stat().st_size for p in content.rglob("*") if p.is_file()}
    (content / "sizes.json").write_text(json.dumps(sizes))
    os.replace(content, home)


def _unpacked_whole(home: Path) -> bool:
    manifest = home / "sizes.json"
    if not manifest.exists():
        return False
    sizes: dict[str, int] = json.loads(manifest.read_text())
    return all((home / name).exists() and (home / name).stat().st_size == size for name, size in sizes.items())
