"""The journal walked once: what each record says of inputs, accounts and money, ready to be looked up."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from typing import Any

from streams.reconciliation.proof.evidence import Evidence, Record

FINALS = frozenset(("POSTED", "COMPENSATED", "REJECTED", "APPLIED", "DUPLICATE", "DEAD_LETTERED"))
Figures = tuple[int, int, int]
"""(debits_pending, debits_posted, credits_posted)"""


class Fold:
    """Looked-up facts of all journals."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.finals: list[Counter[int]] = []
        """By partition: intent offset -> number of final outcomes."""
        self.unfinished: list[dict[int, Record]] = []
        """By partition: intent offset -> its PENDING or PARKED record, without a final outcome yet."""
        self.triggered: list[dict[tuple[str, int, int], int]] = []
        """By partition: (topic, offset, leg) of a trigger -> number of its records with ordinal 0."""
        self.history: dict[str, list[tuple[int, Figures]]] = defaultdict(list)
        """Account -> (version, figures), ascending."""
        self.home: dict[str, tuple[int, str]] = {}
        """Account -> (partition, currency)."""
        self.steps: dict[tuple[bytes, int], dict[int, tuple[int, Record]]] = defaultdict(dict)
        """(transfer, PENDING) -> step -> (partition, record)."""
        self.repeated_steps: list[tuple[int, Record]] = []
        for partition, journal in enumerate(evidence.journal):
            self._walk(partition, journal)

    def _walk(self, partition: int, journal: list[Record]) -> None:
        finals: Counter[int] = Counter()
        unfinished: dict[int, Record] = {}
        triggered: Counter[tuple[str, int, int]] = Counter()
        self.finals.append(finals)
        self.unfinished.append(unfinished)
        self.triggered.append(triggered)
        for record in journal:
            outcome = record["outcome"]
            if record["ordinal"] == 0:
                trigger = record["trigger"]
                triggered[trigger[0], trigger[2], trigger[3]] += 1
            if record["figures"] is not None:
                self._figures(partition, record)
            if outcome == "PENDING" or record["step"] > 1:
                self._step(partition, record)
            if outcome in FINALS:
                offset = self._intent_of(journal, record)
                finals[offset] += 1
                unfinished.pop(offset, None)
            elif outcome in ("PENDING", "PARKED"):
                unfinished[record["input"][2]] = record

    def _intent_of(self, journal: list[Record], record: Record) -> int:
        """Offset of the intent that a final record ends; -1 for a step 3 whose PENDING is not there."""
        if record["step"] < 3:
            return int(record["input"][2])
        at = record["pending"] - 1
        begun = journal[at] if 0 <= at < len(journal) else None
        if begun is None or begun["outcome"] != "PENDING" or begun["transfer"] != record["transfer"]:
            return -1
        return int(begun["input"][2])

    def _figures(self, partition: int, record: Record) -> None:
        account, figures = record["account"], record["figures"]
        self.history[account].append((record["sequence"], tuple(figures.values())))
        if record["kind"] == "OPEN":
            self.home[account] = (partition, record["currency"])

    def _step(self, partition: int, record: Record) -> None:
        pending = record["pending"] or record["sequence"]
        step = 1 if record["outcome"] == "PENDING" else record["step"]
        steps = self.steps[record["transfer"], pending]
        if step in steps:
            self.repeated_steps.append((partition, record))
        steps[step] = (partition, record)

    def figures_at(self, account: str, sequence: int) -> tuple[int, Figures] | None:
        """(version, figures) of an account at a journal sequence of its partition; None before it was opened."""
        versions = self.history.get(account, [])
        at = bisect_right(versions, sequence, key=lambda version: version[0])
        return versions[at - 1] if at else None

    def processed_to(self, partition: int, topic: str) -> tuple[int, int]:
        """The last (offset, leg) of an input topic that was a trigger; (-1, 0) if none was."""
        places = ((offset, leg) for name, offset, leg in self.triggered[partition] if name == topic)
        return max(places, default=(-1, 0))


def told(evidence: Evidence, partition: int, record: Record) -> str:
    """A journal record in a few words, and where it stands."""
    return f"{about(record)} at {evidence.where(partition, record['sequence'])}"


def about(record: Record) -> str:
    """A journal record in a few words."""
    words: list[Any] = [record["kind"], record["outcome"], record["reason"], record["account"], record["amount"]]
    transfer = record["transfer"]
    return " ".join(str(w) for w in words if w is not None) + (f" of {transfer.hex()}" if transfer else "")
