"""Holds: reserve now, capture or release later. open + capturing + captured + released = amount, at all times.

What is open or capturing is inside the payer's pending debits. A capture's step 1 only moves open to capturing;
expiry and release touch only what is open, so that a capture under way is never cut off. A hold is ``closing`` once
it has expired or was released whole while a capture was under way: what a refused capture brings back is released.
"""

from __future__ import annotations

from streams.ledger.accounts import figures_of, with_figures
from streams.ledger.case import SECOND, Case, Terms, apply, key_expiry, refuse
from streams.ledger.decision import LegCannotBeApplied
from streams.ledger.draft import Draft
from streams.ledger.intents import Capture, Hold, Release
from streams.ledger.journal import Figures
from streams.ledger.limits import debit_refusal, status_refusal, valid_account_id, valid_amount
from streams.ledger.rows import AccountRow, HoldRow, TransferRow
from streams.ledger.transfers import currency_refusal, reserve, send
from streams.ledger.velocity import charge
from streams.ledger.vocabulary import Kind, Outcome, Status


def decide_hold(draft: Draft, case: Case[Hold], account: AccountRow) -> None:
    """Reserve the payer's funds for captures."""
    intent = case.intent
    reason = _refusal_of_hold(draft, intent, account)
    if reason is not None:
        refuse(draft, case, reason)
        return
    charge(draft, intent.account, account, intent.amount)
    figures = reserve(draft, intent.account, account, intent.amount)
    pending = draft.sequence + 1
    amount = intent.amount
    expires = draft.time + intent.expires_in_seconds * SECOND
    hold = HoldRow(pending, intent.account, intent.payee, intent.currency, amount, amount, 0, 0, 0, expires)
    apply(draft, case, Terms(intent.payee, amount, intent.currency), figures, pending=pending, expires=0)
    put_hold(draft, case.id, hold)


def _refusal_of_hold(draft: Draft, intent: Hold, account: AccountRow) -> str | None:
    if not valid_amount(intent.amount):
        return "invalid_amount"
    if not 1 <= intent.expires_in_seconds <= draft.parameters.window_seconds:
        return "invalid_expiry"
    if intent.payee is not None and not valid_account_id(intent.payee):
        return "invalid_account_id"
    if intent.payee == intent.account:
        return "same_account"
    return (
        status_refusal(account)
        or currency_refusal(draft, intent, account)
        or debit_refusal(draft, intent.account, account, intent.amount)
    )


def decide_capture(draft: Draft, case: Case[Capture], account: AccountRow) -> None:
    """Step 1 of a transfer from a hold: open becomes capturing; the pending debits stay as they are."""
    intent = case.intent
    if intent.amount is not None and not valid_amount(intent.amount):
        refuse(draft, case, "invalid_amount")
        return
    reason = status_refusal(account)
    if reason is not None:
        refuse(draft, case, reason)
        return
    hold = _hold_of(draft, intent)
    if hold is None or hold.closing or hold.open == 0:
        refuse(draft, case, "hold_not_open" if hold is not None or _was_held(draft, intent) else "hold_not_found")
        return
    payee = hold.payee if intent.payee is None else intent.payee
    amount = hold.open if intent.amount is None else intent.amount
    reason = _refusal_of_capture(intent.account, payee, amount, hold)
    if reason is not None or payee is None:
        refuse(draft, case, reason or "payee_missing")
        return
    put_hold(draft, intent.hold, hold._replace(open=hold.open - amount, capturing=hold.capturing + amount))
    send(draft, case, payee, amount, hold.currency, None, origin=intent.hold, origin_pending=hold.pending)


def _refusal_of_capture(payer: str, payee: str | None, amount: int, hold: HoldRow) -> str | None:
    if payee is None:
        return "payee_missing"
    if not valid_account_id(payee):
        return "invalid_account_id"
    if payee == payer:
        return "same_account"
    return "hold_exceeded" if amount > hold.open else None


def decide_release(draft: Draft, case: Case[Release], account: AccountRow) -> None:
    """Give back what is open, also of a frozen account. Without an amount: all, and the hold closes."""
    intent = case.intent
    reason = _refusal_of_release(draft, intent, account)
    if reason is not None:
        refuse(draft, case, reason)
        return
    hold = _hold_of(draft, intent)
    assert hold is not None
    amount = hold.open if intent.amount is None else intent.amount
    figures = _free(draft, intent.account, amount)
    apply(
        draft,
        case,
        Terms(None, amount, hold.currency),
        figures,
        origin=intent.hold,
        origin_pending=hold.pending,
    )
    closing = intent.amount is None
    released = hold._replace(open=hold.open - amount, released=hold.released + amount, closing=closing)
    put_hold(draft, intent.hold, released)


