"""Reversals: a settled transfer sent back by its payee."""

from __future__ import annotations

import pytest

from streams.ledger.intents import Capture, Freeze, Hold, Reverse, Transfer
from streams.ledger.journal import Posting
from streams.ledger.vocabulary import Kind, Outcome
from tests.ledger.world import DAY, World, id_of

PAY = Transfer("ann", "pay", "bob", 300, "EUR")
ID = id_of(PAY)


@pytest.fixture
def world() -> World:
    """Ann has paid Bob 300 of her 1,000."""
    world = World()
    world.open("ann", 1_000)
    world.open("bob")
    world.settled(PAY)
    return world


def back(amount: int | None = None, key: str = "back", force: bool = False) -> Reverse:
    """Bob's reversal."""
    return Reverse("bob", key, ID, amount, force)


def left(world: World) -> tuple[int, int]:
    """reversing, reversed."""
    (row,) = world.states[0].settlements[ID]
    return row.reversing, row.reversed


def test_a_reversal_is_a_transfer_from_payee_to_payer(world: World) -> None:
    """The same three steps, a new entry, and the original stays as it is."""
    record = world.send(back(100))
    assert (record.kind, record.account, record.counterparty, record.amount) == (Kind.REVERSE, "bob", "ann", 100)
    assert record.origin == ID
    assert left(world) == (100, 0)
    settled, posted = world.deliver()
    assert settled.entry == (Posting("bob", "DEBIT", 100, "EUR"), Posting("ann", "CREDIT", 100, "EUR"))
    assert (posted.outcome, posted.origin) == (Outcome.POSTED, ID)
    assert left(world) == (0, 100)
    assert (world.balance("ann"), world.balance("bob")) == (800, 200)


def test_two_reversals_at_once_never_send_back_more_than_came(world: World) -> None:
    """reversing + reversed <= amount is reserved at step 1, so the second sees the first."""
    world.open("rich", 1_000)
    world.settled(Transfer("rich", "gift", "bob", 1_000, "EUR"))
    world.send(back(200, "one"))
    assert world.send(back(101, "two")).reason == "reversal_exceeded"
    assert world.send(back(None, "three")).amount == 100
    assert world.send(back(None, "four")).reason == "reversal_exceeded"
    world.deliver()
    assert (left(world), world.balance("ann")) == ((0, 300), 1_000)


def test_a_compensated_reversal_can_be_tried_again(world: World) -> None:
    """What was reserved is given back: nothing is lost to a frozen original payer."""
    world.applied(Freeze("ann", "freeze"))
    world.send(back())
    assert [record.reason for record in world.deliver()] == ["payee_frozen"] * 2
    assert left(world) == (0, 0)
    assert world.balance("bob") == 300
    assert world.send(back(None, "again")).amount == 300


def test_a_payee_short_of_money_needs_an_operators_force(world: World) -> None:
    """insufficient_funds; force skips the funds alone and takes the account below its minimum."""
    world.settled(Transfer("bob", "spent", "ann", 250, "EUR"))
    assert world.send(back(key="poor")).reason == "insufficient_funds"
    world.settled(back(key="forced", force=True))
    assert world.balance("bob") == -250
    world.applied(Freeze("bob", "freeze"))
    assert world.send(back(1, key="forced-2", force=True)).reason == "account_frozen"


def test_a_reversal_is_not_reversed(world: World) -> None:
    """The way back of a reversal is a new transfer."""
    reversal = back(100)
    world.settled(reversal)
    assert world.send(Reverse("ann", "again", id_of(reversal))).reason == "reversal_not_reversible"


def test_only_the_payee_reverses(world: World) -> None:
    """Neither the payer nor a stranger finds the transfer under its own name."""
    assert world.send(Reverse("ann", "mine", ID)).reason == "transfer_not_found"


def test_only_what_was_settled_is_reversed(world: World) -> None:
    """A transfer under way, or a compensated one, gives nothing to send back."""
    late = PAY._replace(idempotency_key="late")
    world.send(late)
    assert world.send(Reverse("bob", "early", id_of(late))).reason == "transfer_not_found"


def test_a_transfer_is_reversible_for_the_window(world: World) -> None:
    """Thirty days from its settlement, to the microsecond; a reversal under way at its end is still posted."""
    world.wait(30 * DAY)
    world.now -= 1
    assert world.send(back(100)).outcome is Outcome.PENDING
    world.now += 1
    assert world.send(back(100, "late")).reason == "transfer_not_found"
    assert [record.outcome for record in world.deliver()] == [Outcome.SETTLED, Outcome.POSTED]


def test_a_captured_payment_is_reversed_like_a_transfer(world: World) -> None:
    """A capture is a transfer of its own."""
    hold = Hold("ann", "hold", 50, "EUR", "bob")
    capture = Capture("ann", "capture", id_of(hold))
    world.applied(hold)
    world.settled(capture)
    assert world.send(Reverse("bob", "back", id_of(capture))).amount == 50
