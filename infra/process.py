"""One child process: started with a log file, known by pid and start time, stopped, killed, paused by pid.

A pid alone is reused by the system; with the time it was started it names one process for ever. Both are
written to the run directory, so that the next stack can end what a killed one left behind, and nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LAUNCHER = str(Path(__file__).with_name("launch.py"))
SAME_START_SECONDS = 2.0


@dataclass(frozen=True)
class Command:
    """What to run: program and arguments, extra environment, and how it likes to be stopped.

    ``stop_signal`` asks for a clean end; ``death_signal`` is what the kernel sends when the parent dies; ``user``
    is a numeric user id to run as, or None for the present one.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL
    user: int | None = None


class Process:
    """A named child, at most one at a time; its identity is kept in ``run_dir/NAME.json`` while it lives."""

    def __init__(self, name: str, run_dir: Path, log_file: Path) -> None:
        self.name = name
        self.log_file = log_file
        self._identity = run_dir / f"{name}.json"
        self._child: subprocess.Popen[bytes] | None = None
        self._stop_signal: int = signal.SIGTERM
        self._asked = False

    def start(self, command: Command) -> None:
        """Start the command; what it prints is appended to the log file."""
        assert not self.alive, f"{self.name} is already running"
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        user = "-" if command.user is None else str(command.user)
        launcher = [
            sys.executable,
            "-I",
            "-S",
            LAUNCHER,
            str(os.getpid()),
            str(int(command.death_signal)),
            user,
            "--",
        ]
        with self.log_file.open("ab") as output:
            self._child = subprocess.Popen(
                [*launcher, *command.argv],
                env={**os.environ, **command.env},
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches the supervisor alone, which stops all in order.
                process_group=0,
            )
        self._stop_signal = command.stop_signal
        self._asked = False
        write_identity(self._identity, self._child.pid)

    @property
    def pid(self) -> int | None:
        """The pid while it runs (also when it is paused), else None."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    @property
    def alive(self) -> bool:
        return self.pid is not None

    @property
    def exit_code(self) -> int | None:
        """How the last one ended (negative: by that signal); None if it runs or never ran."""
        return None if self._child is None else self._child.poll()

    def stop(self, timeout: float = 20.0) -> None:
        """Ask it to end, wait up to ``timeout`` seconds, then kill it and its children; nothing if it has ended."""
        self.ask_to_stop()
        if self._child is not None:
            try:
                self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        self._identity.unlink(missing_ok=True)

    def ask_to_stop(self) -> None:
        """Send the stop signal and do not wait; once, since a second one makes some programs leave in a hurry."""
        if self._child is None or self._child.poll() is not None or self._asked:
            return
        self._asked = True
        self.resume()
        self._child.send_signal(self._stop_signal)

    def kill(self) -> None:
        """``kill -9`` of the process and its children; returns when they are gone."""
        if self._child is None:
            return
        tree = self._tree()
        for member in tree:
            _signal(member, signal.SIGKILL)
        self._child.wait()
        psutil.wait_procs(tree, timeout=10)
        self._identity.unlink(missing_ok=True)

    def pause(self) -> None:
        """SIGSTOP to the process and its children: they keep their connections and answer nothing."""
        for member in self._tree():
            _signal(member, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to the process and its children."""
        for member in self._tree():
            _signal(member, signal.SIGCONT)

    def log_tail(self, lines: int = 15) -> str:
        """The end of its log, for messages."""
        try:
            with self.log_file.open("rb") as file:
                file.seek(max(0, self.log_file.stat().st_size - 8192))
                return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"

    def _tree(self) -> list[psutil.Process]:
        if self.pid is None:
            return []
        try:
            parent = psutil.Process(self.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def write_identity(path: Path, pid: int) -> None:
    """Write who ``pid`` is (pid and start time), atomically; nothing if it has already ended."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps({"pid": pid, "started": started}))
    scratch.replace(path)


def read_identity(path: Path) -> psutil.Process | None:
    """The living process that ``path`` names; None if it has ended, or the pid now belongs to another."""
    try:
        written = json.loads(path.read_text())
        return living(written["pid"], written["started"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None


def living(pid: int, started: float) -> psutil.Process | None:
    """The process with this pid, if it runs and was started at that time (Unix seconds), else None."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < SAME_START_SECONDS
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def end_leftovers(run_dir: Path) -> list[str]:
    """Kill what an earlier stack left running, by the identities in this run directory; returns the names."""
    ended = []
    for path in sorted(run_dir.glob("*.json")):
        process = read_identity(path)
        if process is not None:
            tree = [process, *process.children(recursive=True)]
            for member in tree:
                _signal(member, signal.SIGKILL)
            psutil.wait_procs(tree, timeout=10)
            ended.append(path.stem)
        path.unlink(missing_ok=True)
    return ended
