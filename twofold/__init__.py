"""Twofold: a double-entry payments ledger on Kafka. The public face of the package.

from twofold import Producer, Transfer
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connectors.form import InvalidIntent
    from connectors.producer import Delivery, NotDelivered, Producer
    from streams.ledger.ids import transfer_id
    from streams.ledger.intents import (
        Capture,
        Close,
        Freeze,
        Hold,
        OpenAccount,
        Release,
        Reverse,
        SetLimits,
        Transfer,
        Unfreeze,
    )
    from streams.settings import Settings

_HOMES = {
    "connectors.form": ("InvalidIntent",),
    "connectors.producer": ("Delivery", "NotDelivered", "Producer"),
    "streams.ledger.ids": ("transfer_id",),
    "streams.ledger.intents": (
        *("Capture", "Close", "Freeze", "Hold", "OpenAccount"),
        *("Release", "Reverse", "SetLimits", "Transfer", "Unfreeze"),
    ),
    "streams.settings": ("Settings",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Capture",
    "Close",
    "Delivery",
    "Freeze",
    "Hold",
    "InvalidIntent",
    "NotDelivered",
    "OpenAccount",
    "Producer",
    "Release",
    "Reverse",
    "SetLimits",
    "Settings",
    "Transfer",
    "Unfreeze",
    "transfer_id",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``twofold --help`` needs no Kafka client."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'twofold' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)
