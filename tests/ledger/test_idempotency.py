"""One idempotency key, one outcome."""

from __future__ import annotations

from copy import deepcopy

import pytest

from streams.ledger.decision import LegCannotBeApplied
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Capture, Configure, Hold, Intent, OpenAccount, Release, Reverse, Transfer
from streams.ledger.journal import FirstOutcome
from streams.ledger.vocabulary import LegKind, Outcome
from tests.ledger.world import DAY, World, id_of

PAY = Transfer("ann", "pay", "bob", 300, "EUR", metadata={"order": "7"}, wire=b"one serializer")


@pytest.fixture
def world() -> World:
    """Ann has 1,000, Bob nothing."""
    world = World()
    world.open("ann", 1_000)
    world.open("bob")
    return world


def test_the_same_intent_again_is_answered_and_not_repeated(world: World) -> None:
    """DUPLICATE embeds the state so far and where it was written and read, then the final outcome; no row changes."""
    pending = world.send(PAY)
    again = world.send(PAY._replace(wire=b"another serializer"))
    assert again.outcome is Outcome.DUPLICATE
    assert again.first == FirstOutcome(Outcome.PENDING, None, pending.sequence, pending.input)
    assert (world.last.transfers, world.last.accounts, world.last.legs) == ({}, {}, [])
    _, posted = world.deliver()
    assert world.send(PAY).first == FirstOutcome(Outcome.POSTED, None, posted.sequence, pending.input)
    assert world.balance("bob") == 300


def test_a_refused_intent_keeps_its_key_and_its_refusal(world: World) -> None:
    """A rejection is an outcome like another: repeating the intent when it could pass does not make it pass."""
    big = PAY._replace(amount=5_000)
    refused = world.send(big)
    world.open("rich", 10_000)
    world.settled(Transfer("rich", "gift", "ann", 9_000, "EUR"))
    assert world.send(big).first == FirstOutcome(
        Outcome.REJECTED, "insufficient_funds", refused.sequence, refused.input
    )


def test_a_changed_body_under_a_used_key_never_posts(world: World) -> None:
    """exists_with_different_<field> names the first field that differs, takes no key and changes nothing."""
    world.send(PAY)
    record = world.send(PAY._replace(amount=301, reference="x"))
    assert (record.outcome, record.reason) == (Outcome.REJECTED, "exists_with_different_amount")
    assert (record.intent, world.last.transfers, world.last.accounts) == (None, {}, {})
    assert world.send(Hold("ann", "pay", 300, "EUR")).reason == "exists_with_different_kind"
    assert world.send(PAY).outcome is Outcome.DUPLICATE


def test_only_business_fields_are_compared(world: World) -> None:
    """Wire bytes are no business field; a mapping is compared by content."""
    world.send(PAY)
    assert world.send(PAY._replace(metadata=dict(PAY.metadata), wire=b"")).outcome is Outcome.DUPLICATE
    assert world.send(PAY._replace(metadata={"order": "8"})).reason == "exists_with_different_metadata"


def test_another_payer_cannot_collide_with_a_key(world: World) -> None:
    """[!] The id is a hash over the length-prefixed account and key: shifting letters between them is another id."""
    assert transfer_id("a", "bc") != transfer_id("ab", "c")
    assert transfer_id("ann", "key") != transfer_id("bob", "key")
    world.open("an", 100)
    world.send(Transfer("an", "n:key", "bob", 1, "EUR"))
    assert world.send(Transfer("ann", ":key", "bob", 1, "EUR")).outcome is Outcome.PENDING


def test_an_id_is_a_uuid_of_version_8_and_never_changes() -> None:
    """A fixed vector: ids are in every topic and database for ever."""
    assert transfer_id("ann", "pay").hex() == "3a1c12110ea380e0b529189b2ffb592e"
    id = transfer_id("acme:main", "Zahlung-7 ü")
    assert (id[6] >> 4, id[8] >> 6, len(id)) == (8, 2, 16)


def test_the_window_of_a_key_begins_at_its_final_step(world: World) -> None:
    """Thirty days after POSTED, not after PENDING, the key is free; one microsecond earlier it is not."""
    world.send(PAY)
    world.wait(29 * DAY)
    world.tick()
    world.deliver()
    world.wait(30 * DAY)
    world.now -= 1
    assert world.send(PAY).outcome is Outcome.DUPLICATE
    world.now += 1
    assert world.send(PAY).outcome is Outcome.PENDING


def test_the_key_of_anything_not_final_never_expires(world: World) -> None:
    """[!] PENDING, PARKED and a living hold keep their keys for ever; and garbage collection keeps the rows."""
    parked = PAY._replace(idempotency_key="parked", sequence=2)
    hold = Hold("ann", "hold", 10, "EUR", expires_in_seconds=30 * DAY)
    world.applied(Configure("long", 1, 30 * DAY, 86_400, 10))
    world.send(PAY)
    world.send(parked)
    world.applied(hold)
    for intent in (PAY, parked, hold):
        assert world.states[0].transfers[id_of(intent)].expires == 0
    world.wait(500 * DAY)
    world.states[0].row = world.states[0].row._replace(time=world.now)
    world.states[0].collect_garbage()
    assert all(id_of(intent) in world.states[0].transfers for intent in (PAY, parked, hold))


