"""Invariants 2, 4, 7 and 9: entries balance, nobody is overdrawn, order is without gaps, money is conserved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from streams.reconciliation.proof.causes import leg_numbers
from streams.reconciliation.proof.evidence import Evidence, Record
from streams.reconciliation.proof.fold import Fold, about, told


def entries_balance(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """Invariant 2: in the journal, and in Postgres' snapshot."""
    for partition, journal in enumerate(evidence.journal):
        at = evidence.books.positions
        upto = at[partition].sequence if partition in at else 0
        settled = 0
        for record in journal:
            entry = record["entry"]
            if (entry is not None) != (record["outcome"] == "SETTLED"):
                yield f"{told(evidence, partition, record)} has entry {entry}"
            if entry is not None:
                settled += record["sequence"] <= upto
                fault = _unbalanced(record)
                if fault:
                    yield f"{told(evidence, partition, record)}: {fault}"
        entries, posted = evidence.books.entries.get(partition, (0, 0))
        if not entries == posted == settled:
            yield (
                f"Postgres at sequence {upto} of partition {partition}: {entries} entries, {posted} of them with "
                f"postings, but {settled} SETTLED records in the journal"
            )
    for partition, sequence, currency, difference in evidence.books.unbalanced:
        yield f"Postgres: the entry of partition {partition} sequence {sequence} is off by {difference} {currency}"
    for currency, (debits, credits) in evidence.books.totals.items():
        if debits != credits:
            yield f"Postgres: debits {debits} and credits {credits} of {currency} differ"


def _unbalanced(record: Record) -> str | None:
    sums: Counter[str] = Counter()
    for posting in record["entry"]:
        if posting["amount"] <= 0:
            return f"a posting of {posting['amount']}"
        sums[posting["currency"]] += posting["amount"] if posting["side"] == "DEBIT" else -posting["amount"]
    if any(sums.values()):
        return f"the entry does not balance: {record['entry']}"
    credited = sum(p["amount"] for p in record["entry"] if p["side"] == "CREDIT" and p["account"] == record["account"])
    return None if credited == record["amount"] else f"the entry credits {credited} to the account: {record['entry']}"


