"""What ``decide`` decides: one record of an input topic, or one leg of a packed record of legs."""

from __future__ import annotations

from typing import NamedTuple

from streams.ledger.intents import Intent
from streams.ledger.legs import Leg
from streams.ledger.rows import Position


class IntentInput(NamedTuple):
    """An intent. ``time`` is the broker's append time in microseconds; nothing in the payload is a time."""

    position: Position
    time: int
    intent: Intent
    misrouted: bool = False
    """The record is not on its key's murmur2 partition, or its key is not the deciding account."""


class TickInput(NamedTuple):
    """A record with null key and value: it moves the partition's time, so that deadlines run."""

    position: Position
    time: int


class UnreadableInput(NamedTuple):
    """A record that is no intent. ``reason`` is a reason code; the bytes themselves are in the dead letters."""

    position: Position
    time: int
    reason: str
    length: int
    sha256: bytes


class LegInput(NamedTuple):
    """A leg. It has no time: legs never move the partition's."""

    position: Position
    leg: Leg
    refuse: bool = False
    """An operator's word: do not credit, send a refusal back."""
    trigger: Position | None = None
    """What is being processed, where that is not ``position``."""


LedgerInput = IntentInput | TickInput | UnreadableInput | LegInput
