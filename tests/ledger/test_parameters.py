"""A partition's parameters are state; the rules version decides the currencies."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from streams.ledger.currencies import EXPONENTS
from streams.ledger.decide import decide
from streams.ledger.decision import UnknownRules
from streams.ledger.inputs import LegInput, TickInput
from streams.ledger.intents import Configure, Transfer
from streams.ledger.rows import Parameters, Position
from streams.ledger.vocabulary import Input
from tests.ledger.world import DAY, SECOND, World, id_of

CONFIGURE = Configure("config", 1, 600, 10, 5)


def test_parameters_change_from_the_next_input_on() -> None:
    """The decision itself is under those before: its own key is kept for the old window."""
    world = World()
    record = world.applied(CONFIGURE)
    assert (record.account, record.step, record.figures) == ("", 0, None)
    assert world.states[0].row.parameters == Parameters(1, 600, 10, 5)
    assert world.states[0].transfers[id_of(CONFIGURE)].expires == world.now + 30 * DAY * SECOND
    world.applied(Configure("next", 1, 60, 10, 5))
    assert world.states[0].transfers[id_of(CONFIGURE._replace(idempotency_key="next"))].expires == (
        world.now + 600 * SECOND
    )


def test_each_partition_has_its_own() -> None:
    """A partition that has not read the Configure yet goes on with the old ones."""
    world = World(2)
    world.send(CONFIGURE, partition=1)
    assert [state.row.parameters.window_seconds for state in world.states] == [30 * DAY, 600]


@pytest.mark.parametrize(
    "change",
    [
        {"window_seconds": 59},
        {"window_seconds": 90 * DAY + 1},
        {"park_seconds": 0},
        {"park_seconds": DAY + 1},
        {"park_limit": -1},
        {"park_limit": 10_001},
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, Any]) -> None:
    """A window longer than the topic keeps final keys would let a key be used twice."""
    world = World()
    assert world.send(CONFIGURE._replace(**change)).reason == "invalid_parameters"
    assert world.states[0].row.parameters == Parameters()


def test_a_rules_version_that_nobody_knows_is_refused() -> None:
    """unknown_rules; the partition goes on under its own."""
    world = World()
    assert world.send(CONFIGURE._replace(rules=99)).reason == "unknown_rules"
    assert world.states[0].row.parameters.rules == 1


def test_a_partition_under_rules_that_this_code_lacks_halts() -> None:
    """An older worker never decides by other rules than the journal says: neither an intent nor a leg."""
    world = World()
    world.open("ann", 10)
    world.send(Transfer("ann", "pay", "bob", 1, "EUR"))
    state = world.states[0]
    state.row = state.row._replace(parameters=Parameters(rules=2))
    with pytest.raises(UnknownRules, match="rules version 2"):
        decide(state, TickInput(Position(Input.INTENTS, 0, 1), world.now))
    with pytest.raises(UnknownRules):
        decide(state, LegInput(Position(Input.LEGS, 0, 1), world.legs[0]))


def test_currencies_of_version_1_never_change() -> None:
    """Exponents are in every amount ever written: the table of a version is fixed."""
    table = EXPONENTS[1]
    assert len(table) == 165
    written = "".join(f"{code}{exponent}" for code, exponent in sorted(table.items()))
    assert sha256(written.encode()).hexdigest()[:16] == "c33bb30c691f7811"
    assert [table[code] for code in ("JPY", "EUR", "USD", "KWD", "CLF")] == [0, 2, 2, 3, 4]
    assert not {"XAU", "XXX", "XTS", "XDR"} & set(table)
