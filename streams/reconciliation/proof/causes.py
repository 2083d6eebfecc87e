"""Invariants 1, 5 and 6: every input has its outcome, every outcome its input, and every key one outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streams.reconciliation.model.memory import KIND_OF, Memory
from streams.reconciliation.proof.evidence import Evidence, Record
from streams.reconciliation.proof.fold import Fold, about, told

STEP_OF = {"CREDIT": (2, ("SETTLED", "REFUSED")), "SETTLED": (3, ("POSTED",)), "REFUSED": (3, ("COMPENSATED",))}
WINDOW_SECONDS = 30 * 86_400


def one_final_outcome(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """Invariant 1."""
    for partition, intents in enumerate(evidence.intents):
        finals, unfinished = fold.finals[partition], fold.unfinished[partition]
        reached, _ = fold.processed_to(partition, "INTENTS")
        for offset, delivered in intents.items():
            where = evidence.where_intent(partition, offset)
            if delivered.body is None and not delivered.reason:
                continue
            if finals[offset] > 1:
                outcomes = _outcomes(evidence, partition, offset)
                yield f"{where} ({delivered.name}) has {finals[offset]} final outcomes: {outcomes}"
            elif finals[offset] == 0 and offset in unfinished:
                if drained:
                    yield f"{where} has no final outcome: {told(evidence, partition, unfinished[offset])}"
            elif finals[offset] == 0 and (drained or offset <= reached):
                what = delivered.name or delivered.reason
                yield f"{where} ({what}) was never decided, the partition is at offset {reached}"
        yield from _uncaused(evidence, fold, partition)


def _outcomes(evidence: Evidence, partition: int, offset: int) -> str:
    found = [r for r in evidence.journal[partition] if r["input"][0] == "INTENTS" and r["input"][2] == offset]
    found += [
        r
        for r in evidence.journal[partition]
        if r["step"] == 3 and any(b["sequence"] == r["pending"] and b["outcome"] == "PENDING" for b in found)
    ]
    return "; ".join(f"{told(evidence, partition, r)}" for r in found[:6])


def _uncaused(evidence: Evidence, fold: Fold, partition: int) -> Iterator[str]:
    """Records whose input or trigger no topic has."""
    intents, legs = evidence.intents[partition], evidence.legs[partition]
    for record in evidence.journal[partition]:
        for name in ("input", "trigger"):
            topic, where, offset, leg = record[name]
            known = offset in intents if topic == "INTENTS" else (offset, leg) in legs
            if not known or where != partition:
                place = evidence.where(partition, record["sequence"])
                yield f"{about(record)} at {place} names an {name} that does not exist: {record[name]}"
    if fold.finals[partition][-1]:
        record = next(
            r for r in evidence.journal[partition] if r["step"] == 3 and _pending(evidence, partition, r) is None
        )
        yield f"{told(evidence, partition, record)} ends a transfer that never began"


def _pending(evidence: Evidence, partition: int, record: Record) -> Record | None:
    at = record["pending"] - 1
    begun = evidence.journal[partition][at] if 0 <= at < len(evidence.journal[partition]) else None
    fits = begun is not None and begun["outcome"] == "PENDING" and begun["transfer"] == record["transfer"]
    return begun if fits else None


def one_key_one_outcome(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """Invariant 5: within its window a key belongs to one input; duplicates name it, other bodies never post."""
    for partition, journal in enumerate(evidence.journal):
        yield from _Keys(evidence, partition).walk(journal)


class _Keys:
    """Who holds each idempotency key of one partition: told from the bodies of the intents."""

    def __init__(self, evidence: Evidence, partition: int) -> None:
        self._evidence = evidence
        self._partition = partition
        self._owner: dict[bytes, int] = {}
        self._until: dict[bytes, int] = {}
        self._window = WINDOW_SECONDS

    def walk(self, journal: list[Record]) -> Iterator[str]:
        intents = self._evidence.intents[self._partition]
        for record in journal:
            transfer, outcome, step = record["transfer"], record["outcome"], record["step"]
            if transfer is None or step == 2 or outcome == "EXPIRED":
                continue
            if step == 3:
                self._until[transfer] = record["time"] + self._window * 1_000_000
                continue
            offset = record["input"][2]
            reason = record["reason"] or ""
            fault = None
            if outcome == "DUPLICATE" or reason.startswith("exists_"):
                fault = self._answered(record, offset, outcome == "DUPLICATE")
            elif reason != "misrouted":
                fault = self._taken(record, transfer, offset)
            if fault:
                yield f"{told(self._evidence, self._partition, record)}: {fault}"
            delivered = intents.get(offset)
            if record["kind"] == "CONFIGURE" and outcome == "APPLIED" and delivered and delivered.body:
                self._window = delivered.body["window_seconds"]

    def _taken(self, record: Record, transfer: bytes, offset: int) -> str | None:
        owner = self._owner.get(transfer)
        until = self._until.get(transfer)
        fault = None
        if owner is not None and owner != offset and (until is None or until > record["time"]):
            fault = f"the key belongs to {self._evidence.where_intent(self._partition, owner)}"
        self._owner[transfer] = offset
        if record["outcome"] in ("REJECTED", "APPLIED"):
            self._until[transfer] = record["time"] + self._window * 1_000_000
        elif owner != offset:
            self._until.pop(transfer, None)
        return fault

    def _answered(self, record: Record, offset: int, same: bool) -> str | None:
        owner = self._owner.get(record["transfer"])
        intents = self._evidence.intents[self._partition]
        ours = intents.get(offset)
        if owner is None or ours is None or ours.body is None:
            return "no intent holds this key"
        theirs = intents[owner]
        assert theirs.body is not None
        difference = Memory(theirs.name, theirs.body, None, b"", ("", 0, 0, 0)).difference(ours.name, ours.body)
        if same and difference is not None:
            return f"it differs in {difference} from {self._evidence.where_intent(self._partition, owner)}"
        if same and record["first"]["input"][2] != owner:
            return f"the first one was {self._evidence.where_intent(self._partition, owner)}"
        if not same and record["reason"] != f"exists_with_different_{difference}":
            return f"the difference is {difference}"
        return None


def inputs_match(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """Invariant 6: inputs and triggers one to one, legs too; outcomes by kind add up to the intents."""
    for partition in range(len(evidence.journal)):
        yield from _triggers(evidence, fold, partition, drained)
        yield from _legs(evidence, fold, partition)
        yield from _kinds(evidence, fold, partition)
    for (transfer, pending), steps in fold.steps.items():
        yield from _legs_sent(evidence, transfer, pending, steps)


def _triggers(evidence: Evidence, fold: Fold, partition: int, drained: bool) -> Iterator[str]:
    triggered = fold.triggered[partition]
    for (topic, offset, leg), times in triggered.items():
        if times != 1:
            where = (
                evidence.where_leg(partition, offset, leg)
                if topic == "LEGS"
                else evidence.where_intent(partition, offset)
            )
            yield f"{where} was processed {times} times"
    reached, _ = fold.processed_to(partition, "INTENTS")
    for offset in evidence.intents[partition]:
        if ("INTENTS", offset, 0) not in triggered and (drained or offset <= reached):
            yield f"{evidence.where_intent(partition, offset)} was passed over: the partition is at offset {reached}"
    last = fold.processed_to(partition, "LEGS")
    for offset, leg in evidence.legs[partition]:
        if ("LEGS", offset, leg) not in triggered and (drained or (offset, leg) <= last):
            yield f"{evidence.where_leg(partition, offset, leg)} was passed over: the partition is at {last}"


def _legs(evidence: Evidence, fold: Fold, partition: int) -> Iterator[str]:
    """Each leg that was applied says what its record says; each record of step 2 or 3 is of its leg."""
    for record in evidence.journal[partition]:
        place = record["input"]
        leg = evidence.legs[partition].get((place[2], place[3])) if place[0] == "LEGS" else None
        if leg is None or record["reason"] == "operator_refused":
            continue
        step, outcomes = STEP_OF[leg.fields["kind"]]
        sides = ("payee", "payer") if step == 2 else ("payer", "payee")
        said = (leg.fields["transfer"], leg.fields["pending"], leg.fields["amount"], leg.fields["currency"])
        done = (record["transfer"], record["pending"], record["amount"], record["currency"])
        names = (leg.fields[sides[0]], leg.fields[sides[1]]) == (record["account"], record["counterparty"])
        if said != done or not names or record["step"] != step or record["outcome"] not in outcomes:
            where = evidence.where_leg(partition, place[2], place[3])
            yield f"{told(evidence, partition, record)} is not what {where} asks: {leg.fields}"


def _legs_sent(
    evidence: Evidence, transfer: bytes, pending: int, steps: dict[int, tuple[int, Record]]
) -> Iterator[str]:
    for step, earlier in ((2, 1), (3, 2)):
        if step in steps and earlier not in steps:
            partition, record = steps[step]
            yield f"{told(evidence, partition, record)} has no step {earlier} (pending {pending})"


def _kinds(evidence: Evidence, fold: Fold, partition: int) -> Iterator[str]:
    reached, _ = fold.processed_to(partition, "INTENTS")
    sent: Counter[str] = Counter()
    for offset, delivered in evidence.intents[partition].items():
        if offset <= reached:
            unreadable = "UNREADABLE" if delivered.reason else "TICK"
            sent[KIND_OF[delivered.name] if delivered.body is not None else unreadable] += 1
    ended: Counter[str] = Counter(
        record["kind"]
        for record in evidence.journal[partition]
        if record["outcome"] in ("POSTED", "COMPENSATED", "REJECTED", "APPLIED", "DUPLICATE", "DEAD_LETTERED", "TICKED")
    )
    ended.update(record["kind"] for record in fold.unfinished[partition].values())
    for kind in sent.keys() | ended.keys():
        if sent[kind] != ended[kind]:
            yield f"partition {partition}: {sent[kind]} inputs of kind {kind}, but {ended[kind]} outcomes and under way"


def leg_numbers(evidence: Evidence) -> Iterator[str]:
    """Legs are numbered without a gap for each pair of partitions (part of invariant 7)."""
    expected: Counter[tuple[int, int]] = Counter()
    for partition, legs in enumerate(evidence.legs):
        for (offset, index), leg in legs.items():
            expected[leg.source, partition] += 1
            if leg.number != expected[leg.source, partition]:
                where = evidence.where_leg(partition, offset, index)
                wanted = expected[leg.source, partition]
                yield f"{where} has the number {leg.number} from partition {leg.source}, expected {wanted}"
                expected[leg.source, partition] = leg.number
