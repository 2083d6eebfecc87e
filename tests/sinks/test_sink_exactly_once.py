"""A journal record is in Postgres exactly once, whatever is killed, cut, doubled or put back."""

from __future__ import annotations

from tests.sinks.house import House


def test_journal_arrives_whole(house: House) -> None:
    """Every record of the journal is in Postgres, once, with its entry, and the balances are what they sum to."""
    for _ in house.ledger.life(accounts=20, transfers=500):
        pass
    house.produce()
    house.drain(batch=200)
    house.check_books()
