"""A partition's parameters, and the operator's words that are sent to partitions: configure and resolve."""

from __future__ import annotations

from streams.ledger.case import Case, apply, refuse
from streams.ledger.currencies import EXPONENTS
from streams.ledger.draft import Draft
from streams.ledger.intents import Configure, Resolve
from streams.ledger.rows import Parameters
from streams.ledger.vocabulary import Resolution

SHORTEST_WINDOW = 60
LONGEST_WINDOW = 90 * 86_400
"""Seconds. The topic that keeps the final keys keeps them no longer."""
LONGEST_PARKING = 86_400
MOST_PARKED = 10_000


def decide_configure(draft: Draft, case: Case[Configure]) -> None:
    """Replace the parameters, from the next input on: this decision itself is under those before."""
    intent = case.intent
    if not _valid(intent):
        refuse(draft, case, "invalid_parameters")
    elif intent.rules not in EXPONENTS:
        refuse(draft, case, "unknown_rules")
    else:
        draft.parameters = Parameters(intent.rules, intent.window_seconds, intent.park_seconds, intent.park_limit)
        apply(draft, case)


def _valid(intent: Configure) -> bool:
    return (
        SHORTEST_WINDOW <= intent.window_seconds <= LONGEST_WINDOW
        and 1 <= intent.park_seconds <= LONGEST_PARKING
        and 0 <= intent.park_limit <= MOST_PARKED
    )


def decide_resolve(draft: Draft, case: Case[Resolve]) -> None:
    """Take an operator's word about a leg; it is looked up when that leg cannot be applied."""
    intent = case.intent
    replaces = intent.action is Resolution.REPLACE
    if replaces != (intent.replacement is not None) or intent.offset < 0 or intent.leg < 0:
        refuse(draft, case, "invalid_resolution")
        return
    draft.decision.resolved = intent
    apply(draft, case)
