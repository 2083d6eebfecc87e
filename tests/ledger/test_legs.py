"""Legs that fit nothing halt their queue: others' money is in them. An operator resolves them."""

from __future__ import annotations

from typing import Any

import pytest

from streams.ledger.decision import LegCannotBeApplied
from streams.ledger.intents import Resolve, Transfer
from streams.ledger.legs import Leg
from streams.ledger.vocabulary import Kind, LegKind, Outcome, Resolution
from tests.ledger.world import MAX, World, id_of

PAY = Transfer("ann", "pay", "bob", 300, "EUR")


@pytest.fixture
def world() -> World:
    """A payment of Ann's to Bob is under way; its CREDIT leg is not delivered."""
    world = World()
    world.open("ann", 1_000)
    world.open("bob")
    world.send(PAY)
    return world


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 0},
        {"amount": -5},
        {"amount": MAX + 1},
        {"transfer_kind": Kind.HOLD},
        {"payee": "ann"},
        {"currency": "XXX"},
    ],
)
def test_a_credit_that_no_step_1_sends_is_not_applied(world: World, change: dict[str, Any]) -> None:
    """[!] It is neither dropped nor guessed at: its queue halts and it is still there."""
    with pytest.raises(LegCannotBeApplied):
        world.deliver_leg(world.legs[0]._replace(**change))


def test_a_credit_is_taken_once(world: World) -> None:
    """[!] The same leg again credits nobody twice."""
    leg = world.legs[0]
    world.deliver_leg(leg)
    with pytest.raises(LegCannotBeApplied, match="settled already"):
        world.deliver_leg(leg)


@pytest.mark.parametrize(
    "change",
    [
        {"transfer": b"\x07" * 16},
        {"pending": 1},
        {"amount": 299},
        {"currency": "USD"},
        {"payee": "cyd"},
        {"payer": "bob", "payee": "ann"},
        {"transfer_kind": Kind.CAPTURE},
    ],
)
@pytest.mark.parametrize("kind", [LegKind.SETTLED, LegKind.REFUSED])
def test_an_answer_that_fits_no_pending_transfer_is_not_applied(
    world: World, kind: LegKind, change: dict[str, Any]
) -> None:
    """[!] Every field must be the PENDING's own: no transfer is posted by another's answer."""
    with pytest.raises(LegCannotBeApplied, match="is pending from record"):
        world.deliver_leg(world.legs[0]._replace(kind=kind)._replace(**change))


def test_an_answer_is_taken_once(world: World) -> None:
    """[!] A second SETTLED or a late REFUSED finds nothing pending."""
    answer = world.legs[0]._replace(kind=LegKind.SETTLED)
    world.deliver()
    for kind in (LegKind.SETTLED, LegKind.REFUSED):
        with pytest.raises(LegCannotBeApplied):
            world.deliver_leg(answer._replace(kind=kind))


def test_an_operator_refuses_a_credit_and_the_payer_is_compensated(world: World) -> None:
    """REFUSE: the payee is not credited, a leg goes back, the payer gets its money."""
    record = world.deliver_leg(world.legs.popleft(), refuse=True)
    assert (record.outcome, record.step, record.reason) == (Outcome.REFUSED, 2, "operator_refused")
    (compensated,) = world.deliver()
    assert (compensated.outcome, compensated.reason) == (Outcome.COMPENSATED, "operator_refused")
    assert world.figures("ann") == (0, 0, 1_000)


def test_a_malformed_credit_is_refused_by_an_operator(world: World) -> None:
    """What raised is journaled and answered, so that the queue goes on."""
    record = world.deliver_leg(world.legs[0]._replace(currency="XXX"), refuse=True)
    assert (record.outcome, record.reason) == (Outcome.REFUSED, "operator_refused")


def test_a_repeated_credit_that_is_refused_sends_nothing_back(world: World) -> None:
    """[!] The payee has the money: a refusal sent back would create it a second time."""
    leg = world.legs[0]
    world.deliver()
    record = world.deliver_leg(leg, refuse=True)
    assert (record.outcome, world.last.legs, world.last.accounts) == (Outcome.REFUSED, [], {})


def test_an_answer_that_ends_a_transfer_cannot_be_refused(world: World) -> None:
    """[!] That would strand the payer's money for ever; one that fits nothing is dropped, in the journal."""
    answer = world.legs[0]._replace(kind=LegKind.SETTLED)
    with pytest.raises(LegCannotBeApplied, match="not refused"):
        world.deliver_leg(answer, refuse=True)
    record = world.deliver_leg(answer._replace(pending=1), refuse=True)
    assert (record.outcome, record.step, record.account, record.counterparty) == (Outcome.REFUSED, 3, "ann", "bob")
    assert (world.last.accounts, world.last.legs) == ({}, [])


def test_a_resolve_is_for_its_own_partition_and_is_handed_to_the_agent(world: World) -> None:
    """APPLIED: the agent looks it up when that leg cannot be applied. For another partition it is misrouted."""
    resolve = Resolve("word", 0, 17, 2, Resolution.RETRY)
    world.applied(resolve)
    assert world.last.resolved == resolve
    assert world.states[0].resolutions == {(17, 2): resolve}
    assert world.send(resolve._replace(partition=1)).reason == "misrouted"
    assert world.last.resolved is None


def test_a_resolve_replaces_with_a_leg_and_only_then(world: World) -> None:
    """REPLACE needs one, the others take none."""
    leg = Leg(LegKind.SETTLED, id_of(PAY), 1, Kind.TRANSFER, "ann", "bob", 300, "EUR")
    replace = Resolve("a", 0, 17, 0, Resolution.REPLACE, leg)
    world.applied(replace)
    assert world.send(Resolve("b", 0, 17, 0, Resolution.REPLACE)).reason == "invalid_resolution"
    assert world.send(Resolve("c", 0, 17, 0, Resolution.REFUSE, leg)).reason == "invalid_resolution"
    assert world.send(Resolve("d", 0, -1, 0, Resolution.RETRY)).reason == "invalid_resolution"
