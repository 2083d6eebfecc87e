"""What the batch protocol needs of its surroundings. Kafka provides it in production, the test driver in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from streams.engine.positions import Place
from streams.engine.record import Output, Queue, Record
from streams.engine.table import Change

Probe = Callable[[str], None]
"""Called at named points of the protocol: restoring, produced, offsets_sent, committed, store_written. For tests."""


def no_probe(point: str) -> None:
    """The probe of production."""


class Source(Protocol):
    """Delivers input records."""

    def poll(self) -> list[Record]:
        """What has arrived, legs first; empty after a short wait. Never called with an open transaction."""

    def place(self, queues: Mapping[Queue, Place]) -> None:
        """Read exactly these queues, from these places; what was fetched and not delivered is dropped."""


class Outbox(Protocol):
    """Writes one batch atomically."""

    def commit(
        self, outputs: Sequence[Output], changes: Mapping[int, Sequence[Change]], offsets: Mapping[Queue, int]
    ) -> Mapping[Queue, int]:
        """Produce outputs and changes (by partition) and move the group's offsets, all or nothing.

        ``offsets`` has at least one entry: a commit without any is not fenced. Returns the changelogs' next offsets.
        Raises :class:`Aborted` if nothing was written and it may be tried again, :class:`Fenced` if this worker must
        end, and ``ValueError`` for an output that Kafka can never take.
        """
