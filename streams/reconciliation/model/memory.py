"""What the model remembers of intents, holds and settled transfers."""

from __future__ import annotations

from typing import Any

from streams.reconciliation.model.account import Charge

Place = tuple[str, int, int, int]
"""An input record: (INTENTS or LEGS, partition, offset, leg index)."""
Body = dict[str, Any]

COMPARED: dict[str, tuple[str, ...]] = {
    "OpenAccount": (
        "currency",
        "tenant",
        "owner",
        "name",
        "type",
        "minimum_balance",
        "maximum_balance",
        "velocity_amount",
        "velocity_count",
        "velocity_window_seconds",
        "metadata",
    ),
    "SetLimits": (
        "sequence",
        "minimum_balance",
        "maximum_balance",
        "velocity_amount",
        "velocity_count",
        "velocity_window_seconds",
    ),
    "Freeze": ("sequence", "note"),
    "Unfreeze": ("sequence", "note"),
    "Close": ("sequence", "note"),
    "Transfer": ("payee", "amount", "currency", "sequence", "reference", "metadata"),
    "Hold": ("amount", "currency", "payee", "expires_in_seconds", "sequence", "reference", "metadata"),
    "Capture": ("hold", "amount", "payee", "sequence", "reference", "metadata"),
    "Release": ("hold", "amount", "sequence"),
    "Reverse": ("transfer", "amount", "force", "sequence", "reference", "metadata"),
    "Configure": ("rules", "window_seconds", "park_seconds", "park_limit"),
    "Resolve": ("partition", "offset", "leg", "action", "replacement", "note"),
}
"""The business fields of every intent, in the order in which a difference is named."""

KIND_OF: dict[str, str] = {
    "OpenAccount": "OPEN",
    "SetLimits": "SET_LIMITS",
    "Freeze": "FREEZE",
    "Unfreeze": "UNFREEZE",
    "Close": "CLOSE",
    "Transfer": "TRANSFER",
    "Hold": "HOLD",
    "Capture": "CAPTURE",
    "Release": "RELEASE",
    "Reverse": "REVERSE",
    "Configure": "CONFIGURE",
    "Resolve": "RESOLVE",
}
LIMITS = ("minimum_balance", "maximum_balance", "velocity_amount", "velocity_count", "velocity_window_seconds")


class Memory:
    """An intent that took its idempotency key: its whole body and how it stands."""

    def __init__(self, name: str, body: Body, wire: bytes | None, transfer: bytes, place: Place) -> None:
        self.name = name
        self.kind = KIND_OF[name]
        self.body = body
        self.wire = wire
        self.transfer = transfer
        self.place = place
        self.account = str(body["account"])
        self.state = ""
        self.reason: str | None = None
        self.decided = 0
        self.forgotten_at: int | None = None
        """Partition time from which the key is free again; None while the intent is not final."""

    def difference(self, name: str, body: Body) -> str | None:
        """The first business field that differs, ``kind`` if all do; None for the same intent."""
        if name != self.name:
            return "kind"
        for field in COMPARED[name]:
            if self.body[field] != body[field]:
                return field
        return None


class Hold:
    """A hold, as the list of what happened to it: (word, amount)."""

    def __init__(self, memory: Memory, pending: int, expires: int) -> None:
        self.memory = memory
        self.account = memory.account
        self.payee: str | None = memory.body["payee"]
        self.currency: str = memory.body["currency"]
        self.amount: int = memory.body["amount"]
        self.pending = pending
        self.expires = expires
        self.events: list[tuple[str, int]] = []

    def _sum(self, word: str) -> int:
        return sum(amount for what, amount in self.events if what == word)

    @property
    def capturing(self) -> int:
        """Under way to a payee."""
        return self._sum("capturing") - self._sum("captured") - self._sum("refused")

    @property
    def open(self) -> int:
        """Still free to capture or release. A refused capture comes back here; if the hold closes, it is released."""
        return self.amount - self.capturing - self._sum("captured") - self._sum("released")

    @property
    def closing(self) -> bool:
        """Whether nothing more can be captured and what comes back is released."""
        return any(what == "closing" for what, _ in self.events)

    @property
    def alive(self) -> bool:
        """Whether any money is still in it."""
        return self.open > 0 or self.capturing > 0


class Settled:
    """One settled transfer at its payee, with its reversals: (word, amount)."""

    def __init__(self, way: Way, forgotten_at: int) -> None:
        self.way = way
        self.forgotten_at = forgotten_at
        self.reversals: list[tuple[str, int]] = []

    @property
    def left(self) -> int:
        """What can still be reversed."""
        asked = sum(amount for word, amount in self.reversals if word == "asked")
        returned = sum(amount for word, amount in self.reversals if word == "returned")
        return self.way.amount - asked + returned


class Way:
    """Money on its way from a payer to a payee, since its PENDING."""

    def __init__(self, memory: Memory, payer: str, payee: str, amount: int, currency: str) -> None:
        self.memory = memory
        self.payer = payer
        self.payee = payee
        self.amount = amount
        self.currency = currency
        self.pending = 0
        self.charge: Charge | None = None
        self.hold: Hold | None = None
        self.original: Settled | None = None
        self.answer: str | None = None
        """The payee's word: ``settled``, or the reason of its refusal."""

    @property
    def origin(self) -> tuple[bytes | None, int]:
        """The hold of a capture or the original of a reversal: (transfer id, its pending)."""
        if self.hold is not None:
            return self.hold.memory.transfer, self.hold.pending
        if self.original is not None:
            return self.original.way.memory.transfer, self.original.way.pending
        return None, 0
