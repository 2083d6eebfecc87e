"""The codec of a replay: what the journal says could not be decoded is not decoded now either."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from schemas.registry import Registry
from streams.agents.codec import BadIntent, LedgerCodec
from streams.ledger.intents import Intent
from streams.ledger.journal import JournalRecord


class VerdictCodec(LedgerCodec):
    """A schema that was unknown then may be registered by now, so dead-letter verdicts come from the journal."""

    verdicts: dict[bytes, str]
    """Reason by SHA-256 of the value."""

    @classmethod
    def following(cls, url: str, topic_prefix: str) -> VerdictCodec:
        """Connected to a registry, with no verdicts yet."""
        registry = Registry(url)
        codec = cls(registry.all_ids(topic_prefix), registry.writer_schema)
        codec.verdicts = {}
        return codec

    def learn(self, records: Iterable[JournalRecord]) -> None:
        """Take over the verdicts of the records."""
        for record in records:
            if record.dead_letter is not None:
                self.verdicts[record.dead_letter.sha256] = record.reason or "undecodable"

    def decode_intent(self, value: bytes) -> Intent:
        """As then: the same intent, or the same refusal."""
        reason = self.verdicts.get(sha256(value).digest()) if self.verdicts else None
        if reason is not None:
            raise BadIntent(reason, "as the journal recorded")
        return super().decode_intent(value)
