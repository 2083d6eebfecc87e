"""Step 1 of a transfer, at its payer, and the sending of money that captures and reversals share with it."""

from __future__ import annotations

from typing import Any

from streams.ledger.accounts import figures_of, with_figures
from streams.ledger.case import Case, refuse
from streams.ledger.currencies import EXPONENTS
from streams.ledger.draft import Draft
from streams.ledger.intents import Hold, Transfer
from streams.ledger.journal import Figures
from streams.ledger.legs import Leg
from streams.ledger.limits import debit_refusal, status_refusal, valid_account_id, valid_amount
from streams.ledger.rows import AccountRow, TransferRow
from streams.ledger.velocity import NO_CHARGE, Charge, charge
from streams.ledger.vocabulary import LegKind, Outcome

PENDING = Outcome.PENDING
CREDIT = LegKind.CREDIT


def decide_transfer(draft: Draft, case: Case[Transfer], account: AccountRow) -> None:
    """Reserve the payer's funds and ask the payee to take the credit."""
    intent = case.intent
    reason = _refusal(draft, intent, account)
    if reason is not None:
        refuse(draft, case, reason)
        return
    charged = charge(draft, intent.account, account, intent.amount)
    figures = reserve(draft, intent.account, account, intent.amount)
    send(draft, case, intent.payee, intent.amount, intent.currency, figures, charged=charged)


def _refusal(draft: Draft, intent: Transfer, account: AccountRow) -> str | None:
    if not valid_amount(intent.amount):
        return "invalid_amount"
    if not valid_account_id(intent.payee):
        return "invalid_account_id"
    if intent.payee == intent.account:
        return "same_account"
    return (
        status_refusal(account)
        or currency_refusal(draft, intent, account)
        or debit_refusal(draft, intent.account, account, intent.amount)
    )


def currency_refusal(draft: Draft, intent: Transfer | Hold, account: AccountRow) -> str | None:
    """Why the intent's currency cannot be taken from the account; None: it can."""
    if intent.currency not in EXPONENTS[draft.parameters.rules]:
        return "invalid_currency"
    return None if intent.currency == account.currency else "currency_mismatch"


def reserve(draft: Draft, id: str, account: AccountRow, amount: int) -> Figures:
    """Add ``amount`` to the pending debits; the record that says so is the next one of the journal."""
    row = with_figures(
        account,
        account.debits_pending + amount,
        account.debits_posted,
        account.credits_posted,
        draft.sequence + 1,
    )
    draft.put_account(id, row)
    return figures_of(row)


def send(
    draft: Draft,
    case: Case[Any],
    payee: str,
    amount: int,
    currency: str,
    figures: Figures | None,
    *,
    origin: bytes = b"",
    origin_pending: int = 0,
    charged: Charge = NO_CHARGE,
) -> None:
    """Step 1: PENDING, and a CREDIT leg to the payee. ``amount`` is inside the payer's pending debits by now."""
    assert amount > 0
    intent, input, id, kind = case.intent, case.input, case.id, case.kind
    pending = draft.sequence + 1
    payer = intent.account
    draft.journal(
        input,
        kind,
        PENDING,
        1,
        id,
        pending,
        payer,
        payee,
        amount,
        currency,
        None,
        figures,
        None,
        origin or None,
        origin_pending,
        case.wire,
    )
    row = TransferRow(
        intent,
        kind,
        PENDING,
        None,
        input,
        pending,
        pending,
        payee,
        amount,
        currency,
        origin,
        origin_pending,
        charged.bucket,
        charged.width,
        0,
    )
    draft.put_transfer(id, case.known, row)
    draft.decision.legs.append((payee, Leg(CREDIT, id, pending, kind, payer, payee, amount, currency)))
