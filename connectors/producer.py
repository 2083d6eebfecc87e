"""A typed producer of payment intents: checks the form, serializes, routes by account, waits for all replicas.

with Producer(Settings.from_env()) as producer:
    producer.send(Transfer("alice", "order-17", "shop", 1250, "EUR"))
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple
from uuid import uuid4

from confluent_kafka import KafkaError, Message
from confluent_kafka import Producer as KafkaProducer

from connectors.form import check_form
from connectors.serializer import Serializer, registry_serializer
from streams.ledger.intents import Configure, Intent, Resolve
from streams.ledger.legs import Leg
from streams.ledger.vocabulary import Resolution
from streams.settings import Settings
from streams.topics import INTENTS

FLUSH_SECONDS = 60.0
TRANSACTION_TIMEOUT_MS = 10_000
"""Below what the ledger's brokers allow: an open transaction holds up every read_committed reader."""
BY_KEY = -1
"""In place of a partition number: the partitioner chooses."""


class Delivery(NamedTuple):
    """Where Kafka acknowledged an intent: the same position is the ``input`` of its journal record."""

    partition: int
    offset: int


class NotDelivered(RuntimeError):
    """Some intents were not acknowledged. Sending them again is safe: their idempotency keys make it so."""


OnDelivery = Callable[[Delivery], None]


class Producer:
    """Sends intents to ``payment-intents``. One instance may be used by several threads.

    ``serialize`` defaults to the registry's serializer; ``LedgerCodec.connect(...).encode_intent`` gives the same
    bytes in less time. ``kafka`` adds or replaces settings of librdkafka, such as TLS and SASL.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        serialize: Serializer | None = None,
        kafka: dict[str, str | int] | None = None,
    ) -> None:
        self.settings = settings or Settings.from_env()
        self.topic = self.settings.topic(INTENTS.name)
        self.delivered = 0
        self._failures: list[str] = []
        self._serialize = serialize or registry_serializer(self.settings.registry_url, self.topic)
        self._config: dict[str, str | int] = {
            "bootstrap.servers": self.settings.bootstrap_servers,
            "partitioner": "murmur2_random",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "compression.type": "lz4",
            **(kafka or {}),
        }
        self._producer = KafkaProducer(self._config)

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.flush(5)

    def send(self, intent: Intent, on_delivery: OnDelivery | None = None) -> None:
        """Queue an intent; ``flush`` says whether all arrived. Raises InvalidIntent before anything is sent.

        A Configure or a Resolve does not travel by its key: use ``configure`` and ``resolve``.
        """
        if isinstance(intent, Configure | Resolve):
            raise TypeError(f"a {type(intent).__name__} goes to explicit partitions: use configure() or resolve()")
        check_form(intent)
        self.send_raw(intent.account.encode(), self._serialize(intent), on_delivery=on_delivery)

    def serialize(self, intent: Intent) -> bytes:
        """The bytes that ``send`` would send, without any check."""
        return self._serialize(intent)

    def send_raw(
        self,
        key: bytes | None,
        value: bytes | None,
        partition: int | None = None,
        on_delivery: OnDelivery | None = None,
    ) -> None:
        """Queue any bytes, unchecked, on any partition: for tests and for replaying what was kept elsewhere."""

        def answered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failures.append(str(error))
                return
            self.delivered += 1
            if on_delivery is not None:
                on_delivery(Delivery(message.partition() or 0, message.offset() or 0))

        target = BY_KEY if partition is None else partition
        while True:
            try:
                self._producer.produce(self.topic, value, key, target, on_delivery=answered)
                break
            except BufferError:
                self._producer.poll(0.5)
        self._producer.poll(0)

    def flush(self, timeout: float = FLUSH_SECONDS) -> None:
        """Wait until everything queued is acknowledged. Raises NotDelivered, once for each failure."""
        left = self._producer.flush(timeout)
        failures, self._failures = self._failures, []
        if left or failures:
            why = failures[0] if failures else f"no answer from {self.settings.bootstrap_servers} in {timeout:g} s"
            raise NotDelivered(f"{left + len(failures)} intents were not acknowledged ({why}); send them again")

    def configure(
        self, rules: int, window_seconds: int, park_seconds: int, park_limit: int, idempotency_key: str = ""
    ) -> str:
        """Replace the parameters of every partition, in one Kafka transaction. Gives the idempotency key."""
        key = idempotency_key or f"configure-{uuid4()}"
        intent = Configure(key, rules, window_seconds, park_seconds, park_limit)
        check_form(intent)
        self._in_one_transaction(self._serialize(intent))
        return key

    def resolve(
        self,
        partition: int,
        offset: int,
        leg: int,
        action: Resolution,
        replacement: Leg | None = None,
        note: str = "",
        idempotency_key: str = "",
    ) -> str:
        """Say what becomes of the leg that halted the leg queue of ``partition``. Gives the idempotency key."""
        key = idempotency_key or f"resolve-{uuid4()}"
        intent = Resolve(key, partition, offset, leg, action, replacement, note)
        check_form(intent)
        self.send_raw(None, self._serialize(intent), partition)
        self.flush()
        return key

    def _in_one_transaction(self, value: bytes) -> None:
        """The same value with a null key to every partition that the topic has, or to none."""
        transactional = {
            "transactional.id": f"{self.settings.group}-configure",
            "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
        }
        producer = KafkaProducer({**self._config, **transactional})
        metadata = producer.list_topics(self.topic, 10).topics[self.topic]
        if metadata.error is not None:
            raise NotDelivered(f"topic {self.topic}: {metadata.error}; run `twofold topics apply`")
        producer.init_transactions(30)
        producer.begin_transaction()
        for partition in metadata.partitions:
            producer.produce(self.topic, value, partition=partition)
        if producer.flush(30):
            producer.abort_transaction()
            raise NotDelivered("the brokers did not take all of the records; nothing was configured")
        producer.commit_transaction(30)
