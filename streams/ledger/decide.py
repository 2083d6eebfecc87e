"""``decide``: the whole ledger as a pure function of a partition's tables and one input.

    intent at its account        leg at the payee          leg back at the payer
    ---------------------        ----------------          ---------------------
    misrouted?                   settled before?           fits a PENDING?
    key known?                   takes the credit?         POSTED | COMPENSATED
    account? order?              SETTLED | REFUSED
    rules of its kind            (settlement.py)           (completion.py)
    PENDING | APPLIED | ...

No clock, no randomness, no ``hash()``: the same state and input give the same decision on every machine and day.
"""

from __future__ import annotations

from streams.ledger.accounts import decide_open
from streams.ledger.case import Case, kind_of, refuse, refuse_without_key
from streams.ledger.completion import decide_return
from streams.ledger.currencies import EXPONENTS
from streams.ledger.deadlines import run_due
from streams.ledger.decision import Decision, UnknownRules
from streams.ledger.draft import Draft
from streams.ledger.idempotency import answer_known
from streams.ledger.ids import transfer_id
from streams.ledger.inputs import IntentInput, LedgerInput, LegInput, TickInput, UnreadableInput
from streams.ledger.intents import Configure, Intent, OpenAccount, Resolve
from streams.ledger.journal import DeadLetter
from streams.ledger.limits import valid_account_id
from streams.ledger.order import decide_in_order
from streams.ledger.parameters import decide_configure, decide_resolve
from streams.ledger.rows import PartitionRow
from streams.ledger.settlement import decide_credit
from streams.ledger.state import State
from streams.ledger.vocabulary import Kind, LegKind, Outcome

CREDIT = LegKind.CREDIT


def decide(state: State, input: LedgerInput) -> Decision:
    """Decide one input. Reads ``state``, changes nothing; the Decision says what changes.

    Raises LegCannotBeApplied for a leg that fits no row, and UnknownRules when the partition follows a rules version
    that this code lacks. Both leave the input undecided.
    """
    partition = state.partition()
    if partition.parameters.rules not in EXPONENTS:
        raise UnknownRules(f"rules version {partition.parameters.rules}; known here: {sorted(EXPONENTS)}")
    if isinstance(input, LegInput):
        return _decide_leg(state, partition, input)
    draft = Draft(state, partition, input.position, max(partition.time, input.time))
    run_due(draft)
    if isinstance(input, IntentInput):
        _decide_intent(draft, input)
    elif isinstance(input, TickInput):
        draft.journal(input.position, Kind.TICK, Outcome.TICKED, 0, None)
    else:
        _decide_unreadable(draft, input)
    return draft.finish()


def _decide_leg(state: State, partition: PartitionRow, input: LegInput) -> Decision:
    """A leg does not move the partition's time, and so runs no deadlines."""
    draft = Draft(state, partition, input.trigger or input.position, partition.time)
    if input.leg.kind is CREDIT:
        decide_credit(draft, input)
    else:
        decide_return(draft, input)
    return draft.finish()


def _decide_intent(draft: Draft, input: IntentInput) -> None:
    intent = input.intent
    id = transfer_id(intent.account, intent.idempotency_key)
    case: Case[Intent] = Case(input.position, id, kind_of(intent), intent)
    if input.misrouted or (isinstance(intent, Resolve) and intent.partition != draft.partition.partition):
        refuse_without_key(draft, case, "misrouted")
        return
    known = draft.transfer(id)
    if known is not None:
        answer_known(draft, case, known)
        return
    match intent:
        case OpenAccount():
            decide_open(draft, Case(input.position, id, Kind.OPEN, intent))
        case Configure():
            decide_configure(draft, Case(input.position, id, Kind.CONFIGURE, intent))
        case Resolve():
            decide_resolve(draft, Case(input.position, id, Kind.RESOLVE, intent))
        case _:
            _decide_at_account(draft, case)


def _decide_at_account(draft: Draft, case: Case[Intent]) -> None:
    """An account that was opened has a valid id, so only an unknown one's is looked at."""
    id = case.intent.account
    account = draft.account(id)
    if account is not None:
        decide_in_order(draft, case, account)
    else:
        refuse(draft, case, "account_not_found" if valid_account_id(id) else "invalid_account_id")


def _decide_unreadable(draft: Draft, input: UnreadableInput) -> None:
    draft.journal(
        input.position,
        Kind.UNREADABLE,
        Outcome.DEAD_LETTERED,
        0,
        None,
        reason=input.reason,
        dead_letter=DeadLetter(input.length, input.sha256),
    )
