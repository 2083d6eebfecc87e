"""Step 1 of every kind of intent: what it does once no rule refuses it."""

from __future__ import annotations

from collections.abc import Callable

from streams.reconciliation.model import refusals
from streams.reconciliation.model.account import Account
from streams.reconciliation.model.memory import LIMITS, Hold, Memory, Way
from streams.reconciliation.model.names import CURRENCIES, well_formed
from streams.reconciliation.model.refusals import Refused, refuse_if
from streams.reconciliation.model.world import Rules, World


def decide(world: World, memory: Memory) -> None:
    """Decide an intent whose turn it is; writes the records of the decision."""
    try:
        DECISIONS[memory.kind](world, memory)
    except Refused as refused:
        world.write_about(memory, "REJECTED", reason=refused.reason)


def give_back(world: World, hold: Hold, amount: int, close: bool) -> None:
    """Release an amount that is open; ``close``: and what a refused capture brings back later."""
    hold.events.append(("released", amount))
    if close:
        hold.events.append(("closing", 0))
    world.accounts[hold.account].move("pending", -amount)
    forget_if_empty(world, hold)


def forget_if_empty(world: World, hold: Hold) -> None:
    """The window of a hold's key starts when no money is left in the hold."""
    if not hold.alive:
        world.forget_later(hold.memory)


def _apply(world: World, memory: Memory, account: Account, **fields: object) -> None:
    world.write_about(memory, "APPLIED", figures=world.changed(account), **fields)


def _open(world: World, memory: Memory) -> None:
    refuse_if(not well_formed(memory.account), "invalid_account_id")
    refuse_if(memory.account in world.accounts, "account_exists")
    refuse_if(memory.body["currency"] not in CURRENCIES, "invalid_currency")
    limits = {field: memory.body[field] for field in LIMITS}
    refusals.limits_are_valid(limits)
    account = Account(memory.account, memory.body["currency"], limits)
    world.accounts[memory.account] = account
    _apply(world, memory, account)


def _set_limits(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    refuse_if(account.status == "CLOSED", "account_closed")
    limits = {field: memory.body[field] for field in LIMITS}
    refusals.limits_are_valid(limits)
    account.limits = limits
    _apply(world, memory, account)


def _freeze(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    refusals.account_may_pay(account)
    account.status = "FROZEN"
    _apply(world, memory, account)


def _unfreeze(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    refuse_if(account.status == "CLOSED", "account_closed")
    refuse_if(account.status != "FROZEN", "account_not_frozen")
    account.status = "OPEN"
    _apply(world, memory, account)


def _close(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    refusals.close(account)
    account.status = "CLOSED"
    _apply(world, memory, account)


def _transfer(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    refusals.transfer(world, account, memory.body)
    way = Way(memory, account.name, memory.body["payee"], memory.body["amount"], account.currency)
    _debit(world, account, way)


def _reverse(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    original, amount = refusals.reverse(world, account, memory.body)
    way = Way(memory, account.name, original.way.payer, amount, original.way.currency)
    way.original = original
    original.reversals.append(("asked", amount))
    _debit(world, account, way)


def _capture(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    hold, payee, amount = refusals.capture(world, account, memory.body)
    way = Way(memory, account.name, payee, amount, hold.currency)
    way.hold = hold
    hold.events.append(("capturing", amount))
    _set_out(world, way, None)


def _debit(world: World, account: Account, way: Way) -> None:
    way.charge = account.charge(world.here.time, way.amount)
    account.move("pending", way.amount)
    _set_out(world, way, account)


def _set_out(world: World, way: Way, changed: Account | None) -> None:
    origin, origin_pending = way.origin
    way.pending = world.write_about(
        way.memory,
        "PENDING",
        pending=world.here.written + 1,
        counterparty=way.payee,
        amount=way.amount,
        currency=way.currency,
        origin=origin,
        origin_pending=origin_pending,
        figures=None if changed is None else world.changed(changed),
    )
    world.legs[2, way.memory.transfer, way.pending] = way


def _hold(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    refusals.hold(world, account, memory.body)
    account.charge(world.here.time, memory.body["amount"])
    account.move("pending", memory.body["amount"])
    here = world.here
    hold = Hold(memory, here.written + 1, here.time + memory.body["expires_in_seconds"] * 1_000_000)
    world.holds[memory.transfer] = hold
    here.expect(hold.expires, memory.transfer, hold)
    _apply(world, memory, account, pending=hold.pending)
    memory.forgotten_at = None


def _release(world: World, memory: Memory) -> None:
    account = world.accounts[memory.account]
    hold, amount = refusals.release(world, account, memory.body)
    give_back(world, hold, amount, close=memory.body["amount"] is None)
    about = {"amount": amount, "currency": hold.currency, "origin": hold.memory.transfer}
    _apply(world, memory, account, origin_pending=hold.pending, **about)


def _configure(world: World, memory: Memory) -> None:
    body = memory.body
    refusals.configure(body)
    world.write_about(memory, "APPLIED")
    world.here.rules = Rules(body["rules"], body["window_seconds"], body["park_seconds"], body["park_limit"])


def _resolve(world: World, memory: Memory) -> None:
    body = memory.body
    refuse_if((body["action"] == "REPLACE") != (body["replacement"] is not None), "invalid_resolution")
    refuse_if(body["offset"] < 0 or body["leg"] < 0, "invalid_resolution")
    world.resolutions[body["partition"], body["offset"], body["leg"]] = body
    world.write_about(memory, "APPLIED")


DECISIONS: dict[str, Callable[[World, Memory], None]] = {
    "OPEN": _open,
    "SET_LIMITS": _set_limits,
    "FREEZE": _freeze,
    "UNFREEZE": _unfreeze,
    "CLOSE": _close,
    "TRANSFER": _transfer,
    "HOLD": _hold,
    "CAPTURE": _capture,
    "RELEASE": _release,
    "REVERSE": _reverse,
    "CONFIGURE": _configure,
    "RESOLVE": _resolve,
}
