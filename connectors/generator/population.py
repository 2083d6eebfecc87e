"""Who takes part: customers, merchants, employers and the outside world, in three currencies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

from streams.ledger.intents import Close, Freeze, OpenAccount, Transfer

CURRENCIES = {"EUR": 0.5, "USD": 0.3, "JPY": 0.2}
FEWEST_ACCOUNTS = 40
"""With fewer, a currency would lack one of the roles."""

OPENING_BALANCE = (500_000, 3_000_000)
"""Minor units that a customer starts with."""
PAYROLL_BALANCE = 2_000_000_000
MERCHANT_FLOAT = 1_000_000


@dataclass
class Market:
    """The accounts of one currency."""

    currency: str
    world: str
    employers: list[str]
    merchants: list[str]
    customers: list[str]
    frozen: list[str]
    closed: list[str]
    merchant_weights: list[float] = field(default_factory=list)

    @property
    def accounts(self) -> list[str]:
        """All of them, the outside world first."""
        return [self.world, *self.employers, *self.merchants, *self.customers, *self.frozen, *self.closed]


class Population:
    """All accounts, the same for the same ``seed`` and ``accounts`` (at least FEWEST_ACCOUNTS).

    ``zipf`` is the exponent by which the first merchants receive more than the others.
    """

    def __init__(self, seed: int, accounts: int, zipf: float) -> None:
        if accounts < FEWEST_ACCOUNTS:
            raise ValueError(f"at least {FEWEST_ACCOUNTS} accounts are needed, {accounts} were asked for")
        self.seed = seed
        self.rng = Random(f"population {seed} {accounts}")
        counts = {currency: int(accounts * share) for currency, share in CURRENCIES.items()}
        counts["EUR"] += accounts - sum(counts.values())
        self.markets = [_market(currency, count, zipf) for currency, count in counts.items()]
        self.market_weights = list(accumulate(CURRENCIES.values()))
        customers = [customer for market in self.markets for customer in market.customers]
        self.sequenced = frozenset(self.rng.sample(customers, len(customers) // 5))
        """Customers that number all their intents."""

        self.opens = [
            self._open(market, account, number)
            for market in self.markets
            for number, account in enumerate(market.accounts)
        ]
        self.deposits = list(self._deposits())
        """The money that accounts start with, from the outside world."""

    def _deposits(self) -> Iterator[Transfer]:
        for market in self.markets:
            for account in market.accounts:
                amount = self._start(market, account)
                if amount:
                    yield Transfer(
                        market.world, f"{self.seed}-start-{account}", account, amount, market.currency, None, "deposit"
                    )

    def closings(self) -> Iterator[Freeze | Close]:
        """Freeze and close the accounts that stand for trouble."""
        for market in self.markets:
            for account in market.frozen:
                yield Freeze(account, f"{self.seed}-freeze", None, "lost card")
            for account in market.closed:
                yield Close(account, f"{self.seed}-close", None, "moved away")

    def _open(self, market: Market, account: str, number: int) -> OpenAccount:
        role = account.split("-")[1]
        opened = OpenAccount(
            account,
            f"{self.seed}-open",
            market.currency,
            tenant="demo",
            owner=f"party-{number}",
            name=f"{role.title()} {number} ({market.currency})",
            type=role,
            minimum_balance=None if account == market.world else 0,
            metadata={"opened_by": "generator"},
        )
        if role != "customer":
            return opened
        chance = self.rng.random()
        if chance < 0.10:
            return opened._replace(minimum_balance=-100_000)
        if chance < 0.15:
            return opened._replace(velocity_amount=400_000, velocity_count=40)
        if chance < 0.17:
            return opened._replace(maximum_balance=OPENING_BALANCE[1] + 200_000)
        return opened

    def _start(self, market: Market, account: str) -> int:
        if account == market.world or account in market.frozen or account in market.closed:
            return 0
        if account in market.employers:
            return PAYROLL_BALANCE
        if account in market.merchants:
            return MERCHANT_FLOAT
        return self.rng.randint(*OPENING_BALANCE)


def _market(currency: str, count: int, zipf: float) -> Market:
    few = max(1, count // 100)
    merchants = max(2, count // 12)
    customers = count - 1 - 3 * few - merchants

    def names(role: str, number: int) -> list[str]:
        return [f"{currency.lower()}-{role}-{i}" for i in range(1, number + 1)]

    return Market(
        currency,
        f"{currency.lower()}-world-1",
        names("employer", few),
        names("merchant", merchants),
        names("customer", customers),
        names("frozen", few),
        names("closed", few),
        list(accumulate(1 / rank**zipf for rank in range(1, merchants + 1))),
    )
