"""The stream itself: first everybody's account and money, then life and trouble mixed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from connectors.generator.agenda import Agenda
from connectors.generator.book import Book
from connectors.generator.generated import Generated
from connectors.generator.life import Life
from connectors.generator.population import Population
from connectors.generator.trouble import Trouble

ZIPF = 1.1
TROUBLE_PERCENT = 15.0
PARTITIONS = 8
REVERSALS_AFTER = 3_000
"""Intents between a transfer and its reversal, at least (fewer in a short run)."""


def opening(seed: int, accounts: int) -> Iterator[Generated]:
    """Open all accounts, then freeze and close a few of them, then give the others money.

    Labels: "open", "freeze", "close", "starting_money". Let the accounts be open before the money is sent, or some of
    it is refused, since payer and payee are decided apart.
    """
    population = Population(seed, accounts, ZIPF)
    yield from (Generated(intent, "open") for intent in population.opens)
    for intent in population.closings():
        yield Generated(intent, type(intent).__name__.lower())
    yield from (Generated(intent, "starting_money") for intent in population.deposits)


def generate(
    seed: int,
    count: int,
    accounts: int,
    zipf: float = ZIPF,
    trouble: float = TROUBLE_PERCENT,
    partitions: int = PARTITIONS,
) -> Iterator[Generated]:
    """``count`` records after the opening phase of the same ``seed`` and ``accounts``.

    ``zipf`` is the exponent of the merchants' popularity, ``trouble`` the percentage of troubled records, and
    ``partitions`` the topic's partition count, which decides what a wrong partition is.
    """
    rng = Random(f"stream {seed} {count} {accounts} {float(zipf)} {float(trouble)}")
    book = Book(Population(seed, accounts, zipf), rng)
    agenda, gaps = Agenda(), Agenda()
    life = Life(book, agenda, min(REVERSALS_AFTER, count // 5))
    troubles = Trouble(book, agenda, gaps, partitions)
    for number in range(count):
        agenda.now = gaps.now = number
        generated = _next(life, troubles, agenda, gaps, count - number, rng.random() * 100 < trouble)
        if generated.label not in NOT_REPEATED:
            troubles.remember(generated)
        yield generated


NOT_REPEATED = frozenset(
    {
        *("duplicate", "changed_body", "wrong_partition", "wrong_key"),
        *("truncated", "wrong_magic", "unknown_schema", "oversized_metadata"),
    }
)
"""Labels of records that no duplicate is made of."""


def _next(life: Life, troubles: Trouble, agenda: Agenda, gaps: Agenda, left: int, is_trouble: bool) -> Generated:
    """Trouble by its share, then what is due, then life. No gap that is to be filled is left at the end."""
    if left <= len(gaps) + 1:
        is_trouble = False
    generated = troubles.event() if is_trouble else None
    if generated is None and (follow := gaps.first() if 0 < left <= len(gaps) else gaps.due()):
        generated = follow()
    if generated is None and (follow := agenda.due()):
        generated = follow()
    return generated or life.event()
