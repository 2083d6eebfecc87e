"""The whole ledger in one place: every partition, account, key, hold and leg under way, in plain dicts and lists."""

from __future__ import annotations

import bisect
from typing import Any

from streams.reconciliation.model.account import Account
from streams.reconciliation.model.memory import Body, Hold, Memory, Place, Settled, Way

Record = dict[str, Any]
MONEY_KINDS = ("TRANSFER", "CAPTURE", "REVERSE")


class Rules:
    """A partition's parameters."""

    def __init__(self, rules: int, window_seconds: int, park_seconds: int, park_limit: int) -> None:
        self.rules = rules
        self.window = window_seconds * 1_000_000
        self.window_seconds = window_seconds
        self.park = park_seconds * 1_000_000
        self.park_limit = park_limit


class Partition:
    """A partition's clock, parameters, number of records written, and what has a deadline."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.time = 0
        self.written = 0
        self.rules = Rules(1, 30 * 86_400, 60, 64)
        self.deadlines: list[tuple[int, bytes, int, Memory | Hold]] = []
        """(deadline, transfer id, tie-breaker, what is due), ascending; what is over is skipped when it comes up."""

    def expect(self, deadline: int, transfer: bytes, what: Memory | Hold) -> None:
        """Remember that something is due at a time."""
        bisect.insort(self.deadlines, (deadline, transfer, id(what), what))


class World:
    """What the model knows. One step of it is one trigger: an intent, a Tick, an unreadable record or a leg."""

    def __init__(self, partitions: int) -> None:
        self.partitions = [Partition(number) for number in range(partitions)]
        self.accounts: dict[str, Account] = {}
        self.memories: dict[tuple[int, str, str], Memory] = {}
        self.by_id: dict[tuple[int, bytes], Memory] = {}
        self.holds: dict[bytes, Hold] = {}
        self.legs: dict[tuple[int, bytes, int], Way] = {}
        """Money under way, by the step (2 or 3) that its leg asks for, transfer id and PENDING."""
        self.settled: dict[bytes, list[Settled]] = {}
        self.resolutions: dict[tuple[int, int, int], Body] = {}
        """An operator's word about a leg, by partition, offset and leg index."""
        self.records: list[Record] = []
        self._trigger: Place = ("", 0, 0, 0)
        self._here = self.partitions[0]

    @property
    def here(self) -> Partition:
        """The partition that processes the trigger."""
        return self._here

    @property
    def trigger(self) -> Place:
        """What is being processed."""
        return self._trigger

    def begin(self, trigger: Place) -> None:
        """Start a step."""
        self._trigger = trigger
        self._here = self.partitions[trigger[1]]
        self.records = []

    def write(self, kind: str, outcome: str, place: Place, **fields: Any) -> int:
        """Add a journal record to the step; returns its sequence in the partition."""
        here = self._here
        here.written += 1
        record: Record = {
            "sequence": here.written,
            "time": here.time,
            "rules": here.rules.rules,
            "input": place,
            "trigger": self._trigger,
            "ordinal": len(self.records),
            "kind": kind,
            "outcome": outcome,
            "step": 0,
            "transfer": None,
            "pending": 0,
            "account": None,
            "counterparty": None,
            "amount": None,
            "currency": None,
            "reason": None,
            "figures": None,
            "entry": None,
            "origin": None,
            "origin_pending": 0,
            "intent": None,
            "first": None,
            "dead_letter": None,
        }
        record.update(fields)
        self.records.append(record)
        return here.written

    def write_about(self, memory: Memory, outcome: str, **fields: Any) -> int:
        """Add a record of step 1 (or of no step) about an intent that took its key, and make it the memory's state."""
        first = memory.state == ""
        own = as_asked(memory.kind, memory.body)
        own.update(fields)
        sequence = self.write(
            memory.kind,
            outcome,
            memory.place,
            transfer=memory.transfer,
            account=memory.account,
            intent=memory.wire if first else None,
            **own,
        )
        memory.state, memory.reason, memory.decided = outcome, own.get("reason"), sequence
        if outcome in ("REJECTED", "APPLIED"):
            self.forget_later(memory)
        return sequence

    def forget_later(self, memory: Memory) -> None:
        """The window of a key starts with its final step."""
        memory.forgotten_at = self._here.time + self._here.rules.window

    def changed(self, account: Account) -> dict[str, int]:
        """The figures to write into the record that comes next, which changes them."""
        account.version = self._here.written + 1
        pending, debited, credited = account.figures()
        return {"debits_pending": pending, "debits_posted": debited, "credits_posted": credited}

    def remembered(self, account: str, key: str) -> Memory | None:
        """The intent that holds this key of this account now."""
        memory = self.memories.get((self._here.number, account, key))
        return None if memory is None or self.is_forgotten(memory) else memory

    def is_forgotten(self, memory: Memory) -> bool:
        """Whether the key is free again: its window has passed."""
        return memory.forgotten_at is not None and memory.forgotten_at <= self._here.time

    def remember(self, memory: Memory) -> None:
        """Let an intent take its key."""
        here = self._here.number
        self.memories[here, memory.account, str(memory.body["idempotency_key"])] = memory
        self.by_id[here, memory.transfer] = memory


def as_asked(kind: str, body: Body) -> Record:
    """What a record says of an intent that did not resolve to anything: its own words."""
    return {
        "step": 1 if kind in MONEY_KINDS else 0,
        "amount": body.get("amount"),
        "currency": body.get("currency"),
        "counterparty": body.get("payee"),
    }
