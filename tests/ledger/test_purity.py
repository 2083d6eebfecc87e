"""``decide`` is a pure function: the same state and input give the same decision, and nothing else changes.

``World`` decides every input of every test twice and compares the state before and after; here is what that needs.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.ledger.transitions import TRANSITIONS
from streams.ledger.vocabulary import FINAL, Outcome

LIFE = """
from streams.ledger.intents import *
from tests.ledger.world import World, id_of
world = World()
world.open("ann", 1000, velocity_amount=500)
world.open("bob")
world.send(Transfer("ann", "pay", "bob", 100, "EUR", metadata={"b": "1", "a": "2"}))
hold = Hold("ann", "hold", 50, "EUR", "bob", expires_in_seconds=9)
world.send(hold)
world.send(Capture("ann", "capture", id_of(hold), 20))
world.send(Transfer("ann", "early", "bob", 1, "EUR", sequence=3))
world.wait(100)
world.deliver()
world.tick()
print(world.journals, sorted(vars(world.states[0]).items()))
"""


def test_another_process_with_another_hash_seed_decides_the_same() -> None:
    """No set order, no hash(), no id() reaches a decision."""
    lives = {
        subprocess.run(
            [sys.executable, "-c", LIFE], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(lives) == 1


def test_no_state_follows_a_final_one() -> None:
    """Transitions are a table: what is final stays, and all that is not ends in something final."""
    for state, following in TRANSITIONS.items():
        assert not following if state in FINAL else following
    reached = {state for following in TRANSITIONS.values() for state in following}
    assert reached == set(TRANSITIONS) - {None}


@pytest.mark.parametrize("state", [Outcome.PARKED, Outcome.PENDING])
def test_what_is_not_final_leads_only_to_what_comes_later(state: Outcome) -> None:
    """No way back: the order is parked, pending, final."""
    order = [Outcome.PARKED, Outcome.PENDING]
    for following in TRANSITIONS[state]:
        assert following in FINAL or order.index(following) > order.index(state)
