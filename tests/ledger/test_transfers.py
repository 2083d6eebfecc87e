"""The three steps of a transfer."""

from __future__ import annotations

import pytest

from streams.ledger.intents import Close, Freeze, SetLimits, Transfer
from streams.ledger.journal import Figures, Posting
from streams.ledger.vocabulary import Kind, Outcome, Status
from tests.ledger.world import MAX, World, id_of

PAY = Transfer("ann", "pay", "0:bob", 300, "EUR")


@pytest.fixture
def world() -> World:
    """Ann has 1,000, Bob nothing."""
    world = World()
    world.open("ann", 1_000)
    world.open("0:bob")
    return world


def test_step_1_reserves_the_payers_funds_and_sends_a_leg(world: World) -> None:
    """PENDING: the amount is in the pending debits, and a CREDIT leg carries the PENDING's journal sequence."""
    record = world.send(PAY)
    assert (record.outcome, record.step, record.pending) == (Outcome.PENDING, 1, record.sequence)
    assert (record.account, record.counterparty, record.amount, record.currency) == ("ann", "0:bob", 300, "EUR")
    assert record.figures == Figures(300, 0, 1_000)
    ((destination, leg),) = world.last.legs
    assert destination == "0:bob"
    assert leg == ("CREDIT", id_of(PAY), record.sequence, Kind.TRANSFER, "ann", "0:bob", 300, "EUR", None)


def test_step_2_credits_the_payee_with_a_balanced_entry(world: World) -> None:
    """SETTLED: one DEBIT and one CREDIT in one record, and a leg back to the payer."""
    pending = world.send(PAY)
    (record,) = world.deliver(1)
    assert (record.outcome, record.step, record.pending) == (Outcome.SETTLED, 2, pending.sequence)
    assert (record.account, record.counterparty) == ("0:bob", "ann")
    assert record.entry == (Posting("ann", "DEBIT", 300, "EUR"), Posting("0:bob", "CREDIT", 300, "EUR"))
    assert record.figures == Figures(0, 0, 300)
    assert [(to, leg.kind) for to, leg in world.last.legs] == [("ann", "SETTLED")]


def test_step_3_posts_the_pending_debit(world: World) -> None:
    """POSTED: what was pending is posted; nothing else is sent."""
    pending = world.send(PAY)
    _, record = world.deliver()
    assert (record.outcome, record.step, record.pending) == (Outcome.POSTED, 3, pending.sequence)
    assert (record.account, record.counterparty, record.amount) == ("ann", "0:bob", 300)
    assert record.figures == Figures(0, 300, 1_000)
    assert world.last.legs == []
    assert (world.balance("ann"), world.balance("0:bob")) == (700, 300)


def test_a_transfer_across_partitions_takes_the_same_three_steps() -> None:
    """Each figure changes by a record of its own partition alone."""
    world = World(2)
    world.open("0:ann", 1_000)
    world.open("1:bob")
    world.settled(Transfer("0:ann", "pay", "1:bob", 300, "EUR"))
    assert [record.outcome for record in world.journals[1]] == [Outcome.APPLIED, Outcome.SETTLED]
    assert (world.balance("0:ann"), world.balance("1:bob")) == (700, 300)


def test_a_refused_credit_is_compensated_with_its_reason() -> None:
    """REFUSED at the payee, COMPENSATED at the payer: nothing is posted."""
    world = World()
    world.open("ann", 1_000)
    world.send(Transfer("ann", "pay", "nobody", 300, "EUR"))
    refused, compensated = world.deliver()
    assert (refused.outcome, refused.step, refused.account, refused.reason) == (
        Outcome.REFUSED,
        2,
        "nobody",
        "payee_not_found",
    )
    assert (refused.figures, refused.entry) == (None, None)
    assert (compensated.outcome, compensated.reason) == (Outcome.COMPENSATED, "payee_not_found")
    assert compensated.figures == Figures(0, 0, 1_000)


def test_a_debit_takes_no_account_below_its_minimum(world: World) -> None:
    """Pending debits count; the last unit can be spent and no more."""
    world.send(Transfer("ann", "most", "0:bob", 900, "EUR"))
    assert world.send(Transfer("ann", "over", "0:bob", 101, "EUR")).reason == "insufficient_funds"
    assert world.send(Transfer("ann", "rest", "0:bob", 100, "EUR")).outcome is Outcome.PENDING


def test_a_credit_line_is_a_negative_minimum(world: World) -> None:
    """An account may go below zero by its line, and not further."""
    world.open("cyd", minimum_balance=-500)
    assert world.send(Transfer("cyd", "over", "ann", 501, "EUR")).reason == "insufficient_funds"
    assert world.send(Transfer("cyd", "line", "ann", 500, "EUR")).outcome is Outcome.PENDING


