"""Every reason code of the ledger's own has an input that gives it; docs/reasons.md is made from the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.ledger import reasons_page
from streams.ledger.intents import (
    KINDS,
    Capture,
    Close,
    Configure,
    Freeze,
    Hold,
    Intent,
    OpenAccount,
    Release,
    Resolve,
    Reverse,
    SetLimits,
    Transfer,
    Unfreeze,
)
from streams.ledger.reasons import DEAD_LETTERS, REASONS
from streams.ledger.vocabulary import Resolution
from tests.ledger.world import MAX, World, id_of

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"

HOLD = Hold("ann", "hold", 100, "EUR")
PAY = Transfer("ann", "pay", "bob", 100, "EUR")
BACK = Reverse("bob", "back", id_of(PAY))


def pay(**changes: Any) -> Transfer:
    """Another payment of Ann's."""
    return Transfer("ann", "other", "bob", 1, "EUR")._replace(**changes)


def given(*before: Intent) -> Callable[[World, Intent], None]:
    """Send these and deliver what they cause; then the intent must be refused with the reason."""

    def send(world: World, intent: Intent) -> None:
        for earlier in before:
            world.send(earlier)
            world.deliver()
        world.send(intent)
        world.deliver()

    return send


def wait_for_gap(world: World, intent: Intent) -> None:
    """Let a parked intent time out."""
    world.send(intent)
    world.wait(100)
    world.tick()


def refuse_leg(world: World, intent: Intent) -> None:
    """An operator refuses the intent's leg."""
    world.send(intent)
    world.deliver_leg(world.legs.popleft(), refuse=True)
    world.deliver()


REFUSED: dict[str, tuple[Callable[[World, Intent], object], Intent]] = {
    "misrouted": (lambda world, intent: world.send(intent, misrouted=True), pay()),
    "account_not_found": (given(), Freeze("ghost", "k")),
    "account_exists": (given(), OpenAccount("ann", "k", "EUR")),
    "account_frozen": (given(Freeze("ann", "k")), pay()),
    "account_not_frozen": (given(), Unfreeze("ann", "k")),
    "account_closed": (given(Close("bob", "k")), Freeze("bob", "k2")),
    "account_not_empty": (given(), Close("ann", "k")),
    "invalid_account_id": (given(), pay(payee="b o b")),
    "invalid_currency": (given(), pay(currency="XXX")),
    "invalid_amount": (given(), pay(amount=0)),
    "invalid_limits": (given(), SetLimits("ann", "k", minimum_balance=2, maximum_balance=1)),
    "invalid_expiry": (given(), HOLD._replace(expires_in_seconds=0)),
    "invalid_parameters": (given(), Configure("k", 1, 1, 1, 1)),
    "same_account": (given(), pay(payee="ann")),
    "payee_missing": (given(HOLD), Capture("ann", "k", id_of(HOLD))),
    "currency_mismatch": (given(), pay(currency="USD")),
    "sequence_stale": (given(), pay(sequence=0)),
    "sequence_taken": (given(pay(idempotency_key="first", sequence=2)), pay(sequence=2)),
    "sequence_gap": (wait_for_gap, pay(sequence=2)),
    "sequence_parked_full": (given(Configure("k", 1, 60, 1, 0)), pay(sequence=2)),
    "insufficient_funds": (given(), pay(amount=10_001)),
    "velocity_amount_exceeded": (given(SetLimits("ann", "k", velocity_amount=5)), pay(amount=6)),
    "velocity_count_exceeded": (given(SetLimits("ann", "k", velocity_count=1), PAY), pay()),
    "overflow": (given(PAY), pay(amount=MAX)),
    "hold_not_found": (given(), Capture("ann", "k", b"\1" * 16)),
    "hold_not_open": (given(HOLD, Release("ann", "r", id_of(HOLD))), Capture("ann", "k", id_of(HOLD))),
    "hold_exceeded": (given(HOLD), Capture("ann", "k", id_of(HOLD), 101, "bob")),
    "transfer_not_found": (given(), Reverse("bob", "k", b"\1" * 16)),
    "reversal_not_reversible": (given(PAY, BACK), Reverse("ann", "k", id_of(BACK))),
    "reversal_exceeded": (given(PAY), BACK._replace(amount=101)),
    "payee_not_found": (given(), pay(payee="ghost")),
    "payee_frozen": (given(Freeze("bob", "k")), pay()),
    "payee_closed": (given(Close("bob", "k")), pay()),
    "payee_currency_mismatch": (given(OpenAccount("usd", "k", "USD")), pay(payee="usd")),
    "payee_maximum_balance": (given(SetLimits("bob", "k", maximum_balance=0)), pay()),
    "payee_overflow": (
        given(OpenAccount("big", "k", "EUR", minimum_balance=None), Transfer("big", "k2", "bob", MAX, "EUR")),
        pay(),
    ),
    "operator_refused": (refuse_leg, pay()),
    "invalid_resolution": (given(), Resolve("k", 0, 1, 1, Resolution.REPLACE)),
    "unknown_rules": (given(), Configure("k", 2, 60, 1, 1)),
}


