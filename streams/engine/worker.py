"""The engine's thread: group events, restores and batches, one after another, until stopped, halted or fenced.

assigned ──► restoring ──► admitted ──► batches ──► revoked
                 └─► halted (the partition stays away; all others go on)
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from streams.engine.batch import Batch
from streams.engine.cluster import Cluster
from streams.engine.config import EngineConfig
from streams.engine.errors import EXIT_FENCED, EXIT_HALTED, Fenced, Halted
from streams.engine.guard import DeadlineGuard
from streams.engine.metrics import Metrics
from streams.engine.ports import Probe, no_probe
from streams.engine.processor import Partition, Processor
from streams.engine.restore import Restorer
from streams.engine.source import Assigned, KafkaSource
from streams.engine.store.rack import Rack
from streams.engine.sweep import Sweeper
from streams.engine.topology import Topology
from streams.engine.transaction import KafkaOutbox

log = logging.getLogger("twofold.engine")

RESTORE_WAIT_SECONDS = 0.05
SWEEP_ROWS = 100
SWEEP_IDLE_SECONDS = 0.5
SWEEP_BUSY_SECONDS = 2.0


def now_ms() -> int:
    """This worker's clock. It delays and dates stores; it never decides."""
    return time.time_ns() // 1_000_000


class EngineWorker:
    """Everything of one worker but the event loop. :meth:`run` blocks; :meth:`stop` may come from any thread."""

    def __init__(
        self,
        topology: Topology,
        config: EngineConfig,
        handle: Callable[[Batch], None] | None = None,
        probe: Probe = no_probe,
        metrics: Metrics | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """``on_ready`` is called once, in this thread, when the first assignment (which may be empty) is restored."""
        self.topology = topology
        self.config = config
        self.metrics = metrics or Metrics()
        self._handle = handle or topology.handle
        self._probe = probe
        self._on_ready = on_ready
        self._stopping = threading.Event()
        self._halted: dict[int, Halted] = {}
        self._assigned = False
        self._sweepers: dict[int, Sweeper] = {}
        self._swept_at = 0.0
        self.processor: Processor | None = None

    def stop(self) -> None:
        """Ask :meth:`run` to end after the batch in hand."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stopping.is_set()

    def run(self) -> int:
        """Work until stopped. Returns the process's exit code: 0, 3 (halted) or 4 (fenced)."""
        try:
            self._run()
        except Halted as halted:
            log.critical("HALTED: %s", halted)
            self.metrics.state = "halted"
            return EXIT_HALTED
        except Fenced as fenced:
            log.critical("FENCED, this worker ends and writes nothing more: %s", fenced)
            self.metrics.state = "fenced"
            return EXIT_FENCED
        self.metrics.state = "stopped"
        return 0

    def _run(self) -> None:
        cluster = Cluster(self.config)
        identity = cluster.identity(self.topology.topics)
        guard = DeadlineGuard(self.config.deadline_seconds)
        source = KafkaSource(self.config, self.topology, identity.partitions)
        outbox = KafkaOutbox(self.config, self.topology, lambda: source.membership, guard, self._probe)
        rack = Rack(self.config.store_dir if self.config.store == "disk" else None)
        processor = Processor(self.topology, source, outbox, now_ms, self._handle, self._probe, self.metrics)
        restorer = Restorer(self.config, self.topology, cluster, identity, rack, source.committed, now_ms, self._probe)
        self.processor = processor
        try:
            outbox.start()
            source.subscribe()
            self.metrics.state = "running"
            while not self._stopping.is_set():
                self._turn(source, processor, restorer)
        finally:
            # Leaving the group first lets others take over at once.
            source.close()
            restorer.close()
            outbox.close()
            rack.close()
            guard.stop()

    def _turn(self, source: KafkaSource, processor: Processor, restorer: Restorer) -> None:
        busy = processor.step()
        self._sweep(SWEEP_BUSY_SECONDS if busy else SWEEP_IDLE_SECONDS)
        for event in source.take_events():
            if isinstance(event, Assigned):
                self._assigned = True
                log.info("assigned partitions %s", event.partitions)
                restorer.begin(event.partitions)
            else:
                log.info("partitions taken away: %s", event.partitions)
                restorer.cancel(event.partitions)
                processor.revoke(event.partitions)
                for number in event.partitions:
                    self._halted.pop(number, None)
                    self._sweepers.pop(number, None)
            self._note(processor, restorer)
        if restorer.active:
            ready, halted = restorer.step(0.0 if processor.partitions else RESTORE_WAIT_SECONDS)
            self._take(processor, ready, halted)
            self._note(processor, restorer)
            self._give_up_if_all_halted(processor, restorer)
        if self._on_ready and self._assigned and not restorer.active:
            self._on_ready()
            self._on_ready = None

    def _sweep(self, after_seconds: float) -> None:
        now = time.monotonic()
        if now - self._swept_at >= after_seconds:
            self._swept_at = now
            for sweeper in self._sweepers.values():
                self.metrics.swept += sweeper.sweep(SWEEP_ROWS)

    def _take(self, processor: Processor, ready: list[Partition], halted: dict[int, Halted]) -> None:
        if ready:
            processor.admit(ready)
            self._sweepers.update({partition.number: Sweeper(partition) for partition in ready})
        for number, halt in halted.items():
            self._halted[number] = halt
            log.critical("HALTED partition %d (all others go on): %s", number, halt)

    def _note(self, processor: Processor, restorer: Restorer) -> None:
        self.metrics.partitions = tuple(sorted(processor.partitions))
        self.metrics.restoring = restorer.progress
        self.metrics.halted_partitions = {number: str(halt) for number, halt in self._halted.items()}

    def _give_up_if_all_halted(self, processor: Processor, restorer: Restorer) -> None:
        if self._halted and not processor.partitions and not restorer.active:
            raise next(iter(self._halted.values()))
