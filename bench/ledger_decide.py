"""How long ``decide`` takes for a plain transfer: its three calls together, in microseconds, and an account command.

    python -m bench.ledger_decide [transfers] [--profile]

One partition, 1,000 accounts, no velocity limits; ``apply`` to the tables is not counted. The house's bound is 25 µs.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
from time import perf_counter

from streams.ledger.decide import decide
from streams.ledger.inputs import IntentInput, LegInput
from streams.ledger.intents import OpenAccount, Transfer
from streams.ledger.memory import MemoryState
from streams.ledger.rows import Position
from streams.ledger.vocabulary import Input

ACCOUNTS = 1_000


def opened() -> MemoryState:
    """A partition with its accounts, each without a minimum balance."""
    state = MemoryState()
    for n in range(ACCOUNTS):
        intent = OpenAccount(f"account-{n}", "open", "EUR", minimum_balance=None)
        state.apply(decide(state, IntentInput(Position(Input.INTENTS, 0, n), n, intent)))
    return state


def run(state: MemoryState, transfers: int) -> float:
    """Seconds spent in ``decide`` for so many transfers."""
    inputs = [
        IntentInput(
            Position(Input.INTENTS, 0, n),
            1_000_000 + n,
            Transfer(f"account-{n % ACCOUNTS}", f"key-{n}", f"account-{(n * 7 + 1) % ACCOUNTS}", 100, "EUR"),
        )
        for n in range(transfers)
        if n % ACCOUNTS != (n * 7 + 1) % ACCOUNTS
    ]
    spent = 0.0
    for n, given in enumerate(inputs):
        start = perf_counter()
        first = decide(state, given)
        spent += perf_counter() - start
        state.apply(first)
        for step in range(2):
            leg = LegInput(Position(Input.LEGS, 0, n, step), first.legs[0][1])
            start = perf_counter()
            first = decide(state, leg)
            spent += perf_counter() - start
            state.apply(first)
    return spent / len(inputs)


def main() -> None:
    """Measure five times; with --profile, once under cProfile."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    transfers = numbers[0] if numbers else 20_000
    if "--profile" in sys.argv:
        state = opened()
        profile = cProfile.Profile()
        profile.runcall(run, state, transfers)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    rounds = sorted(run(opened(), transfers) * 1e6 for _ in range(5))
    print(
        f"decide, three steps of a transfer: best {rounds[0]:.1f} µs, median {rounds[2]:.1f} µs ({transfers} transfers)"
    )


if __name__ == "__main__":
    main()
