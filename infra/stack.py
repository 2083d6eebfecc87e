"""The services of the local stack, together: started on free ports in one data directory, stopped by pid.

with Services(Path("/tmp/stack"), only={"kafka", "postgres"}) as services:
    services.bootstrap_servers, services.postgres_dsn
    services.kill("postgres")
    services.start("postgres")
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType

from infra import ports
from infra.errors import NoSpace, NotReady, StackError, disk_full_is_said
from infra.kafka import Kafka
from infra.lock import DataDirLock
from infra.postgres import Postgres
from infra.process import Process, end_leftovers
from infra.registry import Registry
from infra.service import Service

log = logging.getLogger("twofold.infra")

KINDS: tuple[type[Service], ...] = (Kafka, Registry, Postgres)
NAMES = tuple(kind.name for kind in KINDS)
POLL_SECONDS = 0.05
LEAST_FREE_BYTES = 512 * 1024 * 1024
"""Kafka and Postgres preallocate files, and fail in obscure ways when they cannot."""


class Services:
    """Kafka, the schema registry and Postgres on loopback, all data under ``data_dir``.

    ``only`` names the services wanted (default: all three). ``given_ports`` fixes ports by name; the others are
    chosen free once and kept in ``data_dir/ports.json``. ``short_lived`` favours a quick
    start over speed under long load. Start it from the main thread: on Linux the children
    end with the thread that started them.

    Raises :class:`infra.errors.StackError` and its kinds, each with a message that says what to do.
    """

    def __init__(
        self,
        data_dir: Path | str,
        only: Collection[str] = NAMES,
        given_ports: Mapping[str, int] | None = None,
        short_lived: bool = False,
        least_free_bytes: int = LEAST_FREE_BYTES,
    ) -> None:
        unknown = set(only) - set(NAMES)
        if unknown:
            raise StackError(f"unknown service {', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
        self.data_dir = Path(data_dir).resolve()
        self.run_dir = self.data_dir / "run"
        self.logs_dir = self.data_dir / "logs"
        self._wanted = [kind for kind in KINDS if kind.name in only]
        self._given_ports = dict(given_ports or {})
        self._short_lived = short_lived
        self._least_free_bytes = least_free_bytes
        self._lock = DataDirLock(self.data_dir)
        self._services: dict[str, Service] = {}
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Services:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Start all wanted services and wait until each answers. A failure stops what was started, then raises."""
        with disk_full_is_said(self.data_dir):
            self._lock.acquire()
            try:
                self._require_space()
                for left in end_leftovers(self.run_dir):
                    log.warning("ended %s, left behind by a stack that was killed", left)
                self._set_up()
                for name in self._services:
                    self.launch(name)
                for name in self._services:
                    self.wait_ready(name)
            except BaseException:
                self.down()
                raise

    def _require_space(self) -> None:
        free = shutil.disk_usage(self.data_dir).free
        if free < self._least_free_bytes:
            raise NoSpace(
                f"only {free >> 20} MiB are free under {self.data_dir}, and the stack needs "
                f"{self._least_free_bytes >> 20} MiB: free some, or choose another directory with --data"
            )

    def _set_up(self) -> None:
        names = [port for kind in self._wanted for port in kind.port_names]
        chosen = ports.choose(names, self.data_dir / "ports.json", self._given_ports)
        for kind in self._wanted:
            self._services[kind.name] = kind(self.data_dir / kind.name, chosen, self._short_lived)
            self._processes[kind.name] = Process(kind.name, self.run_dir, self.logs_dir / f"{kind.name}.log")

    def down(self) -> None:
        """Stop all in reverse order and let go of the data directory; safe to call twice."""
        for process in reversed(self._processes.values()):
            process.stop()
        self._processes.clear()
        self._services.clear()
        self._lock.release()

    @property
    def names(self) -> list[str]:
        """The services of this stack, in the order of their start."""
        return list(self._services)

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's ``bootstrap.servers``."""
        return self._services["kafka"].address()

    @property
    def registry_url(self) -> str:
        """Base URL of the registry's Confluent-compatible API."""
        return self._services["registry"].address()

    @property
    def postgres_dsn(self) -> str:
        """DSN of the database ``twofold`` as superuser."""
        return self._services["postgres"].address()

    def pid(self, name: str) -> int | None:
        """The service's pid, None when it does not run."""
        return self._processes[name].pid

    def process(self, name: str) -> Process:
        """The service's process, to be watched."""
        return self._processes[name]

    def address(self, name: str) -> str:
        """What the service's clients are told: servers, a URL or a DSN."""
        return self._services[name].address()

    def launch(self, name: str) -> None:
        """Start one service without waiting for it."""
        service = self._services[name]
        service.prepare()
        for port_name in service.port_names:
            ports.require_free(service.ports[port_name], port_name, self.data_dir / "ports.json")
        self._processes[name].start(service.command())

    def ready(self, name: str) -> bool:
        """Whether the service answers a real request now."""
        return self._processes[name].alive and self._services[name].ready()

    def wait_ready(self, name: str) -> None:
        """Wait until the service answers; raises :class:`NotReady`, with the end of its log, if it does not."""
        service, process = self._services[name], self._processes[name]
        began = time.monotonic()
        while not service.ready():
            if not process.alive:
                raise NotReady(f"{name} ended while it started (exit code {process.exit_code}). {_end_of(process)}")
            if time.monotonic() - began > service.ready_within:
                raise NotReady(f"{name} did not answer within {service.ready_within:.0f} s. {_end_of(process)}")
            time.sleep(POLL_SECONDS)
        log.info("%s is ready at %s (%.1f s)", name, service.address(), time.monotonic() - began)

    def start(self, name: str) -> None:
        """Start one service that does not run and wait until it answers."""
        self.launch(name)
        self.wait_ready(name)

    def stop(self, name: str) -> None:
        """Stop one service cleanly; its data stay."""
        self._processes[name].stop()

    def restart(self, name: str) -> None:
        """Stop one service (cleanly, if it runs), start it on the same port and data, wait until it answers."""
        self.stop(name)
        self.start(name)

    def kill(self, name: str) -> None:
        """``kill -9`` of one service and its children; it stays down until :meth:`start`."""
        self._processes[name].kill()

    def pause(self, name: str) -> None:
        """SIGSTOP: the service keeps its connections and answers nothing until :meth:`resume`."""
        self._processes[name].pause()

    def resume(self, name: str) -> None:
        """SIGCONT after :meth:`pause`."""
        self._processes[name].resume()


def _end_of(process: Process) -> str:
    return f"The end of {process.log_file}:\n{process.log_tail()}"
