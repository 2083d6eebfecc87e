"""A batch: consecutive journal records of some partitions, turned into rows as they are added.

Pure: no Kafka, no Postgres. What it refuses (a gap, figures that do not follow) never reaches a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sinks import rows
from sinks.balances import Changes
from sinks.errors import JournalGap, Unreadable
from sinks.positions import SinkPosition, fingerprint
from streams.ledger.intents import Intent, OpenAccount
from streams.ledger.journal import JournalRecord
from streams.ledger.vocabulary import Kind, Outcome


class Batch:
    """Rows of consecutive records, from the positions that Postgres is at to the last record added."""

    def __init__(self, start: Mapping[int, SinkPosition], decode_intent: Callable[[bytes], Intent]) -> None:
        self._start = start
        self._decode_intent = decode_intent
        self._last: dict[int, tuple[int, int, bytes]] = {}
        self.records = 0
        self.events: list[bytes] = []
        self.entries: list[bytes] = []
        self.postings: list[bytes] = []
        self.accounts: list[bytes] = []
        self.opened: dict[str, str] = {}
        """Currency of each account that the batch opens."""
        self.changes = Changes()

    def add(self, partition: int, offset: int, value: bytes, record: JournalRecord) -> None:
        """Take in the next record of a partition.

        Raises JournalGap when its sequence is not the next one, FiguresDisagree when its figures do not follow.
        """
        last = self._last.get(partition)
        expected = (self._start[partition].sequence if last is None else last[0]) + 1
        if record.sequence != expected:
            raise JournalGap(_gap(partition, offset, record.sequence, expected))
        self._last[partition] = (record.sequence, offset, value)
        self.records += 1
        self.events.append(rows.event_row(partition, record))
        if record.entry is not None:
            self.entries.append(rows.entry_row(partition, record))
            self.postings.append(rows.posting_rows(partition, record))
        if record.figures is not None:
            if record.kind == Kind.OPEN and record.outcome == Outcome.APPLIED:
                self._open(partition, record)
            self.changes.add(partition, record)

    def _open(self, partition: int, record: JournalRecord) -> None:
        where = f"journal record ({partition}, {record.sequence}) opens account {record.account}"
        try:
            opened = None if record.intent is None else self._decode_intent(record.intent)
        except (ValueError, LookupError) as error:
            raise Unreadable(f"{where} with an intent that cannot be decoded: {error}") from error
        if not isinstance(opened, OpenAccount):
            raise Unreadable(f"{where} without the intent")
        self.opened[opened.account] = opened.currency
        self.accounts.append(rows.account_row(partition, record, opened))

    @property
    def moves(self) -> list[tuple[SinkPosition, SinkPosition]]:
        """Each partition's position before and after the batch, in partition order."""
        return [
            (self._start[partition], SinkPosition(partition, sequence, offset, fingerprint(value)))
            for partition, (sequence, offset, value) in sorted(self._last.items())
        ]

    @property
    def positions(self) -> dict[int, SinkPosition]:
        """Every partition's position after the batch."""
        return {**self._start, **{new.partition: new for _, new in self.moves}}


def _gap(partition: int, offset: int, found: int, expected: int) -> str:
    what = "is missing" if found > expected else "is repeated"
    return (
        f"journal partition {partition}, offset {offset}: sequence {found} where {expected} is next, so a record "
        f"{what}. A journal is contiguous by construction: stop the workers, keep the topic, run `twofold verify`."
    )


def decode_batch(
    start: Mapping[int, SinkPosition],
    messages: list[tuple[int, int, bytes]],
    decode: Callable[[bytes], JournalRecord],
    decode_intent: Callable[[bytes], Intent],
) -> Batch:
    """The batch of the messages (partition, offset, value), each partition's in offset order.

    Raises Unreadable for a value that is no journal record, and what :meth:`Batch.add` raises.
    """
    batch = Batch(start, decode_intent)
    for partition, offset, value in messages:
        try:
            record = decode(value)
        except (ValueError, LookupError) as error:
            raise unreadable(partition, offset, error) from error
        batch.add(partition, offset, value, record)
    return batch


def unreadable(partition: int, offset: int, error: Exception) -> Unreadable:
    """What to say of a value that is no journal record."""
    return Unreadable(
        f"journal partition {partition}, offset {offset} cannot be decoded: {error}. Something else than a worker "
        "wrote there, or this sink is older than its schema."
    )
