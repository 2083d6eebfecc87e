"""What the generator remembers: keys given out, account sequences, a guess of each balance."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from connectors.generator.population import Market, Population
from streams.ledger.intents import Transfer


class Book:
    """The generator's memory. Its balances are a guess: nothing comes back from the ledger."""

    def __init__(self, population: Population, rng: Random) -> None:
        self.population = population
        self.rng = rng
        self.balances: dict[str, int] = defaultdict(int)
        self.stuck: set[str] = set()
        """Sequenced accounts with a gap that is never filled: they send nothing more."""
        self._sequences: dict[str, int] = defaultdict(int)
        self._keys = 0
        for deposit in population.deposits:
            self.balances[deposit.payee] += deposit.amount

    def key(self, word: str) -> str:
        """A new idempotency key."""
        self._keys += 1
        return f"{self.population.seed}-{word}-{self._keys}"

    def sequence(self, account: str) -> int | None:
        """The account's next number, or None if it does not number its intents."""
        if account not in self.population.sequenced:
            return None
        self._sequences[account] += 1
        return self._sequences[account]

    def market(self) -> Market:
        """A currency, by its share."""
        return self.rng.choices(self.population.markets, cum_weights=self.population.market_weights)[0]

    def customer(self, market: Market) -> str:
        """A customer that still sends intents."""
        while (customer := self.rng.choice(market.customers)) in self.stuck:
            pass
        return customer

    def merchant(self, market: Market) -> str:
        """A merchant, by Zipf."""
        return self.rng.choices(market.merchants, cum_weights=market.merchant_weights)[0]

    def affordable(self, account: str, typical: int) -> int:
        """An amount around ``typical`` that the account can probably pay."""
        most = max(2, min(typical * 2, self.balances[account] // 4))
        return self.rng.randint(1, most)

    def moved(self, payer: str, payee: str, amount: int) -> None:
        """Take an amount as moved."""
        self.balances[payer] -= amount
        self.balances[payee] += amount

    def transfer(self, word: str, payer: str, payee: str, amount: int, currency: str) -> Transfer:
        """A transfer that the book counts as done."""
        self.moved(payer, payee, amount)
        return Transfer(payer, self.key(word), payee, amount, currency, self.sequence(payer), word)
