"""What `make` installs is pinned, hashed and free of any host's name; an old Python is told so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"


def requirements() -> list[str]:
    """The lock file's requirements, each with its hashes on one line."""
    text = LOCK.read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_every_requirement_is_an_exact_version_with_hashes() -> None:
    """A line without a version or without a SHA-256 would let another file in."""
    assert len(requirements()) > 50
    pinned = re.compile(r"[a-z0-9._-]+==\S+( ; [^-]+)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+")
    assert [line[:80] for line in requirements() if not pinned.fullmatch(line)] == []


def test_the_lock_names_no_host() -> None:
    """It installs from whatever index the user's pip is set to."""
    assert not re.search(r"://|--(extra-)?index-url|--trusted-host|--find-links", LOCK.read_text())


def test_the_lock_holds_every_direct_dependency() -> None:
    """Given a dependency added to pyproject.toml, then this fails until `make lock` has been run."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[=<>~! ]", each)[0].lower().replace("_", "-") for each in wanted}
    assert names - {line.split("==")[0] for line in requirements()} == set()


def test_an_old_python_is_told_what_is_needed(tmp_path: Path) -> None:
    """Given only a Python that is too old, then make stops with the version that it needs and how to name another."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "touch", "env"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    old = tools / "python3"
    old.write_text('#!/bin/bash\n[ "$1" = --version ] && echo "Python 3.8.18"\nexit 1\n')
    old.chmod(0o755)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run(
        [make, "SHELL=" + str(tools / "bash"), "install"],
        cwd=tmp_path,
        env={"PATH": str(tools), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "needs Python 3.11 or later; found: Python 3.8.18" in done.stderr
    assert "PYTHON=" in done.stderr
