"""Payment intents, as decoded at the door: plain immutable values, one class a kind.

``account`` is the account that decides (the payer; for ``Reverse`` the original payee). ``sequence`` is the
account's own numbering of its intents, from 1, or None. ``wire`` holds the bytes that the intent arrived as; it
takes no part in a comparison. Amounts are integers in minor units of the currency (1 EUR = 100, 1 JPY = 1).
Ids of transfers and holds are 16 bytes (a UUIDv8, see :mod:`streams.ledger.ids`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.ledger.legs import Leg
from streams.ledger.vocabulary import Kind, Resolution

NO_METADATA: Mapping[str, str] = {}


class OpenAccount(NamedTuple):
    """Open an account. ``minimum_balance`` None means no minimum: an account of the outside world."""

    account: str
    idempotency_key: str
    currency: str
    tenant: str = ""
    owner: str = ""
    name: str = ""
    type: str = ""
    minimum_balance: int | None = 0
    maximum_balance: int | None = None
    velocity_amount: int | None = None
    velocity_count: int | None = None
    velocity_window_seconds: int = 86_400
    metadata: Mapping[str, str] = NO_METADATA
    wire: bytes = b""


class SetLimits(NamedTuple):
    """Replace all limits of an account."""

    account: str
    idempotency_key: str
    sequence: int | None = None
    minimum_balance: int | None = 0
    maximum_balance: int | None = None
    velocity_amount: int | None = None
    velocity_count: int | None = None
    velocity_window_seconds: int = 86_400
    wire: bytes = b""


class Freeze(NamedTuple):
    """Stop steps 1 and 2 at an account. What is under way still ends (step 3), and releases are still taken."""

    account: str
    idempotency_key: str
    sequence: int | None = None
    note: str = ""
    wire: bytes = b""


class Unfreeze(NamedTuple):
    """Undo a freeze."""

    account: str
    idempotency_key: str
    sequence: int | None = None
    note: str = ""
    wire: bytes = b""


class Close(NamedTuple):
    """Close an account for ever: needs zero balance, nothing pending, held or parked."""

    account: str
    idempotency_key: str
    sequence: int | None = None
    note: str = ""
    wire: bytes = b""


class Transfer(NamedTuple):
    """Move ``amount`` from ``account`` to ``payee``."""

    account: str
    idempotency_key: str
    payee: str
    amount: int
    currency: str
    sequence: int | None = None
    reference: str = ""
    metadata: Mapping[str, str] = NO_METADATA
    wire: bytes = b""


class Hold(NamedTuple):
    """Reserve ``amount`` for captures, until ``expires_in_seconds`` of partition time have passed."""

    account: str
    idempotency_key: str
    amount: int
    currency: str
    payee: str | None = None
    expires_in_seconds: int = 604_800
    sequence: int | None = None
    reference: str = ""
    metadata: Mapping[str, str] = NO_METADATA
    wire: bytes = b""


class Capture(NamedTuple):
    """Transfer from a hold. ``amount`` None: all that is open. ``payee`` None: the hold's."""

    account: str
    idempotency_key: str
    hold: bytes
    amount: int | None = None
    payee: str | None = None
    sequence: int | None = None
    reference: str = ""
    metadata: Mapping[str, str] = NO_METADATA
    wire: bytes = b""


class Release(NamedTuple):
    """Give back what a hold has open. ``amount`` None: all, and also what a refused capture brings back later."""

    account: str
    idempotency_key: str
    hold: bytes
    amount: int | None = None
    sequence: int | None = None
    wire: bytes = b""


class Reverse(NamedTuple):
    """Send back a settled transfer, from its payee (``account``). ``amount`` None: all not yet reversed.

    ``force`` (an operator's) skips the check of funds alone.
    """

    account: str
    idempotency_key: str
    transfer: bytes
    amount: int | None = None
    force: bool = False
    sequence: int | None = None
    reference: str = ""
    metadata: Mapping[str, str] = NO_METADATA
    wire: bytes = b""


class Configure(NamedTuple):
    """Replace a partition's parameters. Sent to every partition, null key; ``account`` is empty."""

    idempotency_key: str
    rules: int
    window_seconds: int
    park_seconds: int
    park_limit: int
    account: str = ""
    wire: bytes = b""


class Resolve(NamedTuple):
    """An operator's word about the leg that halted a leg queue of ``partition``. Null key; ``account`` is empty."""

    idempotency_key: str
    partition: int
    offset: int
    leg: int
    action: Resolution
    replacement: Leg | None = None
    note: str = ""
    account: str = ""
    wire: bytes = b""


Intent = (
    OpenAccount
    | SetLimits
    | Freeze
    | Unfreeze
    | Close
    | Transfer
    | Hold
    | Capture
    | Release
    | Reverse
    | Configure
    | Resolve
)

KINDS: dict[type, Kind] = {
    OpenAccount: Kind.OPEN,
    SetLimits: Kind.SET_LIMITS,
    Freeze: Kind.FREEZE,
    Unfreeze: Kind.UNFREEZE,
    Close: Kind.CLOSE,
    Transfer: Kind.TRANSFER,
    Hold: Kind.HOLD,
    Capture: Kind.CAPTURE,
    Release: Kind.RELEASE,
    Reverse: Kind.REVERSE,
    Configure: Kind.CONFIGURE,
    Resolve: Kind.RESOLVE,
}
