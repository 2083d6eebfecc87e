"""Step 3, back at the payer: post the pending debit, or undo it. Unconditional: no freeze, close or limit stops it."""

from __future__ import annotations

from streams.ledger import holds, reversals, velocity
from streams.ledger.accounts import figures_of, with_figures
from streams.ledger.case import key_expiry
from streams.ledger.decision import LegCannotBeApplied
from streams.ledger.draft import Draft
from streams.ledger.inputs import LegInput
from streams.ledger.journal import Figures
from streams.ledger.legs import Leg
from streams.ledger.rows import TransferRow
from streams.ledger.settlement import journal_refused
from streams.ledger.vocabulary import Kind, LegKind, Outcome

PENDING = Outcome.PENDING
POSTED = Outcome.POSTED
COMPENSATED = Outcome.COMPENSATED
CAPTURE = Kind.CAPTURE
REVERSE = Kind.REVERSE
SETTLED_LEG = LegKind.SETTLED


def decide_return(draft: Draft, input: LegInput) -> None:
    """Step 3. Raises LegCannotBeApplied for a leg that fits no PENDING transfer of its payer."""
    leg = input.leg
    row = _pending_transfer(draft, leg)
    if input.refuse:
        _drop(draft, input, row)
    elif row is None:
        raise LegCannotBeApplied(f"no transfer {leg.transfer.hex()} is pending from record {leg.pending}")
    elif leg.kind is SETTLED_LEG:
        _post(draft, input, row)
    else:
        _compensate(draft, input, row)


def _pending_transfer(draft: Draft, leg: Leg) -> TransferRow | None:
    """The transfer that the leg answers; None if it fits none in every field."""
    row = draft.transfer(leg.transfer)
    if row is None or row.state is not PENDING or row.pending != leg.pending or row.kind is not leg.transfer_kind:
        return None
    same = leg.payer == row.intent.account and leg.payee == row.payee
    return row if same and leg.amount == row.amount and leg.currency == row.currency else None


def _post(draft: Draft, input: LegInput, row: TransferRow) -> None:
    if row.kind is CAPTURE:
        holds.capture_settled(draft, row)
    elif row.kind is REVERSE:
        reversals.settled(draft, row)
    figures = _change(draft, row, row.amount, row.amount)
    _finish(draft, input, row, POSTED, None, figures)


def _compensate(draft: Draft, input: LegInput, row: TransferRow) -> None:
    freed = row.amount
    if row.kind is CAPTURE:
        freed = holds.capture_refused(draft, row)
    elif row.kind is REVERSE:
        reversals.refused(draft, row)
    velocity.give_back(draft, row.intent.account, row)
    figures = _change(draft, row, freed, 0) if freed else None
    _finish(draft, input, row, COMPENSATED, input.leg.reason, figures)


def _change(draft: Draft, row: TransferRow, freed: int, posted: int) -> Figures:
    """Take ``freed`` from the payer's pending debits and add ``posted`` to the posted ones."""
    payer = row.intent.account
    account = draft.account(payer)
    assert account is not None
    account = with_figures(
        account,
        account.debits_pending - freed,
        account.debits_posted + posted,
        account.credits_posted,
        draft.sequence + 1,
    )
    draft.put_account(payer, account)
    return figures_of(account)


def _finish(
    draft: Draft, input: LegInput, row: TransferRow, state: Outcome, reason: str | None, figures: Figures | None
) -> None:
    id = input.leg.transfer
    intent = row.intent
    draft.journal(
        input.position,
        row.kind,
        state,
        3,
        id,
        row.pending,
        intent.account,
        row.payee,
        row.amount,
        row.currency,
        reason,
        figures,
        None,
        row.origin or None,
        row.origin_pending,
    )
    final = TransferRow(
        intent,
        row.kind,
        state,
        reason,
        row.input,
        draft.sequence,
        row.pending,
        row.payee,
        row.amount,
        row.currency,
        row.origin,
        row.origin_pending,
        row.bucket,
        row.bucket_width,
        key_expiry(draft),
    )
    draft.put_transfer(id, row, final)


def _drop(draft: Draft, input: LegInput, row: TransferRow | None) -> None:
    """An operator drops a leg that answers nothing. One that answers a transfer ends it: that cannot be refused."""
    leg = input.leg
    if row is not None:
        raise LegCannotBeApplied(f"transfer {leg.transfer.hex()} is pending: its answer can be replaced, not refused")
    journal_refused(draft, input, 3, "operator_refused")
