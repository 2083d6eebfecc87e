"""Velocity: an account's debits in a sliding window, in fixed buckets of a 60th of it, the oldest counted whole."""

from __future__ import annotations

from typing import NamedTuple

from streams.ledger.draft import Draft
from streams.ledger.rows import AccountRow, TransferRow, VelocityRow
from streams.ledger.vocabulary import MAX_AMOUNT

BUCKETS = 60


class Charge(NamedTuple):
    """The bucket that a debit was counted in; number -1: none."""

    bucket: int = -1
    width: int = 0
    """Microseconds."""


NO_CHARGE = Charge()


def limited(account: AccountRow) -> bool:
    """Whether debits of the account are counted: it has a velocity limit now."""
    return account.velocity_amount is not None or account.velocity_count is not None


def refusal(draft: Draft, id: str, account: AccountRow, amount: int) -> str | None:
    """Why one more debit of ``amount`` would pass the account's velocity; None: it would not."""
    if account.velocity_amount is None and account.velocity_count is None:
        return None
    width = bucket_width(account)
    buckets = _counted(draft, id, width, draft.time // width)
    most = account.velocity_amount
    if most is not None and sum(bucket[1] for bucket in buckets) + amount > most:
        return "velocity_amount_exceeded"
    most = account.velocity_count
    if most is not None and sum(bucket[2] for bucket in buckets) + 1 > most:
        return "velocity_count_exceeded"
    return None


def charge(draft: Draft, id: str, account: AccountRow, amount: int) -> Charge:
    """Count one debit. Buckets that have left the window are dropped."""
    if not limited(account):
        return NO_CHARGE
    width = bucket_width(account)
    now = draft.time // width
    buckets = _counted(draft, id, width, now)
    count = 0
    if buckets and buckets[-1][0] == now:
        _, charged, count = buckets[-1]
        amount += charged
        buckets = buckets[:-1]
    # Without an amount limit the sum has no bound of its own; it saturates, since it is a counter and no money.
    draft.decision.velocity[id] = VelocityRow(width, (*buckets, (now, min(amount, MAX_AMOUNT), count + 1)))
    return Charge(now, width)


def give_back(draft: Draft, id: str, row: TransferRow) -> None:
    """Return a compensated debit to its bucket; one that is gone, or of another width, changes nothing."""
    if row.bucket < 0:
        return
    velocity = draft.velocity(id)
    if velocity is None or velocity.width != row.bucket_width:
        return
    buckets = tuple(
        (number, max(0, amount - row.amount), max(0, count - 1)) if number == row.bucket else (number, amount, count)
        for number, amount, count in velocity.buckets
    )
    if buckets != velocity.buckets:
        draft.decision.velocity[id] = VelocityRow(velocity.width, buckets)


def bucket_width(account: AccountRow) -> int:
    """Microseconds of a bucket."""
    return max(1, account.velocity_window_seconds * 1_000_000 // BUCKETS)


def _counted(draft: Draft, id: str, width: int, now: int) -> tuple[tuple[int, int, int], ...]:
    row = draft.velocity(id)
    if row is None or row.width != width:
        return ()
    if row.buckets and row.buckets[0][0] > now - BUCKETS:
        return row.buckets
    return tuple(bucket for bucket in row.buckets if bucket[0] > now - BUCKETS)
