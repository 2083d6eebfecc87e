"""The words of the ledger: kinds of intents, outcomes of decisions, states of accounts, kinds of legs."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a journal record is about: the kind of the intent, or what else was read from an input topic."""

    OPEN = "OPEN"
    SET_LIMITS = "SET_LIMITS"
    FREEZE = "FREEZE"
    UNFREEZE = "UNFREEZE"
    CLOSE = "CLOSE"
    TRANSFER = "TRANSFER"
    HOLD = "HOLD"
    CAPTURE = "CAPTURE"
    RELEASE = "RELEASE"
    REVERSE = "REVERSE"
    CONFIGURE = "CONFIGURE"
    RESOLVE = "RESOLVE"
    TICK = "TICK"
    """A record with null key and value: it only moves the partition's time."""
    UNREADABLE = "UNREADABLE"
    """An input record that could not be decoded; it went to the dead letters."""


class Outcome(StrEnum):
    """What was decided. ``FINAL`` ones end an intent for its client."""

    PENDING = "PENDING"
    """Step 1 of a transfer, capture or reversal: the payer's funds are reserved and a leg is under way."""
    SETTLED = "SETTLED"
    """Step 2: the payee is credited; the record holds the balanced entry."""
    REFUSED = "REFUSED"
    """Step 2: the payee cannot be credited; a leg with the reason goes back."""
    POSTED = "POSTED"
    """Step 3 after SETTLED: the payer's pending debit is posted. Final."""
    COMPENSATED = "COMPENSATED"
    """Step 3 after REFUSED: the payer's pending debit is undone. Final."""
    REJECTED = "REJECTED"
    """Refused at step 1, with a reason. Final."""
    APPLIED = "APPLIED"
    """An account command, a hold, a release, a configure or a resolve took effect. Final."""
    DUPLICATE = "DUPLICATE"
    """The same key with the same business fields was seen before; the record embeds its first outcome. Final."""
    PARKED = "PARKED"
    """Early in the account's sequence: waits for the gap to fill."""
    DEAD_LETTERED = "DEAD_LETTERED"
    """The input could not be decoded. Final."""
    EXPIRED = "EXPIRED"
    """A hold reached its expiry: what was open is released."""
    TICKED = "TICKED"
    """A Tick moved the partition's time."""


FINAL = frozenset(
    {
        Outcome.POSTED,
        Outcome.COMPENSATED,
        Outcome.REJECTED,
        Outcome.APPLIED,
        Outcome.DUPLICATE,
        Outcome.DEAD_LETTERED,
    }
)


class Status(StrEnum):
    """The state of an account. CLOSED is for ever."""

    OPEN = "OPEN"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"


class LegKind(StrEnum):
    """What a leg asks of the partition that it travels to."""

    CREDIT = "CREDIT"
    """payer -> payee: credit the payee (asks for step 2)."""
    SETTLED = "SETTLED"
    """payee -> payer: the payee was credited (asks for step 3)."""
    REFUSED = "REFUSED"
    """payee -> payer: the payee was not credited, with the reason (asks for step 3)."""


class Resolution(StrEnum):
    """What an operator decides about a leg that halted its queue."""

    RETRY = "RETRY"
    REFUSE = "REFUSE"
    REPLACE = "REPLACE"


class Input(StrEnum):
    """Which of the two input topics a position is in."""

    INTENTS = "INTENTS"
    LEGS = "LEGS"


MAX_AMOUNT = 2**63 - 1
"""The largest figure of the ledger in minor units: signed 64 bits. What would pass it is refused, never wrapped."""
