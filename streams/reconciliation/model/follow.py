"""Follows the order that a journal recorded: gives the model the same triggers and compares every record.

Within a partition the journal says what was processed after what; across partitions a leg comes after the step that
sent it. That is all the model takes from the journal: outcomes, amounts and figures it works out from the intents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.reconciliation.model.machine import Model
from streams.reconciliation.model.memory import Body, Place
from streams.reconciliation.model.world import Record

MOST_DISAGREEMENTS = 20


class Delivered(NamedTuple):
    """One record of the intents topic. With neither ``key`` nor ``value`` it is a Tick."""

    time: int
    """The broker's append time in microseconds."""
    key: bytes | None
    value: bytes | None
    name: str = ""
    """The intent's record name, such as ``Transfer``; empty if it cannot be decoded."""
    body: Body | None = None
    reason: str = ""
    """Why it cannot be decoded."""
    length: int = 0
    sha256: bytes = b""


class Disagreement(NamedTuple):
    """The journal and the model say different things."""

    partition: int
    sequence: int
    what: str

    def __str__(self) -> str:
        return f"journal partition {self.partition} sequence {self.sequence}: {self.what}"


@dataclass
class ModelResult:
    """What the model makes of the intents in the journal's order."""

    model: Model
    expected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Number of records by (kind, outcome, reason or ""), as the model has them."""
    found: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """The same, as the journal has them."""
    disagreements: list[Disagreement] = field(default_factory=list)
    """The first ones, in the order in which they were met."""
    processed: list[set[int]] = field(default_factory=list)
    """Offsets of the intents topic that were triggers, by partition."""


def expected(
    intents: Sequence[Mapping[int, Delivered]], journal: Sequence[Sequence[Record]], model: Model | None = None
) -> ModelResult:
    """Run the model in the journal's order. Both sequences are indexed by partition; intents are keyed by offset.

    A journal record is a mapping with the fields of ``JournalRecord``; positions are tuples (topic, partition,
    offset, leg). Stops at a trigger that no input can explain; other disagreements are collected.
    """
    result = ModelResult(model or Model(len(journal)), processed=[set() for _ in journal])
    followers = [_Follower(result, n, intents[n], records) for n, records in enumerate(journal)]
    for records in journal:
        result.found.update((r["kind"], r["outcome"], r["reason"] or "") for r in records)
    moved = True
    while moved:
        moved = False
        for follower in followers:
            moved = follower.advance() or moved
    for follower in followers:
        follower.say_why_it_stopped()
    return result


class _Follower:
    """Walks one partition's journal, a trigger at a time."""

    def __init__(
        self, result: ModelResult, partition: int, intents: Mapping[int, Delivered], journal: Sequence[Record]
    ) -> None:
        self._result = result
        self._partition = partition
        self._intents = intents
        self._journal = journal
        self._at = 0
        self._wrong = False

    def advance(self) -> bool:
        """Process triggers until one waits for another partition; whether any was processed."""
        begun = self._at
        while self._at < len(self._journal) and not self._wrong:
            records = self._step(self._journal[self._at])
            if records is None:
                break
            self._compare(records)
        return self._at > begun

    def say_why_it_stopped(self) -> None:
        """Report a trigger that was never possible."""
        if self._at < len(self._journal) and not self._wrong:
            found = self._journal[self._at]
            what = f"step {found['step']} of transfer {_hex(found['transfer'])} pending {found['pending']}"
            self._disagree(found["sequence"], f"{what} has no leg that asks for it")

    def _step(self, found: Record) -> list[Record] | None:
        place: Place = found["trigger"]
        model = self._result.model
        if place[0] == "LEGS":
            refused = found["outcome"] == "REFUSED" and found["reason"] == "operator_refused"
            word = model.world.resolutions.get((place[1], place[2], place[3])) if refused else None
            told = word is not None and word["action"] == "REFUSE"
            return model.leg(place, found["step"], found["transfer"] or b"", found["pending"], told)
        return self._intent(place)

    def _intent(self, place: Place) -> list[Record] | None:
        delivered = self._intents.get(place[2]) if place[1] == self._partition else None
        if delivered is None or place[2] in self._result.processed[self._partition]:
            why = "was processed before" if delivered else "does not exist"
            self._disagree(self._journal[self._at]["sequence"], f"trigger {place}: the input record {why}")
            self._wrong = True
            return None
        self._result.processed[self._partition].add(place[2])
        model = self._result.model
        if delivered.body is not None:
            body, value = delivered.body, delivered.value
            return model.intent(place, delivered.time, delivered.key, delivered.name, body, value)
        if delivered.reason:
            return model.unreadable(place, delivered.time, delivered.reason, delivered.length, delivered.sha256)
        return model.tick(place, delivered.time)

    def _compare(self, records: list[Record]) -> None:
        count = self._result.expected
        for record in records:
            count[record["kind"], record["outcome"], record["reason"] or ""] += 1
            if self._at >= len(self._journal):
                self._disagree(record["sequence"], f"the model has a record that the journal lacks: {_brief(record)}")
                continue
            found = self._journal[self._at]
            self._at += 1
            if found != record:
                self._disagree(found["sequence"], _difference(record, found))

    def _disagree(self, sequence: int, what: str) -> None:
        if len(self._result.disagreements) < MOST_DISAGREEMENTS:
            self._result.disagreements.append(Disagreement(self._partition, sequence, what))


def _difference(expected_record: Record, found: Record) -> str:
    """Which fields differ, and whose record it is."""
    fields = [name for name in expected_record if expected_record[name] != found.get(name)]
    parts = [f"{name} is {_show(found.get(name))}, the model has {_show(expected_record[name])}" for name in fields]
    return f"{_brief(found)}: {'; '.join(parts) or 'unknown fields'}"


def _brief(record: Record) -> str:
    return f"{record['kind']} {record['outcome']} {record['reason'] or ''} input {record['input']}".replace("  ", " ")


def _show(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _hex(value: bytes | None) -> str:
    return "none" if value is None else value.hex()