def test_the_window_of_a_holds_key_begins_when_nothing_of_it_is_left(world: World) -> None:
    """[!] A re-used hold id must not overwrite a hold with money in it, so its key outlives the hold by the window."""
    hold = Hold("ann", "hold", 10, "EUR", expires_in_seconds=20 * DAY)
    world.applied(hold)
    world.wait(20 * DAY)
    assert [record.outcome for record in world.tick()] == [Outcome.EXPIRED, Outcome.TICKED]
    world.wait(20 * DAY)
    assert world.send(hold).first is not None
    world.wait(10 * DAY)
    assert world.send(hold).outcome is Outcome.APPLIED


def test_garbage_collection_decides_nothing(world: World) -> None:
    """Expiry is a comparison at lookup: with the expired row still there or gone, the decision is the same."""

    world.settled(PAY)
    world.wait(31 * DAY)
    world.tick()
    collected = deepcopy(world)
    collected.states[0].collect_garbage()
    assert id_of(PAY) in world.states[0].transfers
    assert id_of(PAY) not in collected.states[0].transfers
    assert world.send(PAY._replace(amount=1)) == collected.send(PAY._replace(amount=1))
    assert world.last == collected.last


def test_an_id_that_comes_back_after_years_overwrites_nothing(world: World) -> None:
    """[!] Inside, a transfer is (id, PENDING's sequence): what is under way from its first life is still its own."""
    world.applied(Configure("short", 1, 60, 60, 10))
    hold = Hold("ann", "pay", 300, "EUR", expires_in_seconds=60)
    first = world.applied(hold)
    world.send(Capture("ann", "capture", id_of(hold), 100, "bob"))
    world.wait(5 * 365 * DAY)
    world.tick()
    again = world.send(PAY)
    assert again.reason == "exists_with_different_kind"
    assert world.states[0].holds[id_of(hold)].pending == first.sequence
    world.deliver()
    world.wait(61)
    assert world.send(PAY).outcome is Outcome.PENDING
    assert world.balance("bob") == 100


def test_a_returning_id_leaves_the_reversal_of_its_first_life_alone() -> None:
    """[!] The payee's window is its own: an older occurrence under reversal keeps its figures beside the new one."""
    world = World(2)
    world.open("0:ann", 1_000)
    world.open("1:bob")
    world.applied(Configure("short", 1, 60, 60, 10))
    pay = Transfer("0:ann", "pay", "1:bob", 300, "EUR")
    old = world.settled(pay)
    world.send(Reverse("1:bob", "back", id_of(pay), 100))
    world.wait(61)
    world.tick(0)
    new = world.send(pay._replace(amount=200))
    assert new.outcome is Outcome.PENDING
    world.deliver()
    rows = {row.pending: row for row in world.states[1].settlements[id_of(pay)]}
    assert (rows[old.pending].reversed, rows[new.pending].reversed) == (100, 0)
    assert (rows[old.pending].amount, rows[new.pending].amount) == (300, 200)
    assert world.send(Reverse("1:bob", "back-2", id_of(pay))).origin_pending == new.pending


def test_an_answer_to_an_earlier_life_of_an_id_touches_no_later_one(world: World) -> None:
    """[!] A leg of another PENDING than the row's halts its queue instead of posting the wrong transfer."""
    world.send(PAY)
    credit, answer = world.legs[0], world.legs[0]._replace(kind=LegKind.SETTLED, pending=1)
    with pytest.raises(LegCannotBeApplied):
        world.deliver_leg(answer)
    assert world.deliver_leg(credit).outcome is Outcome.SETTLED


def test_a_misrouted_intent_takes_no_key(world: World) -> None:
    """[!] Refused on the wrong partition, the same intent still passes on the right one; the id is in the record."""
    record = world.send(PAY, misrouted=True)
    assert (record.reason, record.transfer, record.intent) == ("misrouted", id_of(PAY), None)
    assert world.last.transfers == {}
    assert world.send(PAY).outcome is Outcome.PENDING


def test_every_kind_of_intent_has_a_key(world: World) -> None:
    """Account commands and operators' intents are answered as duplicates too."""
    commands: list[Intent] = [OpenAccount("new", "k", "EUR"), Configure("k", 1, 60, 60, 10)]
    for command in commands:
        world.applied(command)
        assert world.send(command).outcome is Outcome.DUPLICATE
    assert world.send(Release("ann", "r", b"\0" * 16)).outcome is Outcome.REJECTED
    assert world.send(Release("ann", "r", b"\0" * 16)).outcome is Outcome.DUPLICATE
