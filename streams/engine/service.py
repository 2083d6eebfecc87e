"""The engine inside a Faust app: a service that feeds whole batches to an agent.

    app = EngineApp("ledger", ...)
    engine = EngineService(app, topology, config)

    @app.agent(engine.channel, supervisor_strategy=CrashingSupervisor)
    async def payments(batches):
        async for work in batches:
            work.run()                     # topology.handle(batch), synchronously

Kafka is switched off in Faust: its own topics, tables and offsets are not used for what the engine processes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import faust
from faust.app.base import BootStrategy
from mode import Service
from mode.supervisors import CrashingSupervisor
from mode.types import ServiceT

from streams.engine.batch import Batch
from streams.engine.config import EngineConfig
from streams.engine.errors import Fenced
from streams.engine.metrics import Metrics
from streams.engine.ports import Probe, no_probe
from streams.engine.topology import Topology
from streams.engine.worker import EngineWorker

__all__ = ["CrashingSupervisor", "EngineApp", "EngineBoot", "EngineService", "Work"]

log = logging.getLogger("twofold.engine")

STOP_SECONDS = 30.0


AGENT_GONE_SECONDS = 5.0
"""How long a stopping engine waits for an agent that no longer answers."""


class EngineBoot(BootStrategy):
    """Starts sensors, web, agents and then the engine, and neither Faust's consumer nor its producer.

    Services stop in reverse order: the engine ends its batch while the agent still runs.
    """

    enable_kafka = False

    def server(self) -> Iterable[ServiceT]:
        """The services of a worker."""
        engine = getattr(self.app, "engine", None)
        return [*super().server(), *([engine] if engine is not None else [])]


class EngineApp(faust.App):
    """A Faust app whose worker runs an engine."""

    BootStrategy = EngineBoot
    engine: EngineService | None = None
    """Set by the :class:`EngineService` made for this app."""


class Work:
    """A batch on its way through the agent. :meth:`run` handles it; whatever is raised goes back to the engine."""

    __slots__ = ("_handle", "batch", "done", "error")

    def __init__(self, batch: Batch, handle: Callable[[Batch], None]) -> None:
        self.batch = batch
        self.done = threading.Event()
        self.error: BaseException | None = None
        self._handle = handle

    def run(self) -> None:
        """Handle the batch and tell the engine's thread. Never raises: the engine isolates what went wrong."""
        assert not self.done.is_set(), "a batch was given to two agents"
        try:
            self._handle(self.batch)
        except BaseException as error:
            self.error = error
        self.done.set()


class EngineService(Service):
    """Runs the engine's thread from the app's start to its stop."""

    def __init__(
        self,
        app: EngineApp,
        topology: Topology,
        config: EngineConfig,
        probe: Probe = no_probe,
        on_ready: Callable[[], None] | None = None,
        end: Callable[[int], Any] = os._exit,
    ) -> None:
        self.app = app
        self.topology = topology
        self.metrics = Metrics()
        self.exit_code: int | None = None
        """0, 3 or 4 (see :mod:`streams.engine.errors`) once the engine has ended; None while it runs."""
        self.channel: Any = app.channel(maxsize=1)
        """Subscribe the agent to it: it delivers :class:`Work`."""
        self.worker = EngineWorker(
            topology, config, handle=self._hand_over, probe=probe, metrics=self.metrics, on_ready=on_ready
        )
        self._end = end
        self._thread: threading.Thread | None = None
        super().__init__()
        app.engine = self

    async def on_start(self) -> None:
        """Start the thread."""
        # Without Kafka nothing else resumes Faust's flow control, and a channel's queue would never deliver.
        self.app.flow_control.resume()
        self._event_loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    async def on_stop(self) -> None:
        """Let the batch in hand finish (its agent still runs), leave the group."""
        self.worker.stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)

    def _run(self) -> None:
        try:
            code = self.worker.run()
        except BaseException as error:
            log.critical("the engine ended by an error of its own", exc_info=error)
            code = 1
        self.exit_code = code
        if code != 0:
            # The app has nothing to do without its engine; and after a fence it must do nothing any more.
            logging.shutdown()
            self._end(code)

    def _hand_over(self, batch: Batch) -> None:
        """In the engine's thread: give the batch to the agent and wait until it was handled."""
        work = Work(batch, self.topology.handle)
        asyncio.run_coroutine_threadsafe(self._deliver(work), self._event_loop)
        while not work.done.wait(AGENT_GONE_SECONDS):
            if self.worker.stopping:
                raise Fenced("the agent ended before it had handled a batch; nothing of it was written")
        if work.error is not None:
            raise work.error

    async def _deliver(self, work: Work) -> None:
        while not self.channel.subscriber_count:
            # The agent's task has been started, but has not come to its `async for` yet.
            await asyncio.sleep(0.01)
        await self.channel.put(work)