def test_a_maximum_balance_refuses_the_credit_that_passes_it(world: World) -> None:
    """Up to the maximum is taken, one more is compensated."""
    world.open("jar", maximum_balance=100)
    world.settled(Transfer("ann", "fill", "jar", 100, "EUR"))
    world.send(Transfer("ann", "more", "jar", 1, "EUR"))
    assert [record.reason for record in world.deliver()] == ["payee_maximum_balance"] * 2


@pytest.mark.parametrize("change", ["freeze", "limits", "closed"])
def test_step_3_is_unconditional_so_that_no_money_is_stranded(world: World, change: str) -> None:
    """[!] Freeze, close and limits stop steps 1 and 2 only: what is under way is posted.

    No intent closes an account with something pending; the row is closed by hand to show that step 3 asks nothing.
    """
    world.send(PAY)
    if change == "freeze":
        world.applied(Freeze("ann", "freeze"))
    elif change == "limits":
        world.applied(SetLimits("ann", "limits", minimum_balance=10_000, velocity_amount=1))
    else:
        closed = world.account("ann")._replace(status=Status.CLOSED)
        world.states[0].accounts["ann"] = closed
    assert [record.outcome for record in world.deliver()] == [Outcome.SETTLED, Outcome.POSTED]


@pytest.mark.parametrize(("step", "reason"), [("freeze", "payee_frozen"), ("close", "payee_closed")])
def test_a_payee_stopped_while_money_is_on_its_way_gives_it_back(world: World, step: str, reason: str) -> None:
    """Step 2 asks for an open payee; the payer is compensated, even if it is frozen itself by then."""
    world.send(PAY)
    world.applied(Freeze("0:bob", "stop") if step == "freeze" else Close("0:bob", "stop"))
    world.applied(Freeze("ann", "freeze"))
    assert [record.reason for record in world.deliver()] == [reason, reason]
    assert world.figures("ann") == (0, 0, 1_000)


def test_a_pending_transfer_never_times_out(world: World) -> None:
    """[!] However late the answer is, step 3 applies it; and the key is reserved for as long."""
    world.send(PAY)
    world.wait(400 * 86_400)
    assert [record.outcome for record in world.tick()] == [Outcome.TICKED]
    assert world.account("ann").debits_pending == 300
    assert world.send(PAY).outcome is Outcome.DUPLICATE
    assert [record.outcome for record in world.deliver()] == [Outcome.SETTLED, Outcome.POSTED]


def test_debits_up_to_2_63_less_1_are_taken_and_one_more_is_refused() -> None:
    """debits_posted + debits_pending + amount <= 2^63-1: refused, never wrapped, and before the funds."""
    world = World()
    world.open("bank", minimum_balance=None)
    world.open("ann")
    assert world.send(Transfer("bank", "1", "ann", MAX - 1, "EUR")).outcome is Outcome.PENDING
    assert world.send(Transfer("bank", "2", "ann", 2, "EUR")).reason == "overflow"
    assert world.send(Transfer("bank", "3", "ann", 1, "EUR")).outcome is Outcome.PENDING
    world.deliver()
    assert world.send(Transfer("bank", "4", "ann", 1, "EUR")).reason == "overflow"
    assert world.figures("ann") == (0, 0, MAX)


def test_credits_up_to_2_63_less_1_are_taken_and_one_more_is_compensated() -> None:
    """credits_posted + amount <= 2^63-1, also when the payee has spent it all again."""
    world = World()
    for id in ("bank", "other"):
        world.open(id, minimum_balance=None)
    world.open("ann")
    world.settled(Transfer("bank", "in", "ann", MAX, "EUR"))
    world.settled(Transfer("ann", "out", "bank", MAX, "EUR"))
    world.send(Transfer("other", "more", "ann", 1, "EUR"))
    assert [record.reason for record in world.deliver()] == ["payee_overflow"] * 2


@pytest.mark.parametrize("amount", [0, -1, -MAX, MAX + 1])
def test_an_amount_outside_1_to_2_63_less_1_is_refused(world: World, amount: int) -> None:
    """Nothing moves by an amount of zero, a negative one, or one that no figure can hold."""
    record = world.send(PAY._replace(amount=amount))
    assert (record.reason, record.amount) == ("invalid_amount", amount)


def test_accounts_change_only_where_their_version_says(world: World) -> None:
    """A version is the journal sequence of the last change of figures, status or limits; a refusal changes none."""
    before = world.account("ann").version
    world.send(PAY._replace(amount=5_000))
    assert world.account("ann").version == before
    record = world.send(PAY._replace(idempotency_key="again"))
    assert world.account("ann").version == record.sequence
