"""The local stack with all agents, started and stopped by the ``twofold`` command as anyone would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console

from streams.settings import Settings

HALTED = 3


class DemoFailed(RuntimeError):
    """The demo cannot go on; the message says why."""


class Stack:
    """``twofold up`` on entry, ``twofold down`` on exit, whatever happens between."""

    def __init__(self, data_dir: Path, workers: int, console: Console) -> None:
        self._data = data_dir
        self._workers = workers
        self._console = console
        self.settings = Settings()

    def __enter__(self) -> Stack:
        with self._console.status("starting Kafka, the schema registry, Postgres and the ledger's agents"):
            done = self._twofold("up", "--detach", "--workers", str(self._workers), timeout=240)
        if done.returncode:
            self._stop()
            raise DemoFailed(f"the stack did not start:\n{done.stderr.strip() or done.stdout.strip()}")
        told = json.loads(self._twofold("env", "--json").stdout)
        self.settings = Settings.from_env({**os.environ, **told})
        names = ", ".join(member["name"] for member in self._members())
        self._console.print(f"running: {names} (data and logs in {self._data})", highlight=False, soft_wrap=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._console.status("stopping everything that was started"):
            self._stop()

    def halted(self) -> str | None:
        """What a process says that will not go on without an operator; None while all do."""
        for member in self._members():
            if member["last_exit"] == HALTED:
                return f"{member['name']} has halted: {member['last_reason']}"
        return None

    def _members(self) -> list[dict[str, Any]]:
        told: dict[str, list[dict[str, Any]]] = json.loads(
            self._twofold("status", "--json").stdout or '{"members": []}'
        )
        return told["members"]

    def _stop(self) -> None:
        self._twofold("down", timeout=120)

    def _twofold(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "twofold", *arguments, "--data", str(self._data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
