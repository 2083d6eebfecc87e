"""Ordinary days: purchases, salaries, transfers, holds and what becomes of them, reversals, deposits, withdrawals."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate

from connectors.generator.agenda import Agenda
from connectors.generator.book import Book
from connectors.generator.generated import Generated
from connectors.generator.population import Market
from streams.ledger.ids import transfer_id
from streams.ledger.intents import Capture, Freeze, Hold, Release, Reverse, SetLimits, Transfer, Unfreeze

SALARY = 250_000
REVERSED_SHARE = 0.05
"""Of purchases, salaries and transfers between people."""


class Life:
    """Makes ordinary records, one a call. ``patience``: about how many intents pass before a reversal."""

    def __init__(self, book: Book, agenda: Agenda, patience: int) -> None:
        self.book, self.agenda, self.patience = book, agenda, max(1, patience)
        self.rng = book.rng
        events: list[tuple[int, Callable[[Market], Generated]]] = [
            (42, self.purchase),
            (14, self.person_to_person),
            (12, self.salary),
            (8, self.deposit),
            (5, self.withdrawal),
            (4, self.payout),
            (11, self.hold),
            (1, self.limits),
            (1, self.freeze),
        ]
        self._events = [event for _, event in events]
        self._weights = list(accumulate(weight for weight, _ in events))

    def event(self) -> Generated:
        """One event, by how often it happens."""
        event = self.rng.choices(self._events, cum_weights=self._weights)[0]
        return event(self.book.market())

    def purchase(self, market: Market) -> Generated:
        customer, merchant = self.book.customer(market), self.book.merchant(market)
        bought = self._transfer("purchase", customer, merchant, 8_000, market)
        if self.rng.random() < 0.3:
            bought = bought._replace(metadata={"order": f"A{self.rng.randrange(10**8):08}", "channel": "web"})
        return self._perhaps_reversed(Generated(bought, "purchase"), bought)

    def person_to_person(self, market: Market) -> Generated:
        payer, payee = self.book.customer(market), self.rng.choice(market.customers)
        if payer == payee:
            return self.purchase(market)
        sent = self._transfer("gift", payer, payee, 10_000, market)
        return self._perhaps_reversed(Generated(sent, "person_to_person"), sent)

    def salary(self, market: Market) -> Generated:
        employer, worker = self.rng.choice(market.employers), self.rng.choice(market.customers)
        amount = self.rng.randint(SALARY // 2, SALARY * 2)
        if self.book.balances[employer] < amount:
            return self.deposit(market)
        paid = self.book.transfer("salary", employer, worker, amount, market.currency)
        return self._perhaps_reversed(Generated(paid, "salary"), paid)

    def deposit(self, market: Market) -> Generated:
        customer, amount = self.rng.choice(market.customers), self.rng.randint(1_000, 200_000)
        return Generated(self.book.transfer("deposit", market.world, customer, amount, market.currency), "deposit")

    def withdrawal(self, market: Market) -> Generated:
        customer = self.book.customer(market)
        return Generated(self._transfer("withdrawal", customer, market.world, 20_000, market), "withdrawal")

    def payout(self, market: Market) -> Generated:
        merchant = self.book.merchant(market)
        return Generated(self._transfer("payout", merchant, market.world, 300_000, market), "payout")

    def limits(self, market: Market) -> Generated:
        account = self.book.customer(market)
        sequence = self.book.sequence(account)
        limits = SetLimits(account, self.book.key("limits"), sequence, 0, None, self.rng.randint(200_000, 900_000), 200)
        return Generated(limits, "set_limits")

    def freeze(self, market: Market) -> Generated:
        account = self.book.customer(market)

        def unfreeze() -> Generated | None:
            if account in self.book.stuck:
                return None
            note = "found again"
            return Generated(
                Unfreeze(account, self.book.key("unfreeze"), self.book.sequence(account), note), "unfreeze"
            )

        self.agenda.later(self.rng.randint(20, 200), unfreeze)
        return Generated(Freeze(account, self.book.key("freeze"), self.book.sequence(account), "lost card"), "freeze")

    def hold(self, market: Market) -> Generated:
        payer, merchant = self.book.customer(market), self.book.merchant(market)
        amount = self.book.affordable(payer, 12_000)
        expiry = self.rng.choice([604_800, 604_800, 86_400, 3_600])
        hold = Hold(
            payer, self.book.key("hold"), amount, market.currency, merchant, expiry, self.book.sequence(payer), "hold"
        )
        self.book.moved(payer, merchant, amount)
        fate = self.rng.random()
        if fate < 0.50:
            self._capture_later(hold, None)
        elif fate < 0.80 and amount > 1:
            self._capture_later(hold, self.rng.randint(1, amount - 1))
            self._after(hold, self.rng.choice([self._rest_captured, self._released]), 900)
        elif fate < 0.93:
            self._after(hold, self._released, 300)
        return Generated(hold, "hold")

    def _capture_later(self, hold: Hold, amount: int | None) -> None:
        label = "capture_full" if amount is None else "capture_partial"
        self._after(hold, lambda hold: self._captured(hold, amount, label), 300)

    def _rest_captured(self, hold: Hold) -> Generated:
        return self._captured(hold, None, "capture_rest")

    def _captured(self, hold: Hold, amount: int | None, label: str) -> Generated:
        hold_id = transfer_id(hold.account, hold.idempotency_key)
        sequence = self.book.sequence(hold.account)
        return Generated(Capture(hold.account, self.book.key("capture"), hold_id, amount, None, sequence), label)

    def _released(self, hold: Hold) -> Generated:
        hold_id = transfer_id(hold.account, hold.idempotency_key)
        sequence = self.book.sequence(hold.account)
        return Generated(Release(hold.account, self.book.key("release"), hold_id, None, sequence), "release")

    def _after(self, hold: Hold, make: Callable[[Hold], Generated], least: int) -> None:
        """Let the hold's payer do something about it later, unless the payer sends nothing more by then."""
        least = min(least, self.patience)
        after = self.rng.randint(least, 2 * least)
        self.agenda.later(after, lambda: None if hold.account in self.book.stuck else make(hold))

    def _transfer(self, word: str, payer: str, payee: str, typical: int, market: Market) -> Transfer:
        amount = self.book.affordable(payer, typical)
        return self.book.transfer(word, payer, payee, amount, market.currency)

    def _perhaps_reversed(self, generated: Generated, transfer: Transfer) -> Generated:
        if self.rng.random() < REVERSED_SHARE:
            after = self.rng.randint(self.patience, 3 * self.patience)
            parts = self.rng.choice(
                [(None,), (None,), (max(1, transfer.amount // 3),), (transfer.amount // 2 or 1, None)]
            )
            for number, amount in enumerate(parts):
                self.agenda.later(after + 50 * number, partial(self._reversed, transfer, amount))
        return generated

    def _reversed(self, transfer: Transfer, amount: int | None) -> Generated | None:
        if transfer.payee in self.book.stuck:
            return None
        original = transfer_id(transfer.account, transfer.idempotency_key)
        sequence = self.book.sequence(transfer.payee)
        reverse = Reverse(transfer.payee, self.book.key("reverse"), original, amount, False, sequence, "returned")
        return Generated(reverse, "reversal_full" if amount is None else "reversal_partial")
