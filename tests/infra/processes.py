"""What tests of the stack look at from outside: who runs on a data directory, and waiting for a fact."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

PATIENCE_SECONDS = 60.0


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
        [sys.executable, "-m", "twofold", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def member(data_dir: Path, name: str) -> dict[str, Any]:
    """What ``twofold status --json`` says about one process; empty while it says nothing."""
    said = twofold("status", "--data", str(data_dir), "--json")
    if said.returncode != 0:
        return {}
    members: list[dict[str, Any]] = json.loads(said.stdout)["members"]
    return next((each for each in members if each["name"] == name), {})
