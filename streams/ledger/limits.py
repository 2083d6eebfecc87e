"""Limits of an account: are they valid, and does a debit keep within them."""

from __future__ import annotations

import re

from streams.ledger import velocity
from streams.ledger.draft import Draft
from streams.ledger.intents import OpenAccount, SetLimits
from streams.ledger.rows import AccountRow
from streams.ledger.vocabulary import MAX_AMOUNT, Status

SHORTEST_VELOCITY_WINDOW = 60
LONGEST_VELOCITY_WINDOW = 31_536_000

valid_account_id = re.compile(r"[A-Za-z0-9._:-]{1,64}").fullmatch


def valid_amount(amount: int) -> bool:
    """Whether an amount of an intent can be moved at all."""
    return 1 <= amount <= MAX_AMOUNT


def valid_limits(wanted: OpenAccount | SetLimits) -> bool:
    """Whether the limits are in range and do not contradict each other."""
    minimum, maximum = wanted.minimum_balance, wanted.maximum_balance
    if any(bound is not None and not -MAX_AMOUNT <= bound <= MAX_AMOUNT for bound in (minimum, maximum)):
        return False
    if minimum is not None and maximum is not None and maximum < minimum:
        return False
    if any(most is not None and not valid_amount(most) for most in (wanted.velocity_amount, wanted.velocity_count)):
        return False
    return SHORTEST_VELOCITY_WINDOW <= wanted.velocity_window_seconds <= LONGEST_VELOCITY_WINDOW


def status_refusal(account: AccountRow) -> str | None:
    """Why an account in this state makes no debits; None: it is open."""
    if account.status is Status.OPEN:
        return None
    return "account_closed" if account.status is Status.CLOSED else "account_frozen"


def debit_refusal(draft: Draft, id: str, account: AccountRow, amount: int, *, force: bool = False) -> str | None:
    """Why the account cannot reserve ``amount``; None: it can. ``force`` (an operator's) skips the funds alone."""
    reason = velocity.refusal(draft, id, account, amount)
    if reason is not None:
        return reason
    reserved = account.debits_posted + account.debits_pending + amount
    if reserved > MAX_AMOUNT:
        return "overflow"
    minimum = account.minimum_balance
    if minimum is not None and not force and account.credits_posted - reserved < minimum:
        return "insufficient_funds"
    return None
