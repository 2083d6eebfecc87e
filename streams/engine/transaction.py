"""One batch as one Kafka transaction.

    begin ─► produce… ─► flush ─► send offsets with the group metadata ─► commit ─► (only then) the store
                │           │                 │                              │
                └───────────┴── abort ────────┘                              └ repeated or the worker ends: never undone

``flush`` always comes before the offsets: librdkafka backs off for 100 ms when it has to wait for records there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.engine.config import EngineConfig
from streams.engine.errors import Aborted, Fenced, Halted
from streams.engine.guard import DeadlineGuard
from streams.engine.membership import Membership
from streams.engine.ports import Probe
from streams.engine.record import Output, Queue
from streams.engine.table import Change
from streams.engine.topology import Topology

log = logging.getLogger("twofold.engine")

FENCING_ERRORS = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError._FENCED,
}
"""The group or another producer has moved on without this worker."""


OPERATORS_ERRORS = {
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
}
"""Starting again mends nothing."""


class KafkaOutbox:
    """The transactional producer. One thread calls it."""

    def __init__(
        self,
        config: EngineConfig,
        topology: Topology,
        membership: Callable[[], Membership | None],
        guard: DeadlineGuard,
        probe: Probe,
    ) -> None:
        self._config = config
        self._membership = membership
        self._guard = guard
        self._probe = probe
        self._producer = Producer(_settings(config, topology), logger=log)
        self._ends: dict[Queue, int] = {}
        self._lost: KafkaError | None = None

    def start(self) -> None:
        """Take over the slot's transactional id: ends what a dead predecessor left open. Raises an EngineError."""
        until = time.monotonic() + 3 * self._config.deadline_seconds
        while True:
            try:
                with self._guard("init_transactions"):
                    self._producer.init_transactions(self._config.deadline_seconds / 2)
                return
            except KafkaException as failure:
                error = failure.args[0]
                if error.code() in OPERATORS_ERRORS:
                    raise Halted(
                        f"Kafka refuses this worker's transactions: {error.str()}",
                        "set the broker's transaction.max.timeout.ms to 15000 and allow the transactional id by ACL",
                    ) from failure
                if not error.retriable() or time.monotonic() > until:
                    raise Fenced(f"cannot begin transactions: {error.str()}") from failure
                log.warning("waiting for the transaction coordinator: %s", error.str())

    def commit(
        self, outputs: Sequence[Output], changes: Mapping[int, Sequence[Change]], offsets: Mapping[Queue, int]
    ) -> Mapping[Queue, int]:
        """See :class:`streams.engine.ports.Outbox`."""
        membership = self._membership()
        if membership is None:
            raise Fenced("not a member of the group: nothing may be committed")
        if not offsets:
            raise ValueError("a transaction without offsets would not be fenced")
        self._ends = {}
        self._lost = None
        try:
            self._producer.begin_transaction()
            self._produce(outputs, changes)
            self._flush()
            self._probe("produced")
            with self._guard("send_offsets_to_transaction"):
                places = [TopicPartition(*queue, offset) for queue, offset in offsets.items()]
                self._producer.send_offsets_to_transaction(places, membership.metadata, self._config.deadline_seconds)
            self._probe("offsets_sent")
        except KafkaException as failure:
            self._abort(failure)
        except Exception:
            # Such as an output that is not bytes: the handler's bug. The next batch needs a clean producer.
            self._try_abort()
            raise
        self._commit()
        self._probe("committed")
        return self._ends

    def close(self) -> None:
        """Nothing to wait for: no transaction is open between batches."""
        self._producer.purge()

    def _produce(self, outputs: Sequence[Output], changes: Mapping[int, Sequence[Change]]) -> None:
        """Hand all records to librdkafka: several for each input, so without a call in between."""
        produce = self._producer.produce
        for topic, partition, value, key in outputs:
            try:
                produce(topic, value, key, partition)
            except BufferError:
                self._produce_when_there_is_room(topic, value, key, partition)
        for partition, rows in changes.items():
            # One callback a changelog tells its position: records of a partition are acknowledged in order.
            last = {changelog: i for i, (changelog, _, _) in enumerate(rows)}
            ends = set(last.values())
            for i, (changelog, key, value) in enumerate(rows):
                try:
                    if i in ends:
                        produce(changelog, value, key, partition, self._on_end)
                    else:
                        produce(changelog, value, key, partition)
                except BufferError:
                    self._produce_when_there_is_room(
                        changelog, value, key, partition, self._on_end if i in ends else None
                    )

    def _produce_when_there_is_room(self, *record: Any) -> None:
        """librdkafka's queue is full: wait until its records were acknowledged, or time out."""
        while True:
            self._producer.poll(0.05)
            try:
                self._producer.produce(*record)
                return
            except BufferError:
                continue

    def _on_end(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._lost = error
        else:
            self._ends[Queue(message.topic() or "", message.partition() or 0)] = (message.offset() or 0) + 1

    def _flush(self) -> None:
        with self._guard("flush"):
            left = self._producer.flush(self._config.deadline_seconds)
        if self._lost is not None:
            raise KafkaException(self._lost)
        if left:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{left} records were not acknowledged"))

    def _commit(self) -> None:
        """Once asked for, a commit is only repeated: whether it happened is for the next restore to find out."""
        until = time.monotonic() + self._config.deadline_seconds
        with self._guard("commit_transaction"):
            while True:
                try:
                    self._producer.commit_transaction(self._config.deadline_seconds)
                    return
                except KafkaException as failure:
                    error = failure.args[0]
                    if not error.retriable() or time.monotonic() > until:
                        raise Fenced(f"the commit was not confirmed: {error.str()}") from failure

    def _abort(self, failure: KafkaException) -> None:
        """Before the commit was asked for, nothing has happened: undo, and say whether it may be tried again."""
        error = failure.args[0]
        if error.fatal() or error.code() in FENCING_ERRORS:
            self._try_abort()
            raise Fenced(f"another worker has taken over: {error.str()}") from failure
        self._try_abort()
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            raise ValueError(f"a record is larger than Kafka takes: {error.str()}") from failure
        raise Aborted(f"the transaction was aborted: {error.str()}") from failure

    def _try_abort(self) -> None:
        try:
            with self._guard("abort_transaction"):
                self._producer.abort_transaction(self._config.deadline_seconds)
        except KafkaException as failure:
            raise Fenced(f"the abort was not confirmed: {failure.args[0].str()}") from failure


def _settings(config: EngineConfig, topology: Topology) -> dict[str, Any]:
    return {
        **config.clients(),
        # Fixed per slot: a restart ends the dead worker's transaction at once instead of after its timeout.
        "transactional.id": f"{topology.group}-{config.slot}",
        "transaction.timeout.ms": config.transaction_timeout_ms,
        "acks": "all",
        "compression.type": "lz4",
        # flush() waits for linger.ms: any would be added to every batch. Produce requests grow by themselves while
        # earlier ones are in flight.
        "linger.ms": 0,
        "batch.num.messages": 10_000,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": 2_000_000,
        "queue.buffering.max.kbytes": 1_048_576,
    }
