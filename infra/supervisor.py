"""Keeps the services and the ledger's agents running: starts in order, restarts what dies, stops in reverse order.

    starting ──► up ──► stopping ──► (gone)
       │                   ▲
       └── a failure, or a signal ┘

A member that dies is started again at once; one that keeps dying waits longer each time (:mod:`infra.backoff`).
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from infra import state
from infra.backoff import Backoff
from infra.errors import StackError
from infra.process import Command, Process
from infra.stack import Services
from infra.state import MemberState, StackState

log = logging.getLogger("twofold.infra")

HALTED = 3
"""Exit code of an agent that an operator has to help; it says how in its log."""

LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Agent:
    """A process of the product: what to run, and the variables that it alone has."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)


class Stop(BaseException):
    """Asked to end by a signal while starting; a BaseException, so that nothing on the way takes it for an error."""


@dataclass
class Member:
    """A watched process and what became of it so far; ``due`` is when a dead one is started again (monotonic)."""

    name: str
    process: Process
    service: bool
    command: Command | None = None
    backoff: Backoff = field(default_factory=Backoff)
    began: float = 0.0
    since: float = 0.0
    due: float | None = None
    restarts: int = 0
    last_exit: int | None = None
    last_reason: str | None = None


class Supervisor:
    """Runs ``services``, the ``setup`` steps once, then ``agents``, until SIGTERM or SIGINT.

    ``setup`` are named command lines that must succeed before the agents start. All get ``environment``, which is
    asked for when the services have their addresses.
    """

    def __init__(
        self,
        services: Services,
        setup: Mapping[str, Sequence[str]] | None = None,
        agents: Sequence[Agent] = (),
        environment: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._services = services
        self._setup = dict(setup or {})
        self._agents = agents
        self._ask_environment = environment
        self._environment: dict[str, str] = {}
        self._members: list[Member] = []
        self._phase = "starting"
        self._signal: int | None = None
        self._wake, self._wakened = socket.socketpair()
        self._started = psutil.Process().create_time()

    def run(self) -> int:
        """Start everything, watch it until a signal comes, stop everything; returns that signal's number.

        Raises :class:`StackError` when something cannot be started; what was started is stopped first.
        """
        self._listen_to_signals()
        try:
            # Alone here: a stack that was refused must not stop, nor speak for, the one that has the directory.
            self._services.up()
            try:
                self._start_the_rest()
                while self._signal is None:
                    self.watch_once()
                    self._sleep()
            finally:
                self._phase = "stopping"
                self._stop()
        except Stop:
            log.info("stopped before everything was up")
        assert self._signal is not None
        return self._signal

    def _start_the_rest(self) -> None:
        self._environment = dict(self._ask_environment())
        self._members = [
            Member(name, self._services.process(name), True, began=time.monotonic(), since=time.time())
            for name in self._services.names
        ]
        self._publish()
        self._run_setup()
        for agent in self._agents:
            log_file = self._services.logs_dir / f"{agent.name}.log"
            process = Process(agent.name, self._services.run_dir, log_file)
            member = Member(agent.name, process, False, Command(agent.argv, {**self._environment, **agent.env}))
            self._members.append(member)
            self._launch(member)
        self._phase = "up"
        self._publish()

    def watch_once(self) -> None:
        """Note who has died, start again who is due."""
        changed = False
        now = time.monotonic()
        for member in self._members:
            if member.due is None and not member.process.alive:
                self._note_death(member, now)
                changed = True
            if member.due is not None and now >= member.due:
                member.restarts += 1
                self._launch(member)
                changed = True
        if changed:
            self._publish()

    def _stop(self) -> None:
        """Stop the agents, all at once, then the services in reverse order; nothing is left running."""
        # From here a second Ctrl-C changes nothing: leaving early would leave processes behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self._publish()
        agents = [member.process for member in reversed(self._members) if not member.service]
        log.info("stopping %s", ", ".join([*(agent.name for agent in agents), *reversed(self._services.names)]))
        for agent in agents:
            agent.ask_to_stop()
        for agent in agents:
            agent.stop()
        self._services.down()
        state.clear(self._services.data_dir)

    def _launch(self, member: Member) -> None:
        member.due = None
        member.began, member.since = time.monotonic(), time.time()
        try:
            if member.command is None:
                self._services.launch(member.name)
            else:
                member.process.start(member.command)
                log.info("started %s (pid %s)", member.name, member.process.pid)
        except StackError as error:
            member.last_reason = str(error)
            member.due = time.monotonic() + member.backoff.after(0.0)
            log.error("cannot start %s: %s", member.name, error)

    def _note_death(self, member: Member, now: float) -> None:
        delay = member.backoff.after(now - member.began)
        member.due = now + delay
        member.last_exit = member.process.exit_code
        member.last_reason = self._reason(member)
        when = "now" if delay == 0 else f"in {delay:g} s"
        log.warning("%s ended (%s): starting it again %s", member.name, member.last_reason, when)

    def _reason(self, member: Member) -> str:
        code = member.last_exit
        if code is not None and code < 0:
            return f"signal {signal.Signals(-code).name}"
        last_words = [line.strip() for line in member.process.log_tail(40).splitlines() if line.strip()]
        said = next((line for line in reversed(last_words) if "halted" in line.lower()), None)
        if code == HALTED:
            return f"halted, an operator has to act: {said or (last_words[-1] if last_words else 'see its log')}"
        return f"exit code {code}: {last_words[-1] if last_words else 'nothing in its log'}"

    def _run_setup(self) -> None:
        """The steps are independent of each other and mostly wait: they run side by side."""
        logs = {step: self._services.logs_dir / f"setup-{step}.log" for step in self._setup}
        running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for step, argv in self._setup.items():
                running[step] = self._start_step(argv, logs[step])
            for step, process in running.items():
                if process.wait() != 0:
                    said = logs[step].read_text(errors="replace").strip()
                    raise StackError(f"{step} failed with exit code {process.returncode}:\n{said}")
        finally:
            for process in running.values():
                process.kill()
                process.wait()

    def _start_step(self, argv: Sequence[str], log_file: Path) -> subprocess.Popen[bytes]:
        with log_file.open("wb") as output:
            return subprocess.Popen(
                argv,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _publish(self) -> None:
        members = [self._member_state(member) for member in self._members]
        snapshot = StackState(os.getpid(), self._started, self._phase, self._environment, members)
        state.write(self._services.data_dir, snapshot)

    def _member_state(self, member: Member) -> MemberState:
        return MemberState(
            name=member.name,
            state="running" if member.process.alive else "restarting",
            pid=member.process.pid,
            restarts=member.restarts,
            since=member.since,
            address=self._services.address(member.name) if member.service else None,
            last_exit=member.last_exit,
            last_reason=member.last_reason,
        )

    def _listen_to_signals(self) -> None:
        self._wake.setblocking(False)
        self._wakened.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop_signal)
        # A handler, so that the wake-up socket is written to when a child ends.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self._signal = self._signal or number
        if self._phase == "starting":
            raise Stop

    def _sleep(self) -> None:
        """Until a child ends, a signal comes or a restart may be due."""
        readable, _, _ = select.select([self._wakened], [], [], LOOK_SECONDS)
        if readable:
            self._wakened.recv(4096)
