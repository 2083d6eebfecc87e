"""The door between bytes and the ledger's values: intents, journal records, legs and table rows as framed Avro.

Everything is decoded once on its way in and encoded once on its way out. Readers and writers are generated from the
``.avsc`` files for the ledger's own tuple classes, so no dictionary is made on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from schemas.catalogue import INTENTS, definition
from schemas.codec import RECORDS, OfflineSchemas, Readers, WriterSchema
from schemas.errors import BadRecord as BadIntent
from schemas.framing import HEADER_BYTES, header
from schemas.registry import Registry
from schemas.shapes import Shape, Shapes
from schemas.writing import Writer, compile_writer
from streams.ledger import intents, journal, rows
from streams.ledger.intents import Intent
from streams.ledger.journal import JournalRecord
from streams.ledger.legs import Leg
from streams.ledger.vocabulary import Input, Kind, LegKind, Outcome, Resolution, Status

__all__ = ["MAX_INTENT_BYTES", "BadIntent", "DeadLetterRecord", "LedgerCodec", "PackedLegs"]

MAX_INTENT_BYTES = 256 * 1024
"""The largest framed intent: judged here, since a topic's limit is on compressed batches."""

MAX_DEAD_LETTER_BYTES = 512 * 1024


class PackedLegs(NamedTuple):
    """Some legs from partition ``source`` to another; ``first`` numbers the first one of them, from 1."""

    source: int
    first: int
    legs: Sequence[Leg]


class DeadLetterRecord(NamedTuple):
    """An input that could not be decoded: where it was read, why, and its bytes cut at 512 KiB."""

    topic: str
    partition: int
    offset: int
    reason: str
    length: int
    sha256: bytes
    value: bytes


INTENT_CLASSES: dict[str, type[Any]] = {name: getattr(intents, name) for name in INTENTS}
ENUMS = {cls.__name__: cls for cls in (Input, Kind, LegKind, Outcome, Resolution, Status)}


def _fields(cls: type[Any]) -> tuple[str, ...]:
    names: tuple[str, ...] = cls._fields
    return names


def _tuple_or_none(items: list[Any] | None) -> tuple[Any, ...] | None:
    return None if items is None else tuple(items)


def _shapes(wire: Callable[[Intent], bytes], read_intent: Callable[[bytes], Intent]) -> Shapes:
    plain = (
        *(rows.Position, rows.Parameters, rows.PartitionRow, rows.AccountRow, rows.SettledTransfer, rows.HoldRow),
        *(journal.Figures, journal.FirstOutcome, journal.DeadLetter, journal.Posting),
        *(Leg, PackedLegs, DeadLetterRecord),
    )
    with_intent: dict[str, type[Any]] = {"TransferRow": rows.TransferRow, "ParkedRow": rows.ParkedRow}
    return Shapes(
        {
            **{cls.__name__: Shape(cls, _fields(cls)) for cls in plain},
            **{name: Shape(cls, _fields(cls), whole="wire") for name, cls in INTENT_CLASSES.items()},
            **{
                name: Shape(cls, _fields(cls), write={"intent": wire}, read={"intent": read_intent})
                for name, cls in with_intent.items()
            },
            "JournalRecord": Shape(JournalRecord, _fields(JournalRecord), read={"entry": _tuple_or_none}),
            "Bucket": Shape(tuple, ("number", "amount", "count")),
            "VelocityRow": Shape(rows.VelocityRow, _fields(rows.VelocityRow), read={"buckets": tuple}),
            "SettledRow": Shape(tuple, ("transfers",), read={"transfers": tuple}),
        },
        ENUMS,
    )


