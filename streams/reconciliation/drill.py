"""Names the rows of a range of Postgres whose digest differs: the journal is read again, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.reconciliation.blocks import Lines, Range
from streams.reconciliation.snapshot import TABLES, Ledger
from streams.reconciliation.wire import HEADER, Decoder, UnreadableRecord
from streams.settings import Settings
from streams.topics import JOURNAL

SECONDS = 30
"""How long Kafka may give nothing before the reading is given up."""


class Both(NamedTuple):
    """The lines of one table in a range."""

    table: str
    expected: list[bytes]
    found: list[bytes]


class Drill:
    """Reads ranges of the journal again."""

    def __init__(self, settings: Settings, decoders: Mapping[bytes, Decoder]) -> None:
        self._settings = settings
        self._decoders = decoders

    def down(self, part: Range, ledger: Ledger) -> list[Both]:
        """The lines of a range, of both sides, by table. Raises psycopg.Error, KafkaException."""
        ours = self._lines(part)
        return [
            Both(table, expected, ledger.lines(table, line, order, part))
            for (table, line, order), expected in zip(TABLES, (ours.events, ours.entries, ours.postings), strict=True)
        ]

    def _lines(self, part: Range) -> Lines:
        consumer = Consumer(
            {
                "bootstrap.servers": self._settings.bootstrap_servers,
                "group.id": f"{self._settings.group}-reconciliation-again",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        lines, sequence = Lines(), 0
        try:
            topic = self._settings.topic(JOURNAL.name)
            consumer.assign([TopicPartition(topic, part.partition, part.offset)])
            while sequence < part.last:
                message = consumer.poll(SECONDS)
                if message is None:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        break
                    raise KafkaException(error)
                value = message.value() or b""
                try:
                    record = self._decoders[value[:HEADER]](value)
                except (UnreadableRecord, KeyError):
                    continue
                if sequence < record[0] <= part.last and record[0] >= part.first:
                    sequence = record[0]
                    lines.add(record)
        finally:
            consumer.close()
        return lines
