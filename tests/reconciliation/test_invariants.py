"""Each invariant is judged right: an honest ledger passes all nine; what is broken is named by the right one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.ledger.intents import OpenAccount, Transfer
from streams.reconciliation.invariants import Verdict, judge
from streams.reconciliation.proof.books import Digest
from streams.reconciliation.proof.evidence import ACCOUNT, Evidence
from tests.ledger.life import WORLD, Life
from tests.ledger.pair import Pair
from tests.reconciliation.exhibits import CODEC, exhibit


@pytest.fixture(scope="module")
def lived() -> Pair:
    """A ledger of eight partitions after a long life, with everything carried to its end."""
    pair = Pair(8)
    pair.send(OpenAccount(WORLD, "open", "EUR", minimum_balance=None))
    life = Life(pair, 7)
    while life.count < 2_000:
        life.step()
    pair.carry_all()
    pair.time += 86_400_000_000
    for partition in range(8):
        pair.tick(partition)
    return pair


def broken(evidence: Evidence) -> dict[int, Verdict]:
    """The invariants that do not hold."""
    return {v.number: v for v in judge(evidence, drained=True).verdicts if not v.holds}


def test_an_honest_ledger_passes_every_invariant(lived: Pair) -> None:
    """Whatever trouble the traffic was, the books are right: no false alarm."""
    assert broken(exhibit(lived)) == {}


def test_what_is_under_way_is_no_fault_while_the_ledger_runs(lived: Pair) -> None:
    """Legs that have not arrived and intents that wait are faults only where nothing may be under way."""
    pair = Pair(8)
    pair.send(OpenAccount("a", "open", "EUR", minimum_balance=None))
    pair.send(OpenAccount("b", "open", "EUR"))
    pair.send(Transfer("a", "pay", "b", 5, "EUR"))
    running = judge(exhibit(pair))
    assert running.holds
    assert {v.number for v in judge(exhibit(pair), drained=True).verdicts if not v.holds} == {1, 9}
    pair.carry_all()
    assert broken(exhibit(pair)) == {}


def settled_record(evidence: Evidence) -> tuple[int, dict[str, Any]]:
    """(partition, record) of some SETTLED."""
    return next((p, r) for p, journal in enumerate(evidence.journal) for r in journal if r["outcome"] == "SETTLED")


def busiest(evidence: Evidence) -> int:
    """The partition with the longest journal."""
    return max(range(8), key=lambda partition: len(evidence.journal[partition]))


def lose_an_outcome(e: Evidence) -> None:
    """An intent that nobody ever decided."""
    partition = busiest(e)
    intent = next(delivered for delivered in e.intents[partition].values() if delivered.body is not None)
    e.intents[partition][max(e.intents[partition]) + 1] = intent


def two_outcomes(e: Evidence) -> None:
    """A record that was processed a second time."""
    partition = busiest(e)
    again = dict(next(r for r in e.journal[partition] if r["outcome"] == "REJECTED"))
    again["sequence"] = len(e.journal[partition]) + 1
    e.journal[partition].append(again)
    e.offsets[partition].append(e.offsets[partition][-1] + 2)


def no_cause(e: Evidence) -> None:
    """A journal record whose input is in no topic."""
    partition = busiest(e)
    offset = next(r["input"][2] for r in e.journal[partition] if r["kind"] == "TICK")
    del e.intents[partition][offset]


def lone_debit(e: Evidence) -> None:
    """An entry without its credit."""
    settled_record(e)[1]["entry"].pop()


def changed_amount(e: Evidence) -> None:
    """One side of an entry changed."""
    settled_record(e)[1]["entry"][0]["amount"] += 1


def unbalanced_postings(e: Evidence) -> None:
    """Postgres holds an entry that does not sum to zero."""
    e.books = e.books._replace(unbalanced=[(0, 1, "EUR", 5)])


def tampered_row(e: Evidence) -> None:
    """An account row that the journal does not give."""
    partition = busiest(e)
    table = e.tables[partition]
    key = next(key for key in table if key[0] == ACCOUNT)
    row = CODEC.decode_account(table[key][0])
    table[key] = (CODEC.encode_account(row._replace(credits_posted=row.credits_posted + 1)), 1)


def tampered_balance(e: Evidence) -> None:
    """A balance in Postgres that the journal does not give."""
    name, balance = next(iter(e.books.balances.items()))
    e.books.balances[name] = balance._replace(debits_posted=balance.debits_posted + 1)


def wrong_decision(e: Evidence) -> None:
    """An intent that was refused though nothing was wrong with it."""
    partition = busiest(e)
    record = next(r for r in e.journal[partition] if r["kind"] == "FREEZE" and r["outcome"] == "APPLIED")
    record.update(outcome="REJECTED", reason="account_frozen", figures=None)


def overdrawn(e: Evidence) -> None:
    """A transfer that left its payer below zero."""
    for partition, journal in enumerate(e.journal):
        for record in journal:
            if record["kind"] == "TRANSFER" and record["outcome"] == "PENDING" and record["account"] != WORLD:
                opened = next(r for r in journal if r["kind"] == "OPEN" and r["account"] == record["account"])
                body = e.intents[partition][opened["input"][2]].body
                assert body is not None
                body["minimum_balance"] = 10**15


def key_used_twice(e: Evidence) -> None:
    """An intent that posted under a key that another body holds."""
    every = (record for journal in e.journal for record in journal)
    record = next(r for r in every if r["reason"] == "exists_with_different_amount")
    record.update(outcome="PENDING", reason=None, pending=record["sequence"])


def leg_lost(e: Evidence) -> None:
    """A leg that was passed over."""
    partition = max(range(8), key=lambda p: len(e.legs[p]))
    place = max(e.legs[partition])
    e.legs[partition][place[0] + 1, 0] = e.legs[partition][place]


def gap(e: Evidence) -> None:
    """A journal record that is not there any more."""
    partition = busiest(e)
    del e.journal[partition][len(e.journal[partition]) // 2]


def sink_in_another_journal(e: Evidence) -> None:
    """Postgres was filled from a journal with other bytes."""
    e.hashes = dict.fromkeys(e.hashes, b"x" * 32)


def event_tampered(e: Evidence) -> None:
    """A row of transfer_events that was changed in Postgres."""
    partition = busiest(e)
    events = e.books.events[partition]
    e.books.events[partition] = Digest(events.rows, events.last, events.sum ^ 1)


def money_from_nowhere(e: Evidence) -> None:
    """A credit that no debit pays for: the figures say so in every place, the entry balances."""
    _, record = settled_record(e)
    for posting in record["entry"]:
        posting["amount"] += 1
    record["amount"] += 1


BREAKS: list[tuple[Callable[[Evidence], None], int]] = [
    (lose_an_outcome, 1),
    (two_outcomes, 1),
    (no_cause, 1),
    (lone_debit, 2),
    (changed_amount, 2),
    (unbalanced_postings, 2),
    (tampered_row, 3),
    (tampered_balance, 3),
    (wrong_decision, 3),
    (overdrawn, 4),
    (key_used_twice, 5),
    (leg_lost, 6),
    (gap, 7),
    (sink_in_another_journal, 7),
    (event_tampered, 8),
    (tampered_row, 8),
    (money_from_nowhere, 9),
]


@pytest.mark.parametrize(("tamper", "number"), BREAKS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_what_is_broken_is_named(
    lived: Pair, tamper: Callable[[Evidence], None], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Books broken on purpose in one place: the invariant that this breaks says so, with an example."""
    monkeypatch.setattr("streams.reconciliation.proof.digests.event_lines", lambda *_: [])
    monkeypatch.setattr("streams.reconciliation.proof.digests.posting_lines", lambda *_: [])
    evidence = exhibit(lived)
    tamper(evidence)
    verdicts = broken(evidence)
    assert number in verdicts
    assert verdicts[number].examples[0]
