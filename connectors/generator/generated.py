"""One generated record: an intent, or bytes that are none, with where it goes and what it is meant to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from connectors.intents_json import Line
from streams.ledger.intents import Intent


class Generated(NamedTuple):
    """What to send. ``label`` says what it is meant to be ("purchase", "duplicate"): never what must come of it."""

    value: Intent | bytes
    label: str
    key: bytes | None = None
    """None: the intent's account."""
    partition: int | None = None
    """None: by key."""
    cut: int = 0
    """How many bytes at the end of the encoded intent are left out."""

    def encoded(self, encode: Callable[[Intent], bytes]) -> tuple[bytes, bytes]:
        """Key and value of the Kafka record."""
        if isinstance(self.value, bytes):
            return self.key or b"", self.value
        value = encode(self.value)
        return self.key or self.value.account.encode(), value[: len(value) - self.cut]

    def line(self) -> Line:
        """The same as a line of a file. Whatever departs from the ordinary way is not checked when it is read."""
        odd = self.label in UNCHECKED
        return Line(self.value, self.key, self.partition, self.cut, odd and not isinstance(self.value, bytes))


UNCHECKED = frozenset({"truncated", "oversized_metadata"})
"""Labels of intents that no producer with a check of form would send."""
