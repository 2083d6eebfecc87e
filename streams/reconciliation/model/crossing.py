"""Steps 2 and 3 of a transfer: the payee's word, and its end at the payer."""

from __future__ import annotations

from streams.reconciliation.model.account import Account
from streams.reconciliation.model.decisions import forget_if_empty
from streams.reconciliation.model.memory import Place, Settled, Way
from streams.reconciliation.model.names import BIGGEST
from streams.reconciliation.model.world import Record, World


def credit(world: World, way: Way, place: Place, operator_refuses: bool) -> None:
    """Step 2: credit the payee or refuse."""
    reason = "operator_refused" if operator_refuses else _unwelcome(world, way)
    way.answer = reason or "settled"
    world.legs[3, way.memory.transfer, way.pending] = way
    common = _common(way, 2, way.payee, way.payer)
    if reason:
        world.write(way.memory.kind, "REFUSED", place, reason=reason, **common)
        return
    payee = world.accounts[way.payee]
    payee.move("credited", way.amount)
    forgotten_at = world.here.time + world.here.rules.window
    world.settled.setdefault(way.memory.transfer, []).append(Settled(way, forgotten_at))
    entry = [
        {"account": way.payer, "side": "DEBIT", "amount": way.amount, "currency": way.currency},
        {"account": way.payee, "side": "CREDIT", "amount": way.amount, "currency": way.currency},
    ]
    figures = world.changed(payee)
    world.write(way.memory.kind, "SETTLED", place, entry=entry, figures=figures, **common)


def _unwelcome(world: World, way: Way) -> str | None:
    payee = world.accounts.get(way.payee)
    if payee is None:
        return "payee_not_found"
    if payee.status != "OPEN":
        return "payee_closed" if payee.status == "CLOSED" else "payee_frozen"
    if payee.currency != way.currency:
        return "payee_currency_mismatch"
    _, debited, credited = payee.figures()
    ceiling = payee.limits["maximum_balance"]
    if ceiling is not None and credited - debited + way.amount > ceiling:
        return "payee_maximum_balance"
    return "payee_overflow" if credited + way.amount > BIGGEST else None


def _common(way: Way, step: int, account: str, counterparty: str) -> Record:
    return {
        "step": step,
        "transfer": way.memory.transfer,
        "pending": way.pending,
        "account": account,
        "counterparty": counterparty,
        "amount": way.amount,
        "currency": way.currency,
    }


def finish(world: World, way: Way, place: Place) -> None:
    """Step 3: post the debit or undo it, whatever state the payer is in by now."""
    posted = way.answer == "settled"
    account = world.accounts[way.payer]
    changes = _post(world, way, account) if posted else _undo(world, way, account)
    origin, origin_pending = way.origin
    outcome, reason = ("POSTED", None) if posted else ("COMPENSATED", way.answer)
    sequence = world.write(
        way.memory.kind,
        outcome,
        place,
        reason=reason,
        origin=origin,
        origin_pending=origin_pending,
        figures=world.changed(account) if changes else None,
        **_common(way, 3, way.payer, way.payee),
    )
    memory = way.memory
    memory.state, memory.decided, memory.reason = outcome, sequence, reason
    world.forget_later(memory)


def _post(world: World, way: Way, account: Account) -> bool:
    account.move("pending", -way.amount)
    account.move("debited", way.amount)
    if way.hold is not None:
        way.hold.events.append(("captured", way.amount))
        forget_if_empty(world, way.hold)
    return True


def _undo(world: World, way: Way, account: Account) -> bool:
    """Give back what step 1 reserved; whether the figures change by it."""
    if way.charge is not None:
        account.give_back(way.charge)
    if way.original is not None:
        way.original.reversals.append(("returned", way.amount))
    if way.hold is not None:
        way.hold.events.append(("refused", way.amount))
        if not way.hold.closing:
            return False
        way.hold.events.append(("released", way.amount))
        forget_if_empty(world, way.hold)
    account.move("pending", -way.amount)
    return True
