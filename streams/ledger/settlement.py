"""Step 2, at the payee: take the credit and write the balanced entry, or send the leg back with a reason."""

from __future__ import annotations

from streams.ledger.accounts import balance, figures_of, with_figures
from streams.ledger.case import STEPS, key_expiry
from streams.ledger.currencies import EXPONENTS
from streams.ledger.decision import LegCannotBeApplied
from streams.ledger.draft import Draft
from streams.ledger.inputs import LegInput
from streams.ledger.journal import Posting
from streams.ledger.legs import Leg
from streams.ledger.limits import valid_amount
from streams.ledger.rows import AccountRow, SettledTransfer
from streams.ledger.vocabulary import MAX_AMOUNT, LegKind, Outcome, Status

SETTLED = Outcome.SETTLED
SETTLED_LEG = LegKind.SETTLED


def decide_credit(draft: Draft, input: LegInput) -> None:
    """Step 2. Raises LegCannotBeApplied for a leg that no step 1 can have sent, or that was settled before."""
    leg = input.leg
    occurrences = draft.settled(leg.transfer)
    if occurrences and any(settled.pending == leg.pending for settled in occurrences):
        _repeated(draft, input)
        return
    if input.refuse:
        _refuse(draft, input, "operator_refused")
        return
    _check(draft, leg)
    account = draft.account(leg.payee)
    reason = _refusal(leg, account)
    if reason is not None:
        _refuse(draft, input, reason)
        return
    assert account is not None
    _settle(draft, input, account)


def _settle(draft: Draft, input: LegInput, account: AccountRow) -> None:
    _, id, pending, transfer_kind, payer, payee, amount, currency, _ = input.leg
    row = with_figures(
        account,
        account.debits_pending,
        account.debits_posted,
        account.credits_posted + amount,
        draft.sequence + 1,
    )
    draft.put_account(payee, row)
    entry = (Posting(payer, "DEBIT", amount, currency), Posting(payee, "CREDIT", amount, currency))
    draft.journal(
        input.position,
        transfer_kind,
        SETTLED,
        2,
        id,
        pending,
        payee,
        payer,
        amount,
        currency,
        None,
        figures_of(row),
        entry,
    )
    settled = SettledTransfer(pending, transfer_kind, payer, payee, amount, currency, 0, 0, key_expiry(draft))
    draft.decision.settled[id] = (*draft.settled(id), settled)
    draft.decision.legs.append((payer, Leg(SETTLED_LEG, id, pending, transfer_kind, payer, payee, amount, currency)))


def _refuse(draft: Draft, input: LegInput, reason: str) -> None:
    leg = input.leg
    journal_refused(draft, input, 2, reason)
    draft.decision.legs.append((leg.payer, leg._replace(kind=LegKind.REFUSED, reason=reason)))


def _repeated(draft: Draft, input: LegInput) -> None:
    """A leg that was settled before: nothing may go back, for the payee has the money."""
    if not input.refuse:
        raise LegCannotBeApplied(
            f"transfer {input.leg.transfer.hex()} of record {input.leg.pending} is settled already"
        )
    journal_refused(draft, input, 2, "operator_refused")


def journal_refused(draft: Draft, input: LegInput, step: int, reason: str) -> None:
    """Write REFUSED at the account that the leg came to: the payee in step 2, the payer in step 3."""
    leg = input.leg
    account, counterparty = (leg.payee, leg.payer) if step == 2 else (leg.payer, leg.payee)
    draft.journal(
        input.position,
        leg.transfer_kind,
        Outcome.REFUSED,
        step,
        leg.transfer,
        leg.pending,
        account,
        counterparty,
        leg.amount,
        leg.currency,
        reason,
    )


def _check(draft: Draft, leg: Leg) -> None:
    if leg.transfer_kind not in STEPS or not valid_amount(leg.amount) or leg.payer == leg.payee:
        raise LegCannotBeApplied(f"no step 1 sends such a leg: {leg}")
    if leg.currency not in EXPONENTS[draft.parameters.rules]:
        raise LegCannotBeApplied(f"the currency {leg.currency!r} is not in rules version {draft.parameters.rules}")


def _refusal(leg: Leg, account: AccountRow | None) -> str | None:
    if account is None:
        return "payee_not_found"
    if account.status is not Status.OPEN:
        return "payee_closed" if account.status is Status.CLOSED else "payee_frozen"
    if leg.currency != account.currency:
        return "payee_currency_mismatch"
    maximum = account.maximum_balance
    if maximum is not None and balance(account) + leg.amount > maximum:
        return "payee_maximum_balance"
    if account.credits_posted + leg.amount > MAX_AMOUNT:
        return "payee_overflow"
    return None
