"""How long ``decide`` takes for a plain transfer: its three calls together, in microseconds.

    python -m bench.ledger_decide [transfers] [--profile]

One partition, 1,000 accounts, no velocity limits; applying decisions to the tables is not counted. The house's bound
is 25 µs. The transfers are cut into rounds of 500: the best round is what the code costs, the median what a machine
with other work on it makes of it.
"""

from __future__ import annotations

import cProfile
import gc
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
ROUND = 500


def opened() -> MemoryState:
    """A partition with its accounts, each without a minimum balance."""
    state = MemoryState()
    for n in range(ACCOUNTS):
        intent = OpenAccount(f"account-{n}", "open", "EUR", minimum_balance=None)
        state.apply(decide(state, IntentInput(Position(Input.INTENTS, 0, n), n, intent)))
    return state


def transfers_from(first: int, count: int) -> list[IntentInput]:
    """Intents number ``first`` and following; no two have a key in common."""
    pairs = ((n, n % ACCOUNTS, (n * 7 + 1) % ACCOUNTS) for n in range(first, first + count))
    return [
        IntentInput(
            Position(Input.INTENTS, 0, n),
            1_000_000 + n,
            Transfer(f"account-{payer}", f"key-{n}", f"account-{payee}", 100, "EUR"),
        )
        for n, payer, payee in pairs
        if payer != payee
    ]


def run(state: MemoryState, inputs: list[IntentInput]) -> float:
    """Microseconds spent in ``decide`` for each transfer."""
    spent = 0.0
    for given in inputs:
        start = perf_counter()
        decision = decide(state, given)
        spent += perf_counter() - start
        state.apply(decision)
        for step in range(2):
            leg = LegInput(Position(Input.LEGS, 0, given.position.offset, step), decision.legs[0][1])
            start = perf_counter()
            decision = decide(state, leg)
            spent += perf_counter() - start
            state.apply(decision)
    return spent / len(inputs) * 1e6


def main() -> None:
    """Measure; with --profile, under cProfile."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    transfers = numbers[0] if numbers else 30_000
    state = opened()
    if "--profile" in sys.argv:
        profile = cProfile.Profile()
        profile.runcall(run, state, transfers_from(0, transfers))
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    gc.freeze()
    rounds = sorted(run(state, transfers_from(first, ROUND)) for first in range(0, transfers, ROUND))
    print(
        f"decide, the three steps of a transfer: best {rounds[0]:.1f} µs, median {rounds[len(rounds) // 2]:.1f} µs "
        f"({transfers} transfers in rounds of {ROUND})"
    )


if __name__ == "__main__":
    main()