FIRST: tuple[Intent, ...] = (
    OpenAccount("cyd", "k", "EUR"),
    SetLimits("ann", "k"),
    Freeze("ann", "k"),
    Unfreeze("ann", "k"),
    Close("ann", "k"),
    pay(idempotency_key="k"),
    HOLD._replace(idempotency_key="k"),
    Capture("ann", "k", b"\1" * 16),
    Release("ann", "k", b"\1" * 16),
    Reverse("ann", "k", b"\1" * 16),
    Configure("k", 1, 60, 60, 1),
    Resolve("k", 0, 1, 1, Resolution.RETRY),
)
OTHER: dict[str, Any] = {
    "hold": b"\2" * 16,
    "transfer": b"\2" * 16,
    "metadata": {"a": "b"},
    "force": True,
    "action": Resolution.REFUSE,
    "replacement": None,
}
UNSEEN = {("RESOLVE", "partition")}
"""A Resolve that names another partition is misrouted before its key is looked at."""


def changed(first: Intent, field: str) -> Intent:
    """The intent with one field changed."""
    value = getattr(first, field)
    if field == "replacement":
        other: Any = (0,)
    else:
        other = OTHER.get(field) or (value + 1 if isinstance(value, int) else f"{value or ''}x")
        other = 7 if value is None and field != "payee" else other
    changes: dict[str, Any] = {field: other}
    return first._replace(**changes)


def differences() -> Iterator[tuple[str, Intent, Intent]]:
    """For every field of every kind: an intent, and another with the same key and that field changed."""
    for first in FIRST:
        for field in first._fields:
            if field not in ("account", "idempotency_key", "wire") and (KINDS[type(first)], field) not in UNSEEN:
                yield field, first, changed(first, field)


DIFFERENCES = [("kind", FIRST[2], FIRST[3]), *differences()]


@pytest.fixture
def world() -> World:
    """Ann has 1,000, Bob nothing."""
    world = World()
    world.open("ann", 1_000)
    world.open("bob")
    return world


@pytest.mark.parametrize("reason", REFUSED)
def test_a_reason_is_given_for_what_it_means(world: World, reason: str) -> None:
    """The intent's own last record, final, has this reason."""
    send, intent = REFUSED[reason]
    send(world, intent)
    last = [record for record in world.journals[0] if record.transfer == id_of(intent)][-1]
    assert last.reason == reason


@pytest.mark.parametrize(("field", "first", "again"), DIFFERENCES, ids=lambda value: getattr(value, "__name__", None))
def test_a_changed_field_is_named(world: World, field: str, first: Intent, again: Intent) -> None:
    """exists_with_different_<field>, for each business field of each kind of intent."""
    world.send(first)
    assert world.send(again).reason == f"exists_with_different_{field}"


def test_the_table_of_reasons_and_what_the_ledger_gives_are_one() -> None:
    """No code without a scenario here, and no scenario without a code; dead letters' reasons are the codec's."""
    given = set(REFUSED) | {f"exists_with_different_{field}" for field, _, _ in DIFFERENCES}
    assert given == set(REASONS) - {reason.code for reason in DEAD_LETTERS}


def test_the_page_of_reasons_is_the_table() -> None:
    """Remake it with: python -m streams.ledger.reasons_page > docs/reasons.md"""
    assert PAGE.read_text() == reasons_page.render()


def test_every_reason_can_be_answered_over_http() -> None:
    """A client error of the statuses that clients know, and a sentence."""
    for reason in REASONS.values():
        assert reason.http in (400, 402, 404, 409, 413, 429)
        assert reason.meaning.endswith(".")
