"""The accounts as the journal gives them, and how far each of the compared places has followed.

Every change of an account waits in one queue for each compared place (tables, Postgres) until that place's position
passes it. So an account's expected figures *at the position of each place* are always at hand, however far apart the
places are, and what is kept is bounded by the slowest of them.
"""

from __future__ import annotations

from collections import deque

Figures = tuple[int, tuple[int, int, int]]
"""(version, (debits_pending, debits_posted, credits_posted)); version: journal sequence of the last change."""

OPENED: Figures = (0, (0, 0, 0))

TABLES, POSTGRES = 0, 1
"""The compared places: indices of :attr:`Account.at`."""

LONGEST_QUEUE = 1_000_000
"""Changes kept for one place in one partition. A place further behind is not compared until it has caught up."""


class Account:
    """One account: its figures after the last journal record read, and at the position of each compared place."""

    __slots__ = ("at", "currency", "figures", "name", "partition", "row", "swept")

    def __init__(self, name: bytes, partition: int, currency: bytes) -> None:
        self.name = name
        self.partition = partition
        self.currency = currency
        self.figures: Figures = OPENED
        self.at: list[Figures | None] = [None, None]
        """What each place must hold at its position; None: the account is not open there yet."""
        self.row: Figures | None = None
        """The newest row of the table that was applied."""
        self.swept = 0
        """Number of the sweep of Postgres that last saw the account's row."""

    def __str__(self) -> str:
        return self.name.decode(errors="replace")


Change = tuple[int, Account, Figures]
"""(journal sequence, account, its figures then)."""


class Sums:
    """Sums over the accounts of one currency."""

    __slots__ = ("accounts", "credits_posted", "debits_pending", "debits_posted")

    def __init__(self, accounts: int = 0, pending: int = 0, debits: int = 0, credits: int = 0) -> None:
        self.accounts = accounts
        self.debits_pending = pending
        self.debits_posted = debits
        self.credits_posted = credits

    def move(self, before: Figures | None, after: Figures) -> None:
        """Replace one account's figures in the sums."""
        if before is None:
            self.accounts += 1
            before = OPENED
        (pending, debits, credits), (old_pending, old_debits, old_credits) = after[1], before[1]
        self.debits_pending += pending - old_pending
        self.debits_posted += debits - old_debits
        self.credits_posted += credits - old_credits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sums) and str(self) == str(other)

    def __str__(self) -> str:
        return (
            f"accounts {self.accounts}, debits_pending {self.debits_pending}, debits_posted {self.debits_posted}, "
            f"credits_posted {self.credits_posted}"
        )


class Cursor:
    """How far one place has followed the journal, with what is expected of it there."""

    def __init__(self, place: int, partitions: int, longest_queue: int = LONGEST_QUEUE) -> None:
        self.place = place
        self.queues: list[deque[Change]] = [deque() for _ in range(partitions)]
        self.positions = [0] * partitions
        """Journal sequence up to which the changes were passed, by partition."""
        self.sums: dict[bytes, Sums] = {}
        """Sums of the accounts at the positions, by currency."""
        self.blind = [False] * partitions
        """The place fell so far behind that changes were dropped: nothing is compared until it reaches the position."""
        self._longest = longest_queue

    def advance(self, partition: int, to: int) -> set[Account]:
        """Pass the changes up to sequence ``to``; returns the accounts they were of. A lower ``to`` passes nothing."""
        queue, place = self.queues[partition], self.place
        changed: dict[Account, Figures] = {}
        while queue and queue[0][0] <= to:
            _, account, figures = queue.popleft()
            changed[account] = figures
        for account, figures in changed.items():
            sums = self.sums.get(account.currency)
            if sums is None:
                sums = self.sums[account.currency] = Sums()
            sums.move(account.at[place], figures)
            account.at[place] = figures
        if to > self.positions[partition]:
            self.positions[partition] = to
        return set(changed)

    def bound(self, partition: int) -> None:
        """Drop the oldest half of a queue that is too long: the place is too far behind to be compared now."""
        queue = self.queues[partition]
        if len(queue) > self._longest:
            self.advance(partition, queue[len(queue) // 2][0])
            self.blind[partition] = True

    def comparable(self, partition: int, position: int) -> bool:
        """Whether the place, being at ``position``, can be compared: it was never, or is no longer, too far behind."""
        if position < self.positions[partition]:
            return False
        self.blind[partition] = False
        return True
