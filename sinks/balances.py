"""What a batch changes in its accounts' figures, each record's figures checked against the one before.

The rule is written three times on purpose: in the ledger (which made the record), here, and
in SQL (view ``movements``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sinks.errors import FiguresDisagree
from streams.ledger.journal import JournalRecord
from streams.ledger.vocabulary import Kind, Outcome

Amounts = tuple[int, int, int]
"""debits_pending, debits_posted, credits_posted."""

PENDING_UP: Amounts = (1, 0, 0)
PENDING_DOWN: Amounts = (-1, 0, 0)
UNCHANGED: Amounts = (0, 0, 0)

SIGNS: dict[tuple[str, str], Amounts] = {
    (Outcome.PENDING, Kind.TRANSFER): PENDING_UP,
    (Outcome.PENDING, Kind.REVERSE): PENDING_UP,
    (Outcome.SETTLED, Kind.TRANSFER): (0, 0, 1),
    (Outcome.SETTLED, Kind.CAPTURE): (0, 0, 1),
    (Outcome.SETTLED, Kind.REVERSE): (0, 0, 1),
    (Outcome.POSTED, Kind.TRANSFER): (-1, 1, 0),
    (Outcome.POSTED, Kind.CAPTURE): (-1, 1, 0),
    (Outcome.POSTED, Kind.REVERSE): (-1, 1, 0),
    (Outcome.COMPENSATED, Kind.TRANSFER): PENDING_DOWN,
    (Outcome.COMPENSATED, Kind.CAPTURE): PENDING_DOWN,
    (Outcome.COMPENSATED, Kind.REVERSE): PENDING_DOWN,
    (Outcome.APPLIED, Kind.HOLD): PENDING_UP,
    (Outcome.APPLIED, Kind.RELEASE): PENDING_DOWN,
    (Outcome.EXPIRED, Kind.HOLD): PENDING_DOWN,
}
"""The sign of a record's amount in each of its account's figures. A record that is not here changes none of them."""


class Change(NamedTuple):
    """What a batch does to one account: its figures before and after, and the sequence of its last change."""

    account: str
    partition: int
    before: Amounts
    after: Amounts
    version: int

    @property
    def deltas(self) -> Amounts:
        """after - before."""
        (a, b, c), (d, e, f) = self.before, self.after
        return d - a, e - b, f - c


class Changes:
    """The changes of a batch, by account."""

    def __init__(self) -> None:
        self._before: dict[str, Amounts] = {}
        self._after: dict[str, tuple[Amounts, int, int]] = {}

    def add(self, partition: int, record: JournalRecord) -> None:
        """Take in the figures of a record. Raises FiguresDisagree unless they follow from the account's last ones."""
        account, figures = record.account, record.figures
        assert account is not None, "figures belong to an account"
        assert figures is not None, "only records with figures change any"
        amount = record.amount or 0
        up, posted, credited = SIGNS.get((record.outcome, record.kind), UNCHANGED)
        before = (
            figures[0] - up * amount,
            figures[1] - posted * amount,
            figures[2] - credited * amount,
        )
        last = self._after.get(account)
        if last is None:
            self._before[account] = before
        elif last[0] != before or last[2] != partition:
            raise FiguresDisagree(
                f"account {account}: journal record ({partition}, {record.sequence}) {record.kind} {record.outcome} of "
                f"{amount} leaves {tuple(figures)}, so it was {before} before; but record ({last[2]}, {last[1]}) left "
                f"{tuple(last[0])}. The journal contradicts itself: run `twofold verify`."
            )
        self._after[account] = (figures, record.sequence, partition)

    def __iter__(self) -> Iterator[Change]:
        """One change an account, in the order of their first record."""
        for account, (after, version, partition) in self._after.items():
            yield Change(account, partition, self._before[account], after, version)