def _refusal_of_release(draft: Draft, intent: Release, account: AccountRow) -> str | None:
    if intent.amount is not None and not valid_amount(intent.amount):
        return "invalid_amount"
    if account.status is Status.CLOSED:
        return "account_closed"
    hold = _hold_of(draft, intent)
    if hold is None:
        return "hold_not_open" if _was_held(draft, intent) else "hold_not_found"
    if hold.closing or (hold.open == 0 and intent.amount is not None):
        return "hold_not_open"
    return "hold_exceeded" if intent.amount is not None and intent.amount > hold.open else None


def expire(draft: Draft, id: bytes, hold: HoldRow) -> None:
    """Release what is open of a hold whose time has come; captures under way go on."""
    figures = _free(draft, hold.account, hold.open)
    draft.journal(
        draft.trigger,
        Kind.HOLD,
        Outcome.EXPIRED,
        0,
        id,
        hold.pending,
        hold.account,
        hold.payee,
        hold.open,
        hold.currency,
        figures=figures,
    )
    put_hold(draft, id, hold._replace(open=0, released=hold.released + hold.open, closing=True))


def capture_settled(draft: Draft, capture: TransferRow) -> None:
    """Step 3 of a capture that its payee took: capturing becomes captured."""
    hold = _capturing(draft, capture)
    amount = capture.amount
    put_hold(
        draft,
        capture.origin,
        hold._replace(capturing=hold.capturing - amount, captured=hold.captured + amount),
    )


def capture_refused(draft: Draft, capture: TransferRow) -> int:
    """Step 3 of a capture that was refused: back to open, or released if the hold is closing.

    Returns what leaves the payer's pending debits: nothing if it is open again.
    """
    hold = _capturing(draft, capture)
    amount = capture.amount
    capturing = hold.capturing - amount
    if hold.closing:
        put_hold(draft, capture.origin, hold._replace(capturing=capturing, released=hold.released + amount))
        return amount
    put_hold(draft, capture.origin, hold._replace(capturing=capturing, open=hold.open + amount))
    return 0


def put_hold(draft: Draft, id: bytes, hold: HoldRow) -> None:
    """Write a hold's row. With nothing open or capturing it goes, and the window of its key begins."""
    assert min(hold.open, hold.capturing, hold.captured, hold.released) >= 0
    assert hold.open + hold.capturing + hold.captured + hold.released == hold.amount
    assert hold.open == 0 or not hold.closing
    if hold.open or hold.capturing:
        draft.decision.holds[id] = hold
        return
    draft.decision.holds[id] = None
    key = draft.transfer(id)
    assert key is not None
    assert (key.pending, key.expires) == (hold.pending, 0)
    draft.decision.transfers[id] = key._replace(expires=key_expiry(draft))


def _free(draft: Draft, id: str, amount: int) -> Figures:
    """Take ``amount`` from the pending debits; the record that says so is the next one of the journal."""
    account = draft.account(id)
    assert account is not None
    row = with_figures(
        account,
        account.debits_pending - amount,
        account.debits_posted,
        account.credits_posted,
        draft.sequence + 1,
    )
    draft.put_account(id, row)
    return figures_of(row)


def _hold_of(draft: Draft, intent: Capture | Release) -> HoldRow | None:
    hold = draft.hold(intent.hold)
    return hold if hold is not None and hold.account == intent.account else None


def _was_held(draft: Draft, intent: Capture | Release) -> bool:
    """Whether the id is that of a hold of the account which is over, its key not yet expired."""
    row = draft.transfer(intent.hold)
    return (
        row is not None
        and row.kind is Kind.HOLD
        and row.state is Outcome.APPLIED
        and row.intent.account == intent.account
    )


def _capturing(draft: Draft, capture: TransferRow) -> HoldRow:
    hold = draft.hold(capture.origin)
    if hold is None or hold.pending != capture.origin_pending or hold.capturing < capture.amount:
        raise LegCannotBeApplied(f"hold {capture.origin.hex()} is not capturing {capture.amount}")
    return hold