class LedgerCodec:
    """Encodes and decodes every record of the ledger.

    ``ids`` gives the schema id written for each record, ``writer_schema`` the schema of any id that is read. Every
    ``decode_*`` raises BadIntent with a reason code, or ``schemas.errors.RegistryAway`` when a schema is needed that
    cannot be had now: stop, and decode the same value again later.
    """

    encode_journal: Callable[[JournalRecord], bytes]
    decode_journal: Callable[[bytes], JournalRecord]
    decode_legs: Callable[[bytes], PackedLegs]
    decode_dead_letter: Callable[[bytes], DeadLetterRecord]
    encode_partition: Callable[[rows.PartitionRow], bytes]
    decode_partition: Callable[[bytes], rows.PartitionRow]
    encode_account: Callable[[rows.AccountRow], bytes]
    decode_account: Callable[[bytes], rows.AccountRow]
    encode_velocity: Callable[[rows.VelocityRow], bytes]
    decode_velocity: Callable[[bytes], rows.VelocityRow]
    encode_transfer: Callable[[rows.TransferRow], bytes]
    decode_transfer: Callable[[bytes], rows.TransferRow]
    encode_hold: Callable[[rows.HoldRow], bytes]
    decode_hold: Callable[[bytes], rows.HoldRow]
    encode_parked: Callable[[rows.ParkedRow], bytes]
    decode_parked: Callable[[bytes], rows.ParkedRow]

    def __init__(self, ids: Mapping[str, int], writer_schema: WriterSchema) -> None:
        shapes = _shapes(self.wire, self.decode_intent)
        self._shapes, self._writer_schema = shapes, writer_schema
        writers = {
            name: compile_writer(definition(name), shapes, header(ids[name]), texts_repeat=name not in INTENTS)
            for name in RECORDS_WITH_SHAPE
        }
        self._write_intent: dict[type[Any], Writer] = {cls: writers[name] for name, cls in INTENT_CLASSES.items()}
        self._write_legs, self._write_settled = writers["PackedLegs"], writers["SettledRow"]
        self._write_dead_letter = writers["DeadLetterRecord"]
        intent_readers = Readers(INTENTS, writer_schema, shapes, wrong_record="not_an_intent")
        self._intent_readers, self._find_intent_reader = intent_readers.by_header, intent_readers.reader
        self._read_settled = self._reads("SettledRow")
        for attribute, record in ATTRIBUTES.items():
            setattr(self, f"encode_{attribute}", writers[record])
            setattr(self, f"decode_{attribute}", self._reads(record))
        self.decode_legs = self._reads("PackedLegs")
        self.decode_dead_letter = self._reads("DeadLetterRecord")

    @classmethod
    def connect(cls, url: str, topic_prefix: str = "") -> LedgerCodec:
        """A codec with the ids that the registry has for the topics with this prefix.

        Raises NotRegistered (run ``twofold schemas apply``) or RegistryAway.
        """
        registry = Registry(url)
        return cls(registry.all_ids(topic_prefix), registry.writer_schema)

    @classmethod
    def offline(cls) -> LedgerCodec:
        """A codec with fixed local ids, without a registry: for broker-free runs."""
        table = OfflineSchemas()
        return cls(table.ids, table.writer_schema)

    def _reads(self, record: str) -> Callable[[bytes], Any]:
        return Readers((record,), self._writer_schema, self._shapes).read

    def decode_intent(self, value: bytes) -> Intent:
        """The intent that the bytes hold; ``wire`` is the bytes themselves. Raises BadIntent, RegistryAway."""
        if len(value) > MAX_INTENT_BYTES:
            raise BadIntent("too_large", f"{len(value)} bytes")
        reader = self._intent_readers.get(value[:HEADER_BYTES])
        if reader is None:
            reader = self._find_intent_reader(value)
        intent: Intent = reader(value, HEADER_BYTES)
        return intent

    def encode_intent(self, intent: Intent) -> bytes:
        """The framed bytes of an intent; its ``wire`` is not looked at."""
        return self._write_intent[type(intent)](intent)

    def wire(self, intent: Intent) -> bytes:
        """The bytes that an intent arrived as, or those it would be sent as."""
        return intent.wire or self.encode_intent(intent)

    def encode_legs(self, source: int, first: int, legs: Sequence[Leg]) -> bytes:
        """The value of a ``transfer-legs`` record."""
        return self._write_legs((source, first, legs))

    def encode_dead_letter(self, topic: str, partition: int, offset: int, reason: str, value: bytes) -> bytes:
        """The value of a ``dead-letters`` record about an input; ``value`` is cut at 512 KiB, its digest is not."""
        kept = value[:MAX_DEAD_LETTER_BYTES]
        digest = sha256(value).digest()
        return self._write_dead_letter(DeadLetterRecord(topic, partition, offset, reason, len(value), digest, kept))

    def encode_settled(self, row: rows.SettledRow) -> bytes:
        """A row of the ``settled`` table."""
        return self._write_settled((row,))

    def decode_settled(self, value: bytes) -> rows.SettledRow:
        """A row of the ``settled`` table."""
        (row,) = self._read_settled(value)
        return row  # type: ignore[no-any-return]


ATTRIBUTES = {
    "journal": "JournalRecord",
    "partition": "PartitionRow",
    "account": "AccountRow",
    "velocity": "VelocityRow",
    "transfer": "TransferRow",
    "hold": "HoldRow",
    "parked": "ParkedRow",
}
"""``encode_<attribute>`` and ``decode_<attribute>`` of LedgerCodec, and the record they are made from."""

RECORDS_WITH_SHAPE = tuple(record for record in RECORDS if record != "ReconciliationReport")
