"""``DATA/state.json``: what the supervisor of a data directory runs, for ``twofold status``, ``env`` and ``down``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from infra.errors import NotRunning
from infra.process import living

FILE = "state.json"


@dataclass(frozen=True)
class MemberState:
    """One process under the supervisor. ``state``: ``running`` or ``restarting``; times are Unix seconds."""

    name: str
    state: str
    pid: int | None
    restarts: int
    since: float
    address: str | None = None
    last_exit: int | None = None
    last_reason: str | None = None


@dataclass(frozen=True)
class StackState:
    """The stack. ``phase``: ``starting``, ``up`` or ``stopping``; ``environment`` is what its agents are given."""

    pid: int
    started: float
    phase: str
    environment: Mapping[str, str]
    members: list[MemberState] = field(default_factory=list)


def write(data_dir: Path, state: StackState) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    scratch = data_dir / (FILE + ".tmp")
    scratch.write_text(json.dumps(asdict(state), indent=1))
    scratch.replace(data_dir / FILE)


def clear(data_dir: Path) -> None:
    """Nothing runs any more."""
    (data_dir / FILE).unlink(missing_ok=True)


def read(data_dir: Path) -> StackState:
    """What runs now; raises :class:`NotRunning` when nothing does, or its supervisor was killed."""
    try:
        raw = json.loads((data_dir / FILE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        raw = None
    if raw is None or living(raw["pid"], raw["started"]) is None:
        raise NotRunning(f"no stack runs in {data_dir}: start one with `twofold up --data {data_dir}`")
    members = [MemberState(**member) for member in raw.pop("members")]
    return StackState(**raw, members=members)


def supervisor(data_dir: Path) -> psutil.Process:
    """The living supervisor of the data directory; raises :class:`NotRunning`."""
    state = read(data_dir)
    process = living(state.pid, state.started)
    if process is None:
        raise NotRunning(f"the stack in {data_dir} has just ended")
    return process
