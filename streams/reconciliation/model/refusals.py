"""Why an intent is refused at step 1: one function a kind, each a list of rules in the order in which they apply."""

from __future__ import annotations

from typing import Any

from streams.reconciliation.model.account import Account
from streams.reconciliation.model.memory import Body, Hold, Settled
from streams.reconciliation.model.names import BIGGEST, CURRENCIES, well_formed
from streams.reconciliation.model.world import World

DAY = 86_400
KNOWN_RULES = (1,)


class Refused(Exception):
    """The intent is refused; ``reason`` is the code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refuse_if(condition: bool, reason: str) -> None:
    """Raise Refused with the reason if the condition holds."""
    if condition:
        raise Refused(reason)


def amount_is_valid(amount: int | None) -> None:
    """An amount that is given lies in 1 .. 2^63-1."""
    refuse_if(amount is not None and not 1 <= amount <= BIGGEST, "invalid_amount")


def account_may_pay(account: Account) -> None:
    """Neither closed nor frozen."""
    refuse_if(account.status == "CLOSED", "account_closed")
    refuse_if(account.status == "FROZEN", "account_frozen")


def limits_are_valid(limits: dict[str, Any]) -> None:
    """Limits are in range and do not contradict each other."""
    low, high = limits["minimum_balance"], limits["maximum_balance"]
    for bound in (low, high):
        refuse_if(bound is not None and abs(bound) > BIGGEST, "invalid_limits")
    refuse_if(low is not None and high is not None and high < low, "invalid_limits")
    for bound in (limits["velocity_amount"], limits["velocity_count"]):
        refuse_if(bound is not None and bound < 1, "invalid_limits")
    refuse_if(not 60 <= limits["velocity_window_seconds"] <= 365 * DAY, "invalid_limits")


def debit_fits(world: World, account: Account, amount: int, force: bool = False) -> None:
    """Velocity, the range of the figures, and funds unless an operator forces."""
    limits = account.limits
    spent, times = account.charged_since(world.here.time) if account.limited_in_velocity else (0, 0)
    most, often = limits["velocity_amount"], limits["velocity_count"]
    refuse_if(most is not None and spent + amount > most, "velocity_amount_exceeded")
    refuse_if(often is not None and times + 1 > often, "velocity_count_exceeded")
    pending, debited, credited = account.figures()
    refuse_if(debited + pending + amount > BIGGEST, "overflow")
    floor = limits["minimum_balance"]
    short = floor is not None and credited - debited - pending - amount < floor
    refuse_if(short and not force, "insufficient_funds")


def payee_is_valid(account: Account, payee: str) -> None:
    """A well-formed id of another account."""
    refuse_if(not well_formed(payee), "invalid_account_id")
    refuse_if(payee == account.name, "same_account")


def currency_is_the_accounts(account: Account, currency: str) -> None:
    """A known currency, and the account's."""
    refuse_if(currency not in CURRENCIES, "invalid_currency")
    refuse_if(currency != account.currency, "currency_mismatch")


def transfer(world: World, account: Account, body: Body) -> None:
    """Rules of a transfer."""
    amount_is_valid(body["amount"])
    payee_is_valid(account, body["payee"])
    account_may_pay(account)
    currency_is_the_accounts(account, body["currency"])
    debit_fits(world, account, body["amount"])


def hold(world: World, account: Account, body: Body) -> None:
    """Rules of a hold."""
    amount_is_valid(body["amount"])
    refuse_if(not 1 <= body["expires_in_seconds"] <= world.here.rules.window_seconds, "invalid_expiry")
    if body["payee"] is not None:
        payee_is_valid(account, body["payee"])
    account_may_pay(account)
    currency_is_the_accounts(account, body["currency"])
    debit_fits(world, account, body["amount"])


def find_hold(world: World, account: Account, wanted: bytes) -> Hold:
    """The account's hold, if there is money in it and it does not close."""
    found = world.holds.get(wanted)
    known = found is not None and found.account == account.name
    if not known or found is None or not found.alive:
        memory = world.by_id.get((world.here.number, wanted))
        applied = memory is not None and memory.kind == "HOLD" and memory.state == "APPLIED"
        own = applied and memory is not None and memory.account == account.name and not world.is_forgotten(memory)
        raise Refused("hold_not_open" if own else "hold_not_found")
    refuse_if(found.closing, "hold_not_open")
    return found


def capture(world: World, account: Account, body: Body) -> tuple[Hold, str, int]:
    """Rules of a capture; gives its hold, payee and amount."""
    amount_is_valid(body["amount"])
    account_may_pay(account)
    found = find_hold(world, account, body["hold"])
    refuse_if(found.open == 0, "hold_not_open")
    payee = body["payee"] if body["payee"] is not None else found.payee
    if payee is None:
        raise Refused("payee_missing")
    payee_is_valid(account, payee)
    amount = found.open if body["amount"] is None else body["amount"]
    refuse_if(amount > found.open, "hold_exceeded")
    return found, payee, amount


def release(world: World, account: Account, body: Body) -> tuple[Hold, int]:
    """Rules of a release; gives the hold and the amount. A frozen account may release."""
    amount_is_valid(body["amount"])
    refuse_if(account.status == "CLOSED", "account_closed")
    found = find_hold(world, account, body["hold"])
    if body["amount"] is None:
        return found, found.open
    refuse_if(found.open == 0, "hold_not_open")
    refuse_if(body["amount"] > found.open, "hold_exceeded")
    return found, body["amount"]


def reverse(world: World, account: Account, body: Body) -> tuple[Settled, int]:
    """Rules of a reversal; gives the settled transfer and the amount."""
    amount_is_valid(body["amount"])
    account_may_pay(account)
    mine = [
        settled
        for settled in world.settled.get(body["transfer"], [])
        if settled.way.payee == account.name and settled.forgotten_at > world.here.time
    ]
    refuse_if(not mine, "transfer_not_found")
    original = mine[-1]
    refuse_if(original.way.memory.kind == "REVERSE", "reversal_not_reversible")
    left = original.left
    amount = left if body["amount"] is None else body["amount"]
    refuse_if(left == 0 or amount > left, "reversal_exceeded")
    debit_fits(world, account, amount, force=body["force"])
    return original, amount


def close(account: Account) -> None:
    """Rules of a close: nothing may be left. The close itself no longer waits when it is decided."""
    account_may_pay(account)
    pending, debited, credited = account.figures()
    refuse_if(pending != 0 or credited != debited or bool(account.waiting), "account_not_empty")


def configure(body: Body) -> None:
    """Rules of a change of parameters."""
    refuse_if(not 60 <= body["window_seconds"] <= 90 * DAY, "invalid_parameters")
    refuse_if(not 1 <= body["park_seconds"] <= DAY, "invalid_parameters")
    refuse_if(not 0 <= body["park_limit"] <= 10_000, "invalid_parameters")
    refuse_if(body["rules"] not in KNOWN_RULES, "unknown_rules")
