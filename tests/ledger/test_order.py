"""An account's own numbering of its intents."""

from __future__ import annotations

import pytest

from streams.ledger.intents import Close, Configure, Freeze, Transfer
from streams.ledger.vocabulary import Outcome
from tests.ledger.world import World, id_of


@pytest.fixture
def world() -> World:
    """Ann has 1,000 and numbers her intents; at most three may wait, for ten seconds."""
    world = World()
    world.open("ann", 1_000)
    world.open("bob")
    world.applied(Configure("order", 1, 86_400, 10, 3))
    return world


def pay(number: int, amount: int = 1, key: str = "") -> Transfer:
    """Ann's intent of this number."""
    return Transfer("ann", key or f"pay {number}", "bob", amount, "EUR", sequence=number)


def test_the_next_number_is_decided_and_used_up(world: World) -> None:
    """1, 2, 3 in order, each once."""
    assert [world.send(pay(n)).outcome for n in (1, 2, 3)] == [Outcome.PENDING] * 3
    assert world.account("ann").next_sequence == 4


def test_a_refusal_uses_up_its_number(world: World) -> None:
    """Else one bad intent would block its account for ever."""
    assert world.send(pay(1, amount=5_000)).reason == "insufficient_funds"
    assert world.send(pay(2)).outcome is Outcome.PENDING


def test_an_old_number_is_stale_and_keeps_its_key(world: World) -> None:
    """sequence_stale is final, and uses up no number."""
    world.send(pay(1))
    assert world.send(pay(1, key="late")).reason == "sequence_stale"
    assert world.send(pay(1, key="late")).outcome is Outcome.DUPLICATE
    assert world.send(pay(0, key="zero")).reason == "sequence_stale"
    assert world.send(pay(-5, key="negative")).reason == "sequence_stale"
    assert world.account("ann").next_sequence == 2


def test_an_early_intent_waits_until_the_gap_fills_then_all_run_in_order(world: World) -> None:
    """One decision: the filler, then those parked, each with its own input, the filler as trigger, ordinals on."""
    parked = [world.send(pay(n)) for n in (3, 2)]
    assert [record.outcome for record in parked] == [Outcome.PARKED] * 2
    filler = world.send(pay(1))
    records = world.last.records
    assert [record.transfer for record in records] == [id_of(pay(n)) for n in (1, 2, 3)]
    assert [record.input for record in records] == [filler.input, parked[1].input, parked[0].input]
    assert {record.trigger for record in records} == {filler.input}
    assert [record.ordinal for record in records] == [0, 1, 2]
    assert (world.account("ann").parked, world.account("ann").next_sequence) == (0, 4)
    assert world.states[0].parkings == {}
    assert [leg.transfer for _, leg in world.last.legs] == [id_of(pay(n)) for n in (1, 2, 3)]


def test_a_parked_intent_is_journaled_whole_once(world: World) -> None:
    """Its bytes are in PARKED, and not again in the later decision; its key is reserved meanwhile."""
    early = pay(2)._replace(wire=b"bytes")
    assert world.send(early).intent == b"bytes"
    assert world.send(early).first is not None
    world.send(pay(1)._replace(wire=b"first"))
    assert [record.intent for record in world.last.records] == [b"first", None]


def test_a_gap_that_is_not_filled_in_time_refuses_what_waited_but_stays_expected(world: World) -> None:
    """sequence_gap at the deadline, by the next record that moves time; the missing number is still the next."""
    early = world.send(pay(2))
    world.wait(10)
    gap, tick = world.tick()
    assert (gap.outcome, gap.reason, gap.input) == (Outcome.REJECTED, "sequence_gap", early.input)
    assert gap.trigger == tick.input
    assert (world.account("ann").next_sequence, world.account("ann").parked) == (1, 0)
    assert world.send(pay(1)).outcome is Outcome.PENDING
    assert world.send(pay(2, key="again")).outcome is Outcome.PENDING


def test_a_filler_that_comes_with_the_deadline_comes_too_late(world: World) -> None:
    """Deadlines run before the intent: at the deadline itself the parked one is refused, a microsecond before not."""
    world.send(pay(2))
    world.wait(10)
    world.now -= 1
    world.send(pay(3))
    world.now += 1
    world.send(pay(1))
    assert [record.reason for record in world.last.records] == ["sequence_gap", None]
    world.send(pay(2, key="again"))
    assert [record.outcome for record in world.last.records] == [Outcome.PENDING] * 2


def test_two_intents_cannot_wait_for_one_number(world: World) -> None:
    """sequence_taken keeps its key and leaves the first one parked."""
    world.send(pay(2))
    assert world.send(pay(2, key="other")).reason == "sequence_taken"
    assert world.account("ann").parked == 1


def test_what_waits_is_bounded(world: World) -> None:
    """Of a limit of three the fourth is refused, so that no account fills the table."""
    assert [world.send(pay(n)).reason for n in (2, 3, 4, 5)] == [None, None, None, "sequence_parked_full"]
    world.send(pay(1))
    assert world.account("ann").next_sequence == 5


def test_answers_that_are_no_decision_use_up_no_number(world: World) -> None:
    """exists_*, DUPLICATE and misrouted leave the expected number as it is."""
    world.send(pay(1))
    world.send(pay(1))
    world.send(pay(2, key="pay 1"))
    world.send(pay(2), misrouted=True)
    assert world.account("ann").next_sequence == 2


def test_intents_without_a_number_do_not_wait(world: World) -> None:
    """Only numbered intents are ordered."""
    world.send(pay(2))
    assert world.send(Transfer("ann", "free", "bob", 1, "EUR")).outcome is Outcome.PENDING


def test_a_parked_intent_meets_the_account_as_it_is_when_its_turn_comes(world: World) -> None:
    """The rules are asked at the decision, not when it was parked."""
    world.send(pay(2))
    world.send(Freeze("ann", "freeze", sequence=1))
    assert [record.reason for record in world.last.records] == [None, "account_frozen"]


def test_a_parked_close_does_not_count_itself(world: World) -> None:
    """An account closes when its last intent is the close that waited; another waiting one keeps it open."""
    world.open("new")
    world.send(Close("new", "close", sequence=2))
    world.send(Freeze("new", "freeze", sequence=1))
    assert world.last.records[1].reason == "account_frozen"
    world.open("tidy")
    world.send(Close("tidy", "close", sequence=2))
    world.send(Transfer("tidy", "bad", "bob", 5, "EUR", sequence=1))
    assert [record.outcome for record in world.last.records] == [Outcome.REJECTED, Outcome.APPLIED]
    world.open("busy")
    world.send(Transfer("busy", "early", "bob", 5, "EUR", sequence=7))
    assert world.send(Close("busy", "close")).reason == "account_not_empty"


def test_a_gap_filled_after_the_limits_changed_still_frees_all(world: World) -> None:
    """A smaller park limit stops new ones, never those that wait."""
    for number in (2, 3):
        world.send(pay(number))
    world.applied(Configure("none", 1, 86_400, 10, 0))
    assert world.send(pay(9)).reason == "sequence_parked_full"
    world.send(pay(1))
    assert len(world.last.records) == 3