def nobody_is_overdrawn(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """Invariant 4: no debit decision takes an account below its minimum at any prefix, unless an operator forces it."""
    for partition, journal in enumerate(evidence.journal):
        minimum: dict[str, int | None] = {}
        intents = evidence.intents[partition]
        for record in journal:
            kind, outcome, figures = record["kind"], record["outcome"], record["figures"]
            if figures is None or outcome not in ("PENDING", "APPLIED"):
                continue
            delivered = intents.get(record["input"][2])
            body = delivered.body if delivered is not None else None
            if body is None:
                continue
            if kind in ("OPEN", "SET_LIMITS"):
                minimum[record["account"]] = body["minimum_balance"]
            elif kind in ("TRANSFER", "HOLD", "REVERSE") and not body.get("force"):
                left = figures["credits_posted"] - figures["debits_posted"] - figures["debits_pending"]
                floor = minimum.get(record["account"])
                if floor is not None and left < floor:
                    where = evidence.where(partition, record["sequence"])
                    yield f"{about(record)} at {where} leaves {left}, the minimum balance is {floor}"


def forced(evidence: Evidence) -> int:
    """How many reversals an operator forced."""
    return sum(
        record["kind"] == "REVERSE" and record["outcome"] == "PENDING" and _force(evidence, partition, record)
        for partition, journal in enumerate(evidence.journal)
        for record in journal
    )


def _force(evidence: Evidence, partition: int, record: Record) -> bool:
    delivered = evidence.intents[partition].get(record["input"][2])
    return delivered is not None and delivered.body is not None and bool(delivered.body.get("force"))


def order_has_no_gaps(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """Invariant 7: journal sequences, leg numbers, and where Postgres stands in them."""
    for partition, journal in enumerate(evidence.journal):
        time = 0
        for expected, record in enumerate(journal, 1):
            if record["sequence"] != expected:
                where = f"the journal's partition {partition} offset {evidence.offsets[partition][expected - 1]}"
                yield f"{where} has sequence {record['sequence']}, expected {expected}"
                break
            if record["time"] < time:
                yield f"{told(evidence, partition, record)}: time goes back by {time - record['time']} us"
            time = record["time"]
        yield from _sink(evidence, partition)
    yield from leg_numbers(evidence)


def _sink(evidence: Evidence, partition: int) -> Iterator[str]:
    position = evidence.books.positions.get(partition)
    events = evidence.books.events.get(partition)
    rows, last = (0, 0) if events is None else (events.rows, events.last)
    at = 0 if position is None else position.sequence
    if not rows == last == at:
        yield f"Postgres: partition {partition} stands at sequence {at}, but has {rows} events up to sequence {last}"
    length = len(evidence.journal[partition])
    if at > length:
        yield f"Postgres: partition {partition} stands at sequence {at}, the journal ends at {length}"
    elif position is not None and at > 0:
        where = evidence.where(partition, at)
        if evidence.offsets[partition][at - 1] != position.offset:
            yield f"Postgres: partition {partition} holds offset {position.offset} for {where}"
        elif evidence.hashes.get((partition, position.offset)) != position.hash:
            yield f"Postgres: partition {partition} was filled from another journal: the hash of {where} differs"


def money_is_conserved(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """Invariant 9: per currency, at the journals' ends; and no transfer is left without an end."""
    at_rest: Counter[str] = Counter()
    pending: Counter[str] = Counter()
    for account, versions in fold.history.items():
        currency = fold.home[account][1]
        debits_pending, debits_posted, credits_posted = versions[-1][1]
        at_rest[currency] += credits_posted - debits_posted
        pending[currency] += debits_pending
    crossing, reserved = _under_way(evidence, fold)
    for currency in at_rest.keys() | crossing.keys():
        if at_rest[currency] != crossing[currency]:
            yield (
                f"{currency}: credits less debits of all accounts are {at_rest[currency]}, "
                f"but {crossing[currency]} are settled and not yet posted"
            )
        if pending[currency] != reserved[currency]:
            yield f"{currency}: {pending[currency]} pending at all accounts, but {reserved[currency]} held or under way"
    for partition, record in fold.repeated_steps:
        yield f"{told(evidence, partition, record)}: this step was taken before"
    for (transfer, _), steps in fold.steps.items():
        if drained and 3 not in steps:
            partition, record = steps[max(steps)]
            yield f"{transfer.hex()} has no end: {told(evidence, partition, record)}"


def _under_way(evidence: Evidence, fold: Fold) -> tuple[Counter[str], Counter[str]]:
    """Per currency: SETTLED less POSTED; and what holds and transfers without an end reserve."""
    crossing: Counter[str] = Counter()
    reserved: Counter[str] = Counter()
    for journal in evidence.journal:
        for record in journal:
            outcome, kind, currency, amount = (record[f] for f in ("outcome", "kind", "currency", "amount"))
            if outcome == "SETTLED":
                crossing[currency] += amount
            elif outcome == "POSTED":
                crossing[currency] -= amount
                reserved[currency] -= amount
            elif record["figures"] is None:
                continue
            elif outcome == "PENDING" or (outcome == "APPLIED" and kind == "HOLD"):
                reserved[currency] += amount
            elif outcome in ("COMPENSATED", "EXPIRED") or (outcome == "APPLIED" and kind == "RELEASE"):
                reserved[currency] -= amount
    return crossing, reserved


def totals(evidence: Evidence) -> dict[str, tuple[int, int]]:
    """Currency -> (debits, credits) of the journal's entries."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for journal in evidence.journal:
        for record in journal:
            for posting in record["entry"] or ():
                sums[posting["currency"]][posting["side"] == "CREDIT"] += posting["amount"]
    return {currency: (debits, credits) for currency, (debits, credits) in sorted(sums.items())}
