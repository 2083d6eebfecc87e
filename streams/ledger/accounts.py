"""Account commands: open, set limits, freeze, unfreeze, close."""

from __future__ import annotations

from typing import Any

from streams.ledger.case import Case, Terms, apply, refuse
from streams.ledger.currencies import EXPONENTS
from streams.ledger.draft import Draft
from streams.ledger.intents import Close, Freeze, OpenAccount, SetLimits, Unfreeze
from streams.ledger.journal import Figures
from streams.ledger.limits import status_refusal, valid_account_id, valid_limits
from streams.ledger.rows import AccountRow
from streams.ledger.vocabulary import Status

_FIGURES = AccountRow._fields.index("debits_pending")
_AFTER_VERSION = _FIGURES + 4
assert AccountRow._fields[_FIGURES:_AFTER_VERSION] == ("debits_pending", "debits_posted", "credits_posted", "version")


def with_figures(row: AccountRow, pending: int, posted: int, credits: int, version: int) -> AccountRow:
    """The row with other figures. Built from slices, on the hot path: ``_replace`` costs six times as much."""
    return tuple.__new__(AccountRow, (*row[:_FIGURES], pending, posted, credits, version, *row[_AFTER_VERSION:]))


def figures_of(row: AccountRow) -> Figures:
    """The figures of a row, for the journal."""
    return Figures(row.debits_pending, row.debits_posted, row.credits_posted)


def balance(row: AccountRow) -> int:
    """What the account has, pending debits not counted."""
    return row.credits_posted - row.debits_posted


def decide_open(draft: Draft, case: Case[OpenAccount]) -> None:
    """Open an account. An id that was ever opened stays taken, also when it is closed."""
    intent = case.intent
    reason = _refusal_of_open(draft, intent)
    if reason is not None:
        refuse(draft, case, reason)
        return
    row = AccountRow(
        intent.currency,
        version=draft.sequence + 1,
        minimum_balance=intent.minimum_balance,
        maximum_balance=intent.maximum_balance,
        velocity_amount=intent.velocity_amount,
        velocity_count=intent.velocity_count,
        velocity_window_seconds=intent.velocity_window_seconds,
    )
    draft.put_account(intent.account, row)
    draft.decision.profiles[intent.account] = intent
    apply(draft, case, Terms(currency=intent.currency), figures_of(row))


def _refusal_of_open(draft: Draft, intent: OpenAccount) -> str | None:
    if not valid_account_id(intent.account):
        return "invalid_account_id"
    if draft.account(intent.account) is not None:
        return "account_exists"
    if intent.currency not in EXPONENTS[draft.parameters.rules]:
        return "invalid_currency"
    if not valid_limits(intent):
        return "invalid_limits"
    return None


def decide_set_limits(draft: Draft, case: Case[SetLimits], account: AccountRow) -> None:
    """Replace the limits; a frozen account takes them too. A balance already outside of them stays."""
    intent = case.intent
    if account.status is Status.CLOSED:
        refuse(draft, case, "account_closed")
    elif not valid_limits(intent):
        refuse(draft, case, "invalid_limits")
    else:
        changed = account._replace(
            minimum_balance=intent.minimum_balance,
            maximum_balance=intent.maximum_balance,
            velocity_amount=intent.velocity_amount,
            velocity_count=intent.velocity_count,
            velocity_window_seconds=intent.velocity_window_seconds,
        )
        _apply_change(draft, case, changed)


def decide_freeze(draft: Draft, case: Case[Freeze], account: AccountRow) -> None:
    """Stop steps 1 and 2 at the account; what is under way still ends."""
    reason = status_refusal(account)
    if reason is not None:
        refuse(draft, case, reason)
    else:
        _apply_change(draft, case, account._replace(status=Status.FROZEN))


def decide_unfreeze(draft: Draft, case: Case[Unfreeze], account: AccountRow) -> None:
    """Undo a freeze."""
    if account.status is Status.CLOSED:
        refuse(draft, case, "account_closed")
    elif account.status is not Status.FROZEN:
        refuse(draft, case, "account_not_frozen")
    else:
        _apply_change(draft, case, account._replace(status=Status.OPEN))


def decide_close(draft: Draft, case: Case[Close], account: AccountRow) -> None:
    """Close for ever, if nothing is in the account, pending, held or parked (a hold is inside the pending debits)."""
    reason = status_refusal(account)
    if reason is None and (balance(account) != 0 or account.debits_pending != 0 or account.parked != 0):
        reason = "account_not_empty"
    if reason is not None:
        refuse(draft, case, reason)
    else:
        _apply_change(draft, case, account._replace(status=Status.CLOSED))


def _apply_change(draft: Draft, case: Case[Any], changed: AccountRow) -> None:
    changed = changed._replace(version=draft.sequence + 1)
    draft.put_account(case.intent.account, changed)
    apply(draft, case, figures=figures_of(changed))
