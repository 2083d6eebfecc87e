"""An intent under decision, and the records and rows that its outcome gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from streams.ledger.draft import Draft
from streams.ledger.intents import KINDS, Capture, Hold, Intent, OpenAccount, Release, Reverse, Transfer
from streams.ledger.journal import Figures, FirstOutcome
from streams.ledger.rows import AccountRow, Position, TransferRow
from streams.ledger.vocabulary import Kind, Outcome

SECOND = 1_000_000
"""Microseconds."""

I = TypeVar("I", bound=Intent)  # noqa: E741


class Case(NamedTuple, Generic[I]):
    """One intent under decision."""

    input: Position
    id: bytes
    """The transfer id."""
    kind: Kind
    intent: I
    known: TransferRow | None = None
    """The row of an intent that was parked; None for one that has just arrived."""

    @property
    def wire(self) -> bytes | None:
        """The intent's bytes for the journal, which holds them once: in the first record that stores a row."""
        return self.intent.wire if self.known is None else None


Rule = Callable[[Draft, Case[Any], AccountRow], None]
"""The rules of one kind of intent at its deciding account."""


class Terms(NamedTuple):
    """What an intent itself says of money; None where it says nothing."""

    counterparty: str | None = None
    amount: int | None = None
    currency: str | None = None


NO_TERMS = Terms()
STEPS = {Kind.TRANSFER: 1, Kind.CAPTURE: 1, Kind.REVERSE: 1}
"""The kinds that move money to another account do so in three steps; the others have none (0)."""


def terms(intent: Intent) -> Terms:
    """The terms as asked, before any rule has resolved them."""
    match intent:
        case Transfer() | Hold():
            return Terms(intent.payee, intent.amount, intent.currency)
        case Capture():
            return Terms(intent.payee, intent.amount)
        case Release() | Reverse():
            return Terms(None, intent.amount)
        case OpenAccount():
            return Terms(None, None, intent.currency)
        case _:
            return NO_TERMS


def kind_of(intent: Intent) -> Kind:
    """The kind of an intent."""
    return KINDS[type(intent)]


def key_expiry(draft: Draft) -> int:
    """When the key of an intent that is final now expires."""
    return draft.time + draft.partition.parameters.window_seconds * SECOND


def refuse(draft: Draft, case: Case[Any], reason: str) -> None:
    """Final: REJECTED with a reason; the key is kept for the window."""
    asked = terms(case.intent)
    _journal_as_asked(draft, case, Outcome.REJECTED, asked, reason, case.wire)
    draft.put_transfer(case.id, case.known, _row_as_asked(draft, case, Outcome.REJECTED, asked, reason))


def park(draft: Draft, case: Case[Any]) -> None:
    """Early in its account's order: the key is reserved and does not expire."""
    asked = terms(case.intent)
    _journal_as_asked(draft, case, Outcome.PARKED, asked, None, case.wire)
    draft.put_transfer(case.id, case.known, _row_as_asked(draft, case, Outcome.PARKED, asked, None))


def refuse_without_key(draft: Draft, case: Case[Any], reason: str) -> None:
    """Final: REJECTED, but the key is not this intent's (another has it, or it is another partition's): no row."""
    _journal_as_asked(draft, case, Outcome.REJECTED, terms(case.intent), reason, None)


def duplicate(draft: Draft, case: Case[Any], row: TransferRow) -> None:
    """Final: the same intent again; its first outcome stands and is embedded."""
    first = FirstOutcome(row.state, row.reason, row.decided, row.input)
    _journal_as_asked(draft, case, Outcome.DUPLICATE, terms(case.intent), None, None, first)


def apply(
    draft: Draft,
    case: Case[Any],
    asked: Terms = NO_TERMS,
    figures: Figures | None = None,
    *,
    pending: int = 0,
    origin: bytes | None = None,
    origin_pending: int = 0,
    expires: int | None = None,
) -> None:
    """Final: APPLIED. ``expires`` 0 keeps the key while the hold that it opened lives; None: for the window."""
    intent = case.intent
    draft.journal(
        case.input,
        case.kind,
        Outcome.APPLIED,
        0,
        case.id,
        pending,
        intent.account,
        asked.counterparty,
        asked.amount,
        asked.currency,
        figures=figures,
        origin=origin,
        origin_pending=origin_pending,
        intent=case.wire,
    )
    row = TransferRow(
        intent,
        case.kind,
        Outcome.APPLIED,
        None,
        case.input,
        draft.sequence,
        pending,
        asked.counterparty or "",
        asked.amount or 0,
        asked.currency or "",
        origin or b"",
        origin_pending,
        expires=key_expiry(draft) if expires is None else expires,
    )
    draft.put_transfer(case.id, case.known, row)


def _journal_as_asked(
    draft: Draft,
    case: Case[Any],
    outcome: Outcome,
    asked: Terms,
    reason: str | None,
    wire: bytes | None,
    first: FirstOutcome | None = None,
) -> None:
    draft.journal(
        case.input,
        case.kind,
        outcome,
        STEPS.get(case.kind, 0),
        case.id,
        0,
        case.intent.account,
        asked.counterparty,
        asked.amount,
        asked.currency,
        reason,
        intent=wire,
        first=first,
    )


def _row_as_asked(draft: Draft, case: Case[Any], state: Outcome, asked: Terms, reason: str | None) -> TransferRow:
    return TransferRow(
        case.intent,
        case.kind,
        state,
        reason,
        case.input,
        draft.sequence,
        0,
        asked.counterparty or "",
        asked.amount or 0,
        asked.currency or "",
        expires=0 if state is Outcome.PARKED else key_expiry(draft),
    )
