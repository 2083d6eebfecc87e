"""Reversals: a settled transfer sent back by its payee, in the same three steps. reversing + reversed <= amount.

The amount is reserved beside the settled transfer at step 1 and given back on compensation, so that two reversals at
once never send back more than came.
"""

from __future__ import annotations

from streams.ledger.case import Case, refuse
from streams.ledger.draft import Draft
from streams.ledger.intents import Reverse
from streams.ledger.limits import debit_refusal, status_refusal, valid_amount
from streams.ledger.rows import AccountRow, SettledTransfer, TransferRow
from streams.ledger.transfers import reserve, send
from streams.ledger.velocity import charge
from streams.ledger.vocabulary import Kind


def decide_reverse(draft: Draft, case: Case[Reverse], account: AccountRow) -> None:
    """Reserve the payee's funds and ask the original payer to take them back."""
    intent = case.intent
    if intent.amount is not None and not valid_amount(intent.amount):
        refuse(draft, case, "invalid_amount")
        return
    reason = status_refusal(account)
    if reason is not None:
        refuse(draft, case, reason)
        return
    original = _newest(draft, intent)
    if original is None:
        refuse(draft, case, "transfer_not_found")
        return
    left = original.amount - original.reversing - original.reversed
    amount = left if intent.amount is None else intent.amount
    reason = _refusal(draft, intent, account, original, amount, left)
    if reason is not None:
        refuse(draft, case, reason)
        return
    charged = charge(draft, intent.account, account, amount)
    figures = reserve(draft, intent.account, account, amount)
    _put(draft, intent.transfer, original._replace(reversing=original.reversing + amount))
    send(
        draft,
        case,
        original.payer,
        amount,
        original.currency,
        figures,
        origin=intent.transfer,
        origin_pending=original.pending,
        charged=charged,
    )


def _refusal(
    draft: Draft, intent: Reverse, account: AccountRow, original: SettledTransfer, amount: int, left: int
) -> str | None:
    if original.kind is Kind.REVERSE:
        return "reversal_not_reversible"
    if left == 0 or amount > left:
        return "reversal_exceeded"
    return debit_refusal(draft, intent.account, account, amount, force=intent.force)


def settled(draft: Draft, reversal: TransferRow) -> None:
    """Step 3 of a reversal that the original payer took: reversing becomes reversed."""
    original = _original(draft, reversal)
    if original is not None:
        amount = reversal.amount
        changed = original._replace(reversing=original.reversing - amount, reversed=original.reversed + amount)
        _put(draft, reversal.origin, changed)


def refused(draft: Draft, reversal: TransferRow) -> None:
    """Step 3 of a reversal that was refused: what was reserved can be reversed again."""
    original = _original(draft, reversal)
    if original is not None:
        _put(draft, reversal.origin, original._replace(reversing=original.reversing - reversal.amount))


def _newest(draft: Draft, intent: Reverse) -> SettledTransfer | None:
    for occurrence in reversed(draft.settled(intent.transfer)):
        if occurrence.payee == intent.account:
            return occurrence
    return None


def _original(draft: Draft, reversal: TransferRow) -> SettledTransfer | None:
    """The settled transfer that the reversal reserved; None once its window has passed: nothing is left to keep."""
    for occurrence in draft.settled(reversal.origin):
        if occurrence.pending == reversal.origin_pending and occurrence.payee == reversal.intent.account:
            return occurrence
    return None


def _put(draft: Draft, id: bytes, changed: SettledTransfer) -> None:
    """Write one occurrence; the others of its id stay."""
    assert min(changed.reversing, changed.reversed) >= 0
    assert changed.reversing + changed.reversed <= changed.amount
    draft.decision.settled[id] = tuple(
        changed if occurrence.pending == changed.pending else occurrence for occurrence in draft.settled(id)
    )
