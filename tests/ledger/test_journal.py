"""What each record carries: the journal is the complete record."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.ledger.intents import Capture, Hold, OpenAccount, Release, Reverse, Transfer
from streams.ledger.journal import DeadLetter, JournalRecord
from streams.ledger.vocabulary import Kind, Outcome
from tests.ledger.world import World, id_of

MONEY = {Kind.TRANSFER, Kind.CAPTURE, Kind.REVERSE}
WITH_FIGURES = {Outcome.SETTLED, Outcome.POSTED, Outcome.EXPIRED}


@pytest.fixture(scope="module")
def journal() -> list[JournalRecord]:
    """A life with every outcome in it."""
    world = World()
    for id, balance in [("ann", 1_000), ("bob", 0)]:
        world.open(id, balance)
    pay = Transfer("ann", "pay", "bob", 100, "EUR", wire=b"pay")
    hold = Hold("ann", "hold", 300, "EUR", "bob", expires_in_seconds=10, wire=b"hold")
    world.settled(pay)
    world.send(pay)
    world.send(pay._replace(amount=1))
    world.send(Transfer("ann", "early", "bob", 1, "EUR", sequence=2, wire=b"early"))
    world.send(Transfer("ann", "lost", "nobody", 1, "EUR", wire=b"lost"))
    world.applied(hold)
    world.send(Capture("ann", "capture", id_of(hold), 100, wire=b"capture"))
    world.send(Capture("ann", "astray", id_of(hold), 100, "nobody", wire=b"astray"))
    world.deliver()
    world.applied(Release("ann", "release", id_of(hold), 50, wire=b"release"))
    world.settled(Reverse("bob", "back", id_of(pay), 10, wire=b"back"))
    world.send(OpenAccount("ann", "again", "EUR", wire=b"again"))
    world.send(Transfer("x y", "bad", "bob", 1, "EUR", wire=b"bad"))
    world.wait(60)
    world.unreadable()
    world.tick()
    return world.journals[0]


def test_every_outcome_is_written(journal: list[JournalRecord]) -> None:
    """The fixture leaves none out, so that the rules below speak about all."""
    assert {record.outcome for record in journal} == set(Outcome)


def test_every_record_says_when_by_which_rules_and_why(journal: list[JournalRecord]) -> None:
    """Time never goes back; the ordinal counts the records of one trigger."""
    times = [record.time for record in journal]
    assert times == sorted(times)
    for before, record in pairwise(journal):
        assert record.rules == 1
        assert record.ordinal == (before.ordinal + 1 if before.trigger == record.trigger else 0)


def test_every_input_gives_exactly_one_final_decision_of_its_own(journal: list[JournalRecord]) -> None:
    """Each input is answered once at step 1, 2 or 3; deadlines come beside it."""
    answers = [record.input for record in journal if record.outcome not in (Outcome.EXPIRED, Outcome.PARKED)]
    assert len(answers) == len(set(answers))
    assert set(answers) == {record.input for record in journal}


def test_a_reason_comes_with_a_refusal_and_only_with_one(journal: list[JournalRecord]) -> None:
    """REJECTED, REFUSED, COMPENSATED and DEAD_LETTERED say why."""
    refusals = {Outcome.REJECTED, Outcome.REFUSED, Outcome.COMPENSATED, Outcome.DEAD_LETTERED}
    for record in journal:
        assert (record.reason is not None) == (record.outcome in refusals)


def test_steps_are_those_of_moving_money(journal: list[JournalRecord]) -> None:
    """1 at the payer, 2 at the payee, 3 back at the payer; 0 for what does not move money."""
    later = {Outcome.SETTLED: 2, Outcome.REFUSED: 2, Outcome.POSTED: 3, Outcome.COMPENSATED: 3}
    for record in journal:
        assert record.step == (later.get(record.outcome, 1) if record.kind in MONEY else 0)


def test_an_entry_is_in_settled_alone_and_balances(journal: list[JournalRecord]) -> None:
    """DEBIT the payer, CREDIT the payee, the same amount and currency."""
    for record in journal:
        assert (record.entry is not None) == (record.outcome is Outcome.SETTLED)
        if record.entry is not None:
            debit, credit = record.entry
            assert (debit.side, debit.account) == ("DEBIT", record.counterparty)
            assert (credit.side, credit.account) == ("CREDIT", record.account)
            assert (debit.amount, debit.currency) == (credit.amount, credit.currency) == (record.amount, "EUR")


def test_figures_are_there_exactly_when_they_changed(journal: list[JournalRecord]) -> None:
    """A capture only moves inside its hold, so its PENDING and its return to open have none."""
    for record in journal:
        capture = record.kind is Kind.CAPTURE
        expected = (
            record.outcome in WITH_FIGURES
            or (record.outcome in (Outcome.PENDING, Outcome.COMPENSATED) and not capture)
            or record.outcome is Outcome.APPLIED
        )
        assert (record.figures is not None) == expected


def test_an_intents_bytes_are_in_its_first_record_that_stores_a_row(journal: list[JournalRecord]) -> None:
    """Once, so that the journal alone rebuilds the tables; not in duplicates or refusals without a key."""
    bytes_of = [record.intent for record in journal if record.intent]
    assert len(bytes_of) == len(set(bytes_of))
    assert {b"pay", b"early", b"lost", b"hold", b"capture", b"astray", b"release", b"back", b"again", b"bad"} == set(
        bytes_of
    )
    for record in journal:
        no_key = record.outcome is Outcome.DUPLICATE or (record.reason or "").startswith("exists_with")
        later = record.step in (2, 3) or record.outcome is Outcome.EXPIRED or record.reason == "sequence_gap"
        no_intent = record.kind in (Kind.TICK, Kind.UNREADABLE)
        assert (record.intent is None) == (no_key or later or no_intent)


def test_the_origin_of_a_capture_or_reversal_is_in_the_payers_records(journal: list[JournalRecord]) -> None:
    """The hold, or the original transfer, with the sequence that tells its lives apart; not in step 2."""
    of_origin = {Kind.CAPTURE, Kind.REVERSE, Kind.RELEASE}
    undecided = {Outcome.DUPLICATE, Outcome.REJECTED, Outcome.PARKED}
    for record in journal:
        expected = record.kind in of_origin and record.step != 2 and record.outcome not in undecided
        assert (record.origin is not None) == expected
        assert (record.origin_pending > 0) == expected


def test_ticks_and_dead_letters_are_records_too(journal: list[JournalRecord]) -> None:
    """They name no transfer and no account; a dead letter says how long it was and its hash."""
    tick = next(record for record in journal if record.kind is Kind.TICK)
    letter = next(record for record in journal if record.kind is Kind.UNREADABLE)
    for record in (tick, letter):
        assert (record.transfer, record.account, record.step) == (None, None, 0)
    assert (letter.reason, letter.dead_letter) == ("truncated", DeadLetter(3, b"\x01" * 32))
