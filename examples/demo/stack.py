"""The local stack with all agents, started and stopped by the ``twofold`` command as anyone would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from rich.console import Console

from streams.settings import Settings


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
        names = ", ".join(self.states())
        self._console.print(f"running: {names} (data and logs in {self._data})", highlight=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._console.status("stopping everything that was started"):
            self._stop()

    def states(self) -> dict[str, str]:
        """What each process is doing: its state by name."""
        told = json.loads(self._twofold("status", "--json").stdout)
        parts = told if isinstance(told, list) else told.get("processes", told.get("parts", []))
        return {part["name"]: part.get("state", "") for part in parts}

    def halted(self) -> str | None:
        """The name of a process that gave up, if any."""
        return next((name for name, state in self.states().items() if state in ("halted", "failed")), None)

    def _stop(self) -> None:
        self._twofold("down", timeout=120)

    def _twofold(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "twofold", *arguments, "--data", str(self._data)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
