"""Deadlines: holds expire and parked intents time out, in (deadline, id) order, before each record that moves time."""

from __future__ import annotations

from streams.ledger import holds, order
from streams.ledger.draft import Draft
from streams.ledger.state import Due

MOST = 500
"""The most deadlines of one input; the others run with the next."""


def run_due(draft: Draft) -> None:
    """Run what is due at the draft's time. Stale hints are skipped and do not count, so that they decide nothing."""
    done, limit = 0, MOST
    while True:
        hints = draft.state.due(draft.time, limit)
        for due in hints:
            if done == MOST:
                return
            done += _run(draft, due)
        if len(hints) < limit:
            return
        limit *= 2


def _run(draft: Draft, due: Due) -> bool:
    """Run one deadline; False if its row is gone, has another deadline, or is closing already."""
    if due.sequence is not None:
        parked = draft.parked(due.account, due.sequence)
        if parked is None or parked.deadline != due.deadline or parked.transfer != due.id:
            return False
        order.time_out(draft, due.account, due.sequence, parked)
        return True
    hold = draft.hold(due.id)
    if hold is None or hold.closing or hold.expires != due.deadline:
        return False
    holds.expire(draft, due.id, hold)
    return True
