"""A partition's time is the largest broker append time of its intents' topic, and nothing else."""

from __future__ import annotations

import pytest

from streams.ledger.decide import decide
from streams.ledger.inputs import TickInput
from streams.ledger.intents import Capture, Hold, Transfer
from streams.ledger.memory import MemoryState
from streams.ledger.rows import Position
from streams.ledger.state import Due
from streams.ledger.vocabulary import Input, Outcome
from tests.ledger.world import SECOND, World, id_of

HOLD = Hold("ann", "hold", 100, "EUR", expires_in_seconds=10)


@pytest.fixture
def world() -> World:
    """Ann has 1,000."""
    world = World()
    world.open("ann", 1_000)
    world.open("bob")
    return world


def time(world: World) -> int:
    """The partition's time."""
    return world.states[0].row.time


def test_a_leg_never_moves_time_and_runs_no_deadline(world: World) -> None:
    """[!] Deadlines are due, and a leg arrives: its records carry the old time and nothing expires."""
    world.applied(HOLD)
    world.send(Transfer("ann", "pay", "bob", 1, "EUR"))
    before = time(world)
    world.wait(1_000)
    assert [record.outcome for record in world.deliver()] == [Outcome.SETTLED, Outcome.POSTED]
    assert {record.time for record in world.journals[0][-2:]} == {before}
    assert time(world) == before
    assert id_of(HOLD) in world.states[0].holds


def test_a_payload_that_says_2099_expires_nothing(world: World) -> None:
    """[!] No text of a client's is a time: an intent has none, and what it writes elsewhere is only data."""
    world.applied(HOLD)
    claim = Transfer("ann", "2099-12-31", "bob", 1, "EUR", reference="2099-12-31", metadata={"time": "4102358400"})
    world.send(claim)
    assert [record.outcome for record in world.last.records] == [Outcome.PENDING]
    assert time(world) == world.now


def test_time_never_goes_back(world: World) -> None:
    """A broker whose clock was set back gives the later time again."""
    before = time(world)
    world.now -= 3_600 * SECOND
    record = world.send(Transfer("ann", "pay", "bob", 1, "EUR"))
    assert record.time == time(world) == before


@pytest.mark.parametrize("what", ["tick", "unreadable", "misrouted", "duplicate"])
def test_every_record_of_the_intents_topic_moves_time(world: World, what: str) -> None:
    """Whatever it holds, and due deadlines run before it."""
    pay = Transfer("ann", "pay", "bob", 1, "EUR")
    world.send(pay)
    world.applied(HOLD)
    world.wait(10)
    if what == "tick":
        world.tick()
    elif what == "unreadable":
        world.unreadable()
    else:
        world.send(pay, misrouted=what == "misrouted")
    expired, _ = world.last.records
    assert expired.outcome is Outcome.EXPIRED
    assert time(world) == world.now


def test_stale_hints_of_deadlines_decide_nothing(world: World) -> None:
    """An index may still name rows that are gone, changed or closing: the decision is that of an exact index."""
    holds = [Hold("ann", f"h{n}", 1, "EUR", expires_in_seconds=10 + n) for n in range(3)]
    for hold in holds:
        world.applied(hold)
    world.send(Capture("ann", "capture", id_of(holds[0]), payee="bob"))
    world.wait(30)
    exact = world.states[0]
    stale = [Due(world.now - n, bytes([n % 256, n // 256]) * 8, "gone", n % 2 or None) for n in range(1_200, 0, -1)]
    stale += [Due(exact.holds[id_of(holds[1])].expires - 1, id_of(holds[1]), "ann", None)]

    class Hinted(MemoryState):
        def due(self, time: int, limit: int, /) -> list[Due]:
            live = list(exact.due(time, 10_000))
            return sorted(live + stale, key=lambda due: (due.deadline, due.id))[:limit]

    hinted = Hinted()
    vars(hinted).update(vars(exact))
    tick = TickInput(Position(Input.INTENTS, 0, 99), world.now)
    decision = decide(hinted, tick)
    assert [record.transfer for record in decision.records[:-1]] == [id_of(hold) for hold in holds]
    assert decision == decide(exact, tick)
