"""Order: an account's own numbering of its intents. The next one is decided, an early one waits for the gap."""

from __future__ import annotations

from typing import Any

from streams.ledger.accounts import decide_close, decide_freeze, decide_set_limits, decide_unfreeze
from streams.ledger.case import SECOND, Case, Rule, kind_of, park, refuse
from streams.ledger.draft import Draft
from streams.ledger.holds import decide_capture, decide_hold, decide_release
from streams.ledger.intents import Capture, Close, Freeze, Hold, Release, Reverse, SetLimits, Transfer, Unfreeze
from streams.ledger.reversals import decide_reverse
from streams.ledger.rows import AccountRow, ParkedRow
from streams.ledger.transfers import decide_transfer

RULES: dict[type, Rule] = {
    Transfer: decide_transfer,
    Hold: decide_hold,
    Capture: decide_capture,
    Release: decide_release,
    Reverse: decide_reverse,
    SetLimits: decide_set_limits,
    Freeze: decide_freeze,
    Unfreeze: decide_unfreeze,
    Close: decide_close,
}
"""Every intent that an existing account decides, and may therefore number."""


def decide_in_order(draft: Draft, case: Case[Any], account: AccountRow) -> None:
    """Decide an intent now, or park it, or refuse its number; then decide what waited for it."""
    intent = case.intent
    number = intent.sequence
    if number is None:
        RULES[type(intent)](draft, case, account)
    elif number == account.next_sequence:
        _decide_next(draft, case, account)
        _decide_parked(draft, intent.account)
    else:
        _out_of_order(draft, case, account, number)


def _decide_next(draft: Draft, case: Case[Any], account: AccountRow) -> None:
    """The number is used up whatever is decided, a refusal included."""
    intent = case.intent
    account = account._replace(next_sequence=account.next_sequence + 1)
    draft.put_account(intent.account, account)
    RULES[type(intent)](draft, case, account)


def _decide_parked(draft: Draft, id: str) -> None:
    """Decide the parked intents whose turn has come. Bounded: there are at most as many as were parked."""
    account = draft.account(id)
    while account is not None and account.parked > 0:
        row = draft.parked(id, account.next_sequence)
        if row is None:
            return
        _decide_next(draft, _parked_case(draft, row), _unpark(draft, id, account.next_sequence, account))
        account = draft.account(id)


def _out_of_order(draft: Draft, case: Case[Any], account: AccountRow, number: int) -> None:
    id = case.intent.account
    if number < account.next_sequence:
        refuse(draft, case, "sequence_stale")
    elif draft.parked(id, number) is not None:
        refuse(draft, case, "sequence_taken")
    elif account.parked >= draft.parameters.park_limit:
        refuse(draft, case, "sequence_parked_full")
    else:
        deadline = draft.time + draft.parameters.park_seconds * SECOND
        draft.put_account(id, account._replace(parked=account.parked + 1))
        draft.decision.parked[id, number] = ParkedRow(case.id, case.intent, case.input, deadline)
        park(draft, case)


def time_out(draft: Draft, id: str, number: int, row: ParkedRow) -> None:
    """Refuse a parked intent whose gap was not filled. The expected number stays: the gap is still there."""
    account = draft.account(id)
    assert account is not None
    draft.put_account(id, _unpark(draft, id, number, account))
    refuse(draft, _parked_case(draft, row), "sequence_gap")


def _unpark(draft: Draft, id: str, number: int, account: AccountRow) -> AccountRow:
    assert account.parked > 0
    draft.decision.parked[id, number] = None
    return account._replace(parked=account.parked - 1)


def _parked_case(draft: Draft, row: ParkedRow) -> Case[Any]:
    known = draft.transfer(row.transfer)
    assert known is not None
    return Case(row.input, row.transfer, kind_of(row.intent), row.intent, known)
