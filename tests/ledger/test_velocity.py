"""Velocity: how much and how often an account may be debited in a sliding window of 60 buckets."""

from __future__ import annotations

import pytest

from streams.ledger.intents import Configure, Hold, Release, Reverse, SetLimits, Transfer
from streams.ledger.vocabulary import Outcome
from tests.ledger.world import MAX, SECOND, START, World, id_of


@pytest.fixture
def world() -> World:
    """Ann may be debited 1,000 and five times in 60 seconds: a bucket is one second."""
    world = World()
    world.now = START - START % (60 * SECOND)
    world.open("ann", 9_000, velocity_amount=1_000, velocity_count=5, velocity_window_seconds=60)
    world.open("bob")
    return world


def pay(amount: int, key: str, payee: str = "bob") -> Transfer:
    """Ann's payment."""
    return Transfer("ann", key, payee, amount, "EUR")


def test_amounts_of_the_window_add_up(world: World) -> None:
    """The limit itself is reached, one more is refused, and a refused one is not counted."""
    world.send(pay(600, "a"))
    assert world.send(pay(401, "b")).reason == "velocity_amount_exceeded"
    assert world.send(pay(400, "c")).outcome is Outcome.PENDING


def test_debits_of_the_window_are_counted(world: World) -> None:
    """Five pass; holds and reversals count like transfers."""
    world.settled(Transfer("0:bank-EUR", "in", "ann", 10, "EUR"))
    back = Reverse("ann", "reverse", id_of(Transfer("0:bank-EUR", "in", "ann", 10, "EUR")))
    for intent in (pay(1, "a"), pay(1, "b"), pay(1, "c"), Hold("ann", "hold", 1, "EUR"), back):
        assert world.send(intent).reason is None
    assert world.send(pay(1, "f")).reason == "velocity_count_exceeded"


def test_the_oldest_bucket_counts_whole(world: World) -> None:
    """A debit counts until 60 buckets have passed; partition time alone decides."""
    world.send(pay(1_000, "a"))
    world.wait(59)
    assert world.send(pay(1, "b")).reason == "velocity_amount_exceeded"
    world.wait(1)
    assert world.send(pay(1_000, "c")).outcome is Outcome.PENDING
    assert len(world.states[0].velocities["ann"].buckets) == 1


def test_a_compensated_debit_returns_to_its_bucket(world: World) -> None:
    """What did not happen does not count."""
    world.send(pay(1_000, "a", "nobody"))
    world.wait(30)
    world.tick()
    world.deliver()
    assert world.send(pay(1_000, "b")).outcome is Outcome.PENDING


def test_a_return_that_finds_no_bucket_changes_nothing(world: World) -> None:
    """The answer came after the window: later debits keep their count."""
    world.send(pay(1_000, "a", "nobody"))
    world.wait(60)
    world.send(pay(900, "b", "nobody"))
    before = world.states[0].velocities["ann"]
    world.deliver(1)
    world.deliver_leg(next(leg for leg in world.legs if leg.kind == "REFUSED"))
    assert world.states[0].velocities["ann"] == before
    assert world.send(pay(101, "c")).reason == "velocity_amount_exceeded"


def test_a_return_that_finds_buckets_of_another_width_changes_nothing(world: World) -> None:
    """A new window counts afresh, and an old debit's return does not touch it."""
    world.send(pay(1_000, "a", "nobody"))
    world.applied(SetLimits("ann", "wide", velocity_amount=1_000, velocity_window_seconds=120))
    world.send(pay(500, "b"))
    before = world.states[0].velocities["ann"]
    world.deliver(2)
    assert [record.outcome for record in world.deliver()][-1] is Outcome.POSTED
    assert world.states[0].velocities["ann"] == before


def test_a_release_returns_nothing(world: World) -> None:
    """A hold was a debit decision; else hold and release would get round the limit."""
    hold = Hold("ann", "hold", 1_000, "EUR")
    world.applied(hold)
    world.applied(Release("ann", "release", id_of(hold)))
    assert world.send(pay(1, "a")).reason == "velocity_amount_exceeded"


def test_debits_are_counted_from_the_day_a_limit_is_set(world: World) -> None:
    """Accounts without a velocity limit keep no buckets."""
    world.open("free", 100)
    world.send(Transfer("free", "a", "bob", 90, "EUR"))
    assert "free" not in world.states[0].velocities
    world.applied(SetLimits("free", "limit", velocity_amount=10, velocity_window_seconds=60))
    assert world.send(Transfer("free", "b", "bob", 10, "EUR")).outcome is Outcome.PENDING


def test_a_count_alone_never_overflows_the_amount(world: World) -> None:
    """A bucket's amount saturates at 2^63-1: it is a counter, and no figure of the account."""
    world.open("bank", minimum_balance=None, velocity_count=100)
    for number in range(3):
        hold = Hold("bank", f"hold {number}", MAX, "EUR")
        world.applied(hold)
        world.applied(Release("bank", f"release {number}", id_of(hold)))
    ((_, amount, count),) = world.states[0].velocities["bank"].buckets
    assert (amount, count) == (MAX, 3)


def test_a_velocity_refusal_comes_before_funds_and_overflow(world: World) -> None:
    """The order of checks is part of the rules: one intent, one reason."""
    assert world.send(pay(MAX, "a")).reason == "velocity_amount_exceeded"
    world.applied(Configure("k", 1, 60, 60, 1))
    world.applied(SetLimits("ann", "none"))
    assert world.send(pay(MAX - 8_000, "b")).reason == "insufficient_funds"
