"""What tests of the stack look at from outside: who runs on a data directory, and waiting for a fact."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from infra import state
from infra.errors import NotRunning

PATIENCE_SECONDS = 240.0


def running_on(data_dir: Path) -> list[int]:
    """Pids of all processes, the present one aside, that name the data directory on their command line or run in it."""
    found = []
    for process in psutil.process_iter():
        try:
            mentions = str(data_dir) in " ".join(process.cmdline()) or process.cwd().startswith(str(data_dir))
        except psutil.Error:
            continue
        if mentions and process.pid != psutil.Process().pid:
            found.append(process.pid)
    return found


def eventually(fact: Callable[[], object], what: str) -> Any:
    """Wait until ``fact`` is true and return it; fails with ``what`` after a generous while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := fact()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)
    return found


def twofold(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a ``twofold`` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "twofold", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def member(data_dir: Path, name: str) -> dict[str, Any]:
    """What ``status`` knows of one process; empty while it knows nothing. Cheap, so that tests can ask often."""
    try:
        members = state.read(data_dir).members
    except NotRunning:
        return {}
    return next((asdict(each) for each in members if each.name == name), {})
