"""An account as the model keeps it: lists of everything that ever happened, and sums over them."""

from __future__ import annotations

from typing import Any

BUCKETS = 60


class Charge:
    """One debit that counts against the account's velocity; ``gone`` once a compensation gave it back."""

    __slots__ = ("amount", "bucket", "gone", "width")

    def __init__(self, width: int, bucket: int, amount: int) -> None:
        self.width = width
        self.bucket = bucket
        self.amount = amount
        self.gone = False


class Window:
    """The sum of the charges of one width that are not too old; time only goes on, so what left stays out."""

    def __init__(self, width: int, charges: list[Charge]) -> None:
        self.width = width
        self._charges = charges
        self._first = 0
        self._amount = sum(charge.amount for charge in charges)

    def add(self, charge: Charge) -> None:
        """One more."""
        self._charges.append(charge)
        self._amount += charge.amount

    def after(self, oldest: int) -> tuple[int, int]:
        """(amount, count) of those in buckets after ``oldest``."""
        while self._first < len(self._charges) and self._charges[self._first].bucket <= oldest:
            self._amount -= self._charges[self._first].amount
            self._first += 1
        return self._amount, len(self._charges) - self._first


class Account:
    """``movements`` is the truth: (column, amount), the column one of pending, debited, credited."""

    def __init__(self, name: str, currency: str, limits: dict[str, Any]) -> None:
        self.name = name
        self.currency = currency
        self.status = "OPEN"
        self.limits = limits
        self.movements: list[tuple[str, int]] = []
        self.charges: list[Charge] = []
        self.expected_number = 1
        self.waiting: list[tuple[int, Any]] = []
        """(account sequence, its memory) of early intents, in order of the sequence."""
        self.version = 0
        self._sums = {"pending": 0, "debited": 0, "credited": 0}
        self._summed = 0
        self._window: Window | None = None

    def move(self, column: str, amount: int) -> None:
        """Write one movement down."""
        self.movements.append((column, amount))

    def figures(self) -> tuple[int, int, int]:
        """(pending, debited, credited): the sums of the movements, those since the last call added."""
        for column, amount in self.movements[self._summed :]:
            self._sums[column] += amount
        self._summed = len(self.movements)
        return self._sums["pending"], self._sums["debited"], self._sums["credited"]

    def figures_from_nothing(self) -> tuple[int, int, int]:
        """The same figures by one walk over every movement."""
        pending = sum(amount for column, amount in self.movements if column == "pending")
        debited = sum(amount for column, amount in self.movements if column == "debited")
        credited = sum(amount for column, amount in self.movements if column == "credited")
        return pending, debited, credited

    @property
    def limited_in_velocity(self) -> bool:
        """Whether debits are counted at all at present."""
        return self.limits["velocity_amount"] is not None or self.limits["velocity_count"] is not None

    @property
    def bucket_width(self) -> int:
        """Microseconds of one bucket."""
        return max(1, int(self.limits["velocity_window_seconds"]) * 1_000_000 // BUCKETS)

    def charged_since(self, time: int) -> tuple[int, int]:
        """(amount, count) of the debits in the window that ends at ``time``, its oldest bucket counted whole."""
        width = self.bucket_width
        oldest = time // width - BUCKETS
        if self._window is None or self._window.width != width:
            self._window = Window(
                width, [charge for charge in self.charges if charge.width == width and not charge.gone]
            )
        return self._window.after(oldest)

    def give_back(self, charge: Charge) -> None:
        """A debit was undone: it counts no more."""
        charge.gone = True
        self._window = None

    def charge(self, time: int, amount: int) -> Charge | None:
        """Count a debit; None when the account has no velocity limit. Debits of another bucket width are forgotten."""
        if not self.limited_in_velocity:
            return None
        width = self.bucket_width
        if self.charges and self.charges[-1].width != width:
            self.charges.clear()
            self._window = None
        charge = Charge(width, time // width, amount)
        self.charges.append(charge)
        if self._window is not None:
            self._window.add(charge)
        return charge
