"""What goes wrong: repeats, conflicts, gaps, refusals of every kind, records on a wrong partition or unreadable."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from connectors.generator.agenda import Agenda
from connectors.generator.book import Book
from connectors.generator.generated import Generated
from schemas.framing import header
from streams.engine.partitioner import partition_of
from streams.ledger.intents import Intent, OpenAccount, Transfer
from streams.ledger.vocabulary import MAX_AMOUNT

REMEMBERED = 20_000
"""How many of the latest intents a duplicate is chosen from."""
NEVER_FILLED = 0.03
"""Share of the gaps that stay."""
UNKNOWN_SCHEMA = 2_000_000_000
"""An id that no registry has come to."""


class Trouble:
    """Makes troubled records, one a call. Shares are out of 15: at 15 % trouble each weight is a percentage."""

    def __init__(self, book: Book, agenda: Agenda, gaps: Agenda, partitions: int) -> None:
        self.book, self.agenda, self.gaps, self.partitions = book, agenda, gaps, partitions
        self.rng = book.rng
        self._history: list[Generated] = []
        self._next = 0
        events: list[tuple[float, Callable[[], Generated | None]]] = [
            (5.0, self.duplicate),
            (1.0, self.changed_body),
            (3.0, self.out_of_order),
            (1.0, self.insufficient_funds),
            (0.5, self.unknown_payer),
            (0.6, self.unknown_payee),
            (0.8, self.closed_or_frozen),
            (0.6, self.currency_mismatch),
            (0.7, self.odd_amount),
            (0.2, self.odd_account),
            (0.1, self.opened_again),
            (0.5, self.wrong_partition),
            (1.0, self.unreadable),
        ]
        self._events = [event for _, event in events]
        self._weights = list(accumulate(weight for weight, _ in events))

    def event(self) -> Generated | None:
        """One event, by its share; None if it cannot happen yet."""
        return self.rng.choices(self._events, cum_weights=self._weights)[0]()

    def remember(self, generated: Generated) -> None:
        """Keep an intent that was sent as it should be, so that it can be repeated."""
        if len(self._history) < REMEMBERED:
            self._history.append(generated)
        else:
            self._history[self._next] = generated
            self._next = (self._next + 1) % REMEMBERED

    def duplicate(self) -> Generated | None:
        """The same again, byte for byte."""
        if not self._history:
            return None
        return Generated(self.rng.choice(self._history).value, "duplicate")

    def changed_body(self) -> Generated | None:
        """The same key with other business fields."""
        earlier = self._earlier_transfer()
        if earlier is None:
            return None
        changed = self.rng.choice(
            [
                earlier._replace(amount=earlier.amount ^ 1),
                earlier._replace(reference=earlier.reference + "?"),
                earlier._replace(metadata={"changed": "yes"}),
            ]
        )
        return Generated(changed, "changed_body")

    def out_of_order(self) -> Generated | None:
        """A numbered intent before its predecessor, which follows later, or never."""
        market = self.book.market()
        numbered = [c for c in self.rng.sample(market.customers, min(30, len(market.customers))) if self._numbers(c)]
        if not numbered:
            return None
        payer, merchant = numbered[0], self.book.merchant(market)

        def purchase(word: str) -> Transfer:
            amount = self.book.affordable(payer, 5_000)
            return self.book.transfer(word, payer, merchant, amount, market.currency)

        late, early = purchase("late"), purchase("early")
        if self.rng.random() < NEVER_FILLED and len(self.book.stuck) < max(
            1, len(self.book.population.sequenced) // 10
        ):
            self.book.stuck.add(payer)
            return Generated(early, "gap_never_filled")
        self.gaps.later(self.rng.randint(1, 40), lambda: Generated(late, "gap_filled"))
        return Generated(early, "early")

    def insufficient_funds(self) -> Generated:
        """More than the payer ever had."""
        return self._failing("insufficient_funds", amount=self.rng.randint(10**11, 10**12))

    def unknown_payer(self) -> Generated:
        """A payer that was never opened."""
        return self._failing("unknown_payer", account=f"nobody-{self.rng.randrange(1000)}", sequence=None)

    def unknown_payee(self) -> Generated:
        """A payee that was never opened: refused by its partition, compensated by the payer's."""
        return self._failing("unknown_payee", payee=f"nobody-{self.rng.randrange(1000)}")

    def closed_or_frozen(self) -> Generated:
        """A payer or payee that is closed or frozen."""
        market = self.book.market()
        state = self.rng.choice(["closed", "frozen"])
        account = self.rng.choice(market.closed if state == "closed" else market.frozen)
        customer = self.book.customer(market)
        if self.rng.random() < 0.5:
            transfer = Transfer(account, self.book.key(state), customer, 500, market.currency)
            return Generated(transfer, f"{state}_payer")
        transfer = Transfer(customer, self.book.key(state), account, 500, market.currency, self.book.sequence(customer))
        return Generated(transfer, f"{state}_payee")

    def currency_mismatch(self) -> Generated:
        """A currency that is not the payer's, not the payee's, or none at all."""
        market = self.book.market()
        other = self.rng.choice([m for m in self.book.population.markets if m is not market])
        customer = self.book.customer(market)
        currency, payee = self.rng.choice(
            [
                (other.currency, market.merchants[0]),
                (market.currency, other.merchants[0]),
                ("XXQ", market.merchants[0]),
            ]
        )
        sequence = self.book.sequence(customer)
        transfer = Transfer(customer, self.book.key("currency"), payee, 500, currency, sequence)
        return Generated(transfer, "currency_mismatch")

    def odd_amount(self) -> Generated:
        """Zero, negative, or near 2^63: from customers, and from the outside world, where funds stop nothing."""
        amount = self.rng.choice([0, -1, -self.rng.randint(2, 10**6), MAX_AMOUNT, MAX_AMOUNT - 1, -MAX_AMOUNT - 1])
        if amount >= MAX_AMOUNT - 1 and self.rng.random() < 0.3:
            market = self.book.market()
            transfer = Transfer(market.world, self.book.key("odd"), market.merchants[0], amount, market.currency)
            return Generated(transfer, "odd_amount")
        return self._failing("odd_amount", amount=amount)

    def odd_account(self) -> Generated:
        """An account id that is none, or a payment to oneself."""
        transfer = self._customers_transfer()
        if self.rng.random() < 0.5:
            return Generated(transfer._replace(payee=transfer.account), "same_account")
        return Generated(transfer._replace(payee=self.rng.choice(["no spaces", "", "x" * 65, "ß"])), "invalid_account")

    def opened_again(self) -> Generated:
        """An id that is taken for ever."""
        market = self.book.market()
        account = self.rng.choice(market.accounts)
        return Generated(OpenAccount(account, self.book.key("again"), market.currency), "opened_again")

    def wrong_partition(self) -> Generated:
        """A record where its account does not live, or under another account's key."""
        transfer = self._customers_transfer()._replace(sequence=None)
        key = transfer.account.encode()
        if self.partitions > 1 and self.rng.random() < 0.7:
            away = self.rng.randrange(1, self.partitions)
            return Generated(
                transfer, "wrong_partition", partition=(partition_of(key, self.partitions) + away) % self.partitions
            )
        return Generated(transfer, "wrong_key", key=transfer.payee.encode())

    def unreadable(self) -> Generated:
        """Bytes that are no intent."""
        transfer = self._customers_transfer()._replace(sequence=None)
        key = transfer.account.encode()
        kind = self.rng.choice(["truncated", "wrong_magic", "unknown_schema", "oversized_metadata"])
        if kind == "truncated":
            return Generated(transfer, kind, cut=self.rng.randint(3, 20))
        if kind == "wrong_magic":
            return Generated(b'{"kind": "TRANSFER"}' + self.rng.randbytes(8), kind, key)
        if kind == "unknown_schema":
            return Generated(header(UNKNOWN_SCHEMA) + self.rng.randbytes(40), kind, key)
        big = {"note": "x" * 600} if self.rng.random() < 0.5 else {f"k{i}": "v" for i in range(33)}
        return Generated(transfer._replace(metadata=big), kind)

    def _numbers(self, customer: str) -> bool:
        return customer in self.book.population.sequenced and customer not in self.book.stuck

    def _earlier_transfer(self) -> Transfer | None:
        for _ in range(20):
            if self._history:
                value: Intent | bytes = self.rng.choice(self._history).value
                if isinstance(value, Transfer):
                    return value
        return None

    def _customers_transfer(self) -> Transfer:
        """A transfer that nothing is wrong with yet and that no account's numbering knows of."""
        market = self.book.market()
        plain = [c for c in self.rng.sample(market.customers, min(8, len(market.customers))) if not self._numbers(c)]
        payer = next((c for c in plain if c not in self.book.stuck), market.world)
        return Transfer(payer, self.book.key("trouble"), self.book.merchant(market), 700, market.currency)

    def _failing(self, label: str, **change: object) -> Generated:
        return Generated(self._customers_transfer()._replace(**change), label)  # type: ignore[arg-type]
