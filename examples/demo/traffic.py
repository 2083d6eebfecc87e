"""The demo's intents: generated from a seed, serialized by the registry's serializer, sent by an ordinary producer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from types import TracebackType

from connectors.generator import Generated, generate, opening
from connectors.producer import Producer
from streams.settings import Settings

FIRST_MONEY = "starting_money"


class Traffic:
    """Sends in a thread of its own, so that the board can be watched meanwhile."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._partitions = settings.partitions
        self._seed = seed
        self._producer = Producer(settings, kafka={"linger.ms": 20, "log_level": 3})
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._funding: list[Generated] = []
        self._configured = 0
        self._accounts = 0
        self._stopped = False
        self.expected = 0
        """How many intents were handed over so far, acknowledged or not."""
        self.labels: Counter[str] = Counter()

    def __enter__(self) -> Traffic:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        if self._thread is not None:
            self._thread.join(60)

    @property
    def acknowledged(self) -> int:
        """How many intents Kafka acknowledged."""
        return self._producer.delivered + self._configured

    def configure(self, park_seconds: int) -> None:
        """Let early intents wait only so long: one Configure to every partition."""
        self._producer.configure(1, 30 * 86_400, park_seconds, 64)
        self._configured = self._partitions
        self.expected += self._partitions

    def open_accounts(self, accounts: int) -> None:
        """Begin to open the accounts."""
        self._accounts = accounts
        every = list(opening(self._seed, accounts))
        self._funding = [generated for generated in every if generated.label == FIRST_MONEY]
        self._begin(generated for generated in every if generated.label != FIRST_MONEY)

    def fund_accounts(self) -> None:
        """Begin to send everybody's first money."""
        self._begin(self._funding)

    def produce(self, intents: int) -> None:
        """Begin to send the traffic."""
        self._begin(generate(self._seed, intents, self._accounts, partitions=self._partitions))

    @property
    def done(self) -> bool:
        """Whether all that was begun is acknowledged. Raises what went wrong."""
        if self._failure is not None:
            raise self._failure
        return self._thread is None or not self._thread.is_alive()

    def _begin(self, generated: Iterable[Generated]) -> None:
        self._thread = threading.Thread(target=self._send, args=(generated,), daemon=True)
        self._thread.start()

    def _send(self, several: Iterable[Generated]) -> None:
        try:
            for generated in several:
                if self._stopped:
                    return
                key, value = generated.encoded(self._producer.serialize)
                self._producer.send_raw(key, value, generated.partition)
                self.expected += 1
                self.labels[generated.label] += 1
            self._producer.flush()
        except BaseException as error:
            self._failure = error
