"""Account commands: open, set limits, freeze, unfreeze, close."""

from __future__ import annotations

from typing import Any

import pytest

from streams.ledger.intents import Close, Freeze, OpenAccount, SetLimits, Transfer, Unfreeze
from streams.ledger.journal import Figures
from streams.ledger.rows import AccountRow
from streams.ledger.vocabulary import Outcome, Status
from tests.ledger.world import MAX, World

OPEN = OpenAccount("ann", "open", "EUR", tenant="acme", owner="Ann", name="Main", type="current")


@pytest.fixture
def world() -> World:
    """No account yet."""
    return World()


def test_an_account_opens_with_its_profile_and_no_money(world: World) -> None:
    """The row has the limits, the profile the rest; the record has figures of zero and the version."""
    record = world.applied(OPEN._replace(maximum_balance=9))
    assert (record.account, record.currency, record.figures, record.step) == ("ann", "EUR", Figures(0, 0, 0), 0)
    assert world.account("ann") == AccountRow("EUR", version=record.sequence, maximum_balance=9)
    assert world.states[0].profiles["ann"].owner == "Ann"


@pytest.mark.parametrize("id", ["a", "A-b_c.d:e", "0" * 64])
def test_an_account_id_is_1_to_64_of_the_plain_signs(world: World, id: str) -> None:
    """Letters, digits, point, underscore, colon, hyphen."""
    world.applied(OPEN._replace(account=id))


@pytest.mark.parametrize("id", ["", "0" * 65, "a b", "a\n", "é", "a/b", "\x00"])
def test_another_account_id_is_refused_wherever_it_stands(world: World, id: str) -> None:
    """As the deciding account of any intent, and as payee."""
    assert world.send(OPEN._replace(account=id)).reason == "invalid_account_id"
    assert world.send(Freeze(id, "freeze")).reason == "invalid_account_id"
    world.open("bob", 10)
    assert world.send(Transfer("bob", f"pay {id}", id, 1, "EUR")).reason == "invalid_account_id"


def test_ids_are_never_normalised(world: World) -> None:
    """Case makes another account."""
    world.applied(OPEN)
    world.applied(OPEN._replace(account="Ann"))


@pytest.mark.parametrize(
    "limits",
    [
        {"minimum_balance": 10, "maximum_balance": 9},
        {"minimum_balance": -MAX - 1},
        {"maximum_balance": MAX + 1},
        {"velocity_amount": 0},
        {"velocity_count": 0},
        {"velocity_count": -1},
        {"velocity_window_seconds": 59},
        {"velocity_window_seconds": 31_536_001},
    ],
)
def test_limits_that_contradict_or_are_out_of_range_are_refused(world: World, limits: dict[str, Any]) -> None:
    """At opening and later; what was in force stays."""
    assert world.send(OPEN._replace(**limits)).reason == "invalid_limits"
    world.applied(OPEN._replace(idempotency_key="again"))
    assert world.send(SetLimits("ann", "limits", **limits)).reason == "invalid_limits"


def test_limits_at_their_edges_are_taken(world: World) -> None:
    """Both bounds equal, and the largest figures."""
    world.applied(OPEN._replace(minimum_balance=-MAX, maximum_balance=-MAX, velocity_window_seconds=60))
    world.applied(SetLimits("ann", "l", None, MAX, MAX, MAX, MAX, velocity_window_seconds=31_536_000))


def test_limits_are_replaced_whole(world: World) -> None:
    """What the command leaves out takes its default; a balance outside of them stays and stops further debits."""
    world.open("ann", 1_000, maximum_balance=5_000, velocity_count=3)
    record = world.applied(SetLimits("ann", "limits", minimum_balance=2_000))
    row = world.account("ann")
    assert (row.minimum_balance, row.maximum_balance, row.velocity_count) == (2_000, None, None)
    assert (row.version, record.figures) == (record.sequence, Figures(0, 0, 1_000))
    world.open("bob")
    assert world.send(Transfer("ann", "pay", "bob", 1, "EUR")).reason == "insufficient_funds"


def test_a_freeze_stops_debits_until_it_is_undone(world: World) -> None:
    """account_frozen, a second freeze too; limits can still be set."""
    world.open("ann", 100)
    world.open("bob")
    assert world.send(Unfreeze("ann", "early")).reason == "account_not_frozen"
    world.applied(Freeze("ann", "freeze"))
    assert world.send(Freeze("ann", "freeze 2")).reason == "account_frozen"
    assert world.send(Transfer("ann", "pay", "bob", 1, "EUR")).reason == "account_frozen"
    assert world.send(Close("ann", "close")).reason == "account_frozen"
    world.applied(SetLimits("ann", "limits"))
    world.applied(Unfreeze("ann", "unfreeze"))
    world.settled(Transfer("ann", "pay again", "bob", 1, "EUR"))


def test_an_account_closes_empty_and_for_ever(world: World) -> None:
    """No command changes a closed account, and its id is never given again."""
    world.open("ann", 100)
    world.open("bob")
    assert world.send(Close("ann", "early")).reason == "account_not_empty"
    world.send(Transfer("ann", "out", "bob", 100, "EUR"))
    world.deliver(1)
    assert world.send(Close("ann", "pending")).reason == "account_not_empty"
    world.deliver()
    world.applied(Close("ann", "close"))
    assert world.account("ann").status is Status.CLOSED
    for command in (SetLimits("ann", "s"), Freeze("ann", "f"), Unfreeze("ann", "u"), Close("ann", "c")):
        assert world.send(command).reason == "account_closed"
    assert world.send(OPEN._replace(idempotency_key="reopen")).reason == "account_exists"


def test_an_unknown_account_decides_nothing_but_keeps_the_key(world: World) -> None:
    """account_not_found is final: opening the account later does not make the intent pass."""
    pay = Transfer("ghost", "pay", "ann", 1, "EUR")
    assert world.send(pay).reason == "account_not_found"
    world.open("ghost", 10)
    assert world.send(pay).outcome is Outcome.DUPLICATE
