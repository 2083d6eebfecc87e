"""The payments worker as a Faust app: ``faust -A streams.app worker -l info`` or ``twofold worker``.

Faust gives the agent, the timer for Ticks, web views, sensors, commands and the life of services. What it does not do
is Kafka: batches come from the engine (:mod:`streams.engine.service`), which the app starts last and stops first.
Nothing here connects to anything before a worker starts, so that ``faust -A streams.app agents`` works anywhere.
"""

from __future__ import annotations

import gc
import logging
import socket
import sys
from collections.abc import Iterable
from typing import Any

import faust
from faust.channels import Channel
from mode.types import ServiceT

from schemas.errors import NotRegistered, RegistryAway
from streams import admin
from streams.agents.codec import LedgerCodec
from streams.agents.payments import Payments
from streams.agents.presence import Presence
from streams.agents.sensors import EngineSensor
from streams.agents.ticks import INTERVAL_S, Ticks
from streams.agents.views import add_views
from streams.engine.config import EngineConfig
from streams.engine.service import CrashingSupervisor, EngineApp, EngineBoot, EngineService, Work
from streams.settings import Settings
from streams.topics import INTENTS

logger = logging.getLogger("twofold.worker")

INTERRUPTED = 130
GC_THRESHOLDS = (100_000, 50, 100)
"""Rows and records hold no cycles: the default thresholds would look for some at the cost of half the throughput."""


class WorkerBoot(EngineBoot):
    """Connects the ledger when a worker starts, and not when the app is only looked at."""

    def server(self) -> Iterable[ServiceT]:
        """Faust's services, then the engine."""
        ledger.connect()
        return super().server()


class WorkerApp(EngineApp):
    """The app of one worker."""

    BootStrategy = WorkerBoot


class Batches(Channel[Work]):
    """The engine's batches on their way to the agent: in memory, but it names the topic that they are read from."""

    def get_topic_name(self) -> str:
        """For ``faust agents``."""
        return ledger.settings.topic(INTENTS.name)


class LedgerWorker:
    """What this process runs, once it is connected: the payments agent, its engine, Ticks, presence."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sensor = EngineSensor()
        self.payments: Payments | None = None
        self.presence: Presence | None = None
        self.ticks: Ticks | None = None
        self.engine: EngineService | None = None
        self._ready = False
        self._closing = False
        self._announced: tuple[int, ...] | None = None

    def connect(self) -> None:
        """Check topics and schemas, and make the engine. Raises TopicsError, NotRegistered or RegistryAway."""
        if self.engine is not None:
            return
        settings = self.settings
        app.conf.datadir.mkdir(parents=True, exist_ok=True)
        admin.check(settings)
        codec = LedgerCodec.connect(settings.registry_url, settings.topic_prefix)
        payments = self.payments = Payments(settings, codec)
        ticks = Ticks(settings.bootstrap_servers, settings.topic(INTENTS.name), payments.earliest_deadline)
        payments.on_tick, payments.on_owned, payments.on_gone = ticks.seen, ticks.assigned, ticks.revoked
        self.ticks = ticks
        self.presence = Presence(
            settings.data_dir, settings.slot, app.conf.web_port, settings.group, settings.topic_prefix
        )
        self.engine = EngineService(app, payments.topology(), _engine_config(settings), on_ready=self._on_ready)
        self.engine.channel = batches
        self.sensor.metrics = self.engine.metrics
        app.sensors.add(self.sensor)

    def _on_ready(self) -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._ready = True

    def look(self) -> None:
        """A few times a second: write what Ticks are due, and say which partitions are here."""
        if self.engine is None or self.presence is None or self.ticks is None or self._closing:
            return
        self.ticks.write()
        partitions = self.engine.metrics.partitions
        if self._ready and self._announced != partitions:
            if self._announced is None:
                logger.info("ready")
            self._announced = partitions
            self.presence.announce(partitions)

    def close(self) -> None:
        """The worker is about to stop: it answers no more, and writes no more Ticks."""
        self._closing = True
        if self.presence is not None:
            self.presence.withdraw()
        if self.ticks is not None:
            self.ticks.close()


def _engine_config(settings: Settings) -> EngineConfig:
    return EngineConfig(
        bootstrap_servers=settings.bootstrap_servers,
        partitions=settings.partitions,
        slot=settings.slot,
        store=settings.store,
        store_dir=settings.data_dir / "stores" / str(settings.slot),
        batch_ms=settings.batch_ms,
        batch_records=settings.batch_records,
    )


def _port(settings: Settings) -> int:
    """The views' port, or a free one: Faust wants to know it before it binds."""
    if settings.web_port:
        return settings.web_port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _make_app(settings: Settings) -> WorkerApp:
    datadir = (settings.data_dir / "faust" / str(settings.slot)).absolute()
    return WorkerApp(
        "twofold-worker",
        broker="kafka://" + settings.bootstrap_servers.replace(",", ";kafka://"),
        datadir=str(datadir),
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        web_port=_port(settings),
        # Tables, routes and internals are not served; our own views say what may be seen.
        web_tables_enabled=False,
        web_router_enabled=False,
        web_stats_enabled=False,
        web_graph_enabled=False,
        worker_redirect_stdouts=False,
    )


app = _make_app(Settings.from_env())
ledger = LedgerWorker(Settings.from_env())
batches = Batches(app, maxsize=1)
add_views(app, ledger)


@app.agent(batches, name="payments", supervisor_strategy=CrashingSupervisor)
async def payments(works: faust.StreamT[Work]) -> None:
    """Decide payment intents and legs, a whole batch at a time; what raises goes back to the engine."""
    async for work in works:
        work.run()


@app.timer(INTERVAL_S, name="ticks", traced=False)  # type: ignore[untyped-decorator]
async def ticks() -> None:
    """Write the Ticks that are due, and keep this worker's presence up to date."""
    ledger.look()


@app.on_before_shutdown.connect
async def leave(sender: Any, /, *more: Any, signal: Any, **given: Any) -> None:
    """Say that this worker is here no more."""
    ledger.close()


def run_worker() -> int:
    """Run one worker until a signal stops it; returns the exit code. Halts and fences end the process themselves."""
    try:
        ledger.connect()
    except (admin.TopicsError, NotRegistered, RegistryAway) as error:
        print(f"the worker cannot start: {error}", file=sys.stderr)
        return 1
    # One line for each schema that is fetched says nothing to who reads a worker's log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    worker = _Worker(app, loglevel="INFO", quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        if end.code not in (0, None):
            return end.code if isinstance(end.code, int) else 1
    return INTERRUPTED if worker.interrupted else 0


class _Worker(faust.Worker):
    """Faust's worker, which also remembers whether Ctrl-C stopped it."""

    interrupted = False

    def _on_sigint(self) -> None:
        self.interrupted = True
        super()._on_sigint()
