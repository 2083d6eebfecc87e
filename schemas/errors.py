"""What can be wrong with a record or with the registry."""

from __future__ import annotations


class BadRecord(ValueError):
    """A value that is refused. ``reason`` is a code of the ledger's table of reasons, ``detail`` is for people."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class CannotResolve(ValueError):
    """The writer's schema cannot be read with the reader's, whatever the bytes."""


class UnknownSchema(LookupError):
    """The registry said definitely that it has no schema with this id."""


class NotRegistered(LookupError):
    """A schema of this product is not in the registry; the message names the command that puts it there."""


class RegistryAway(ConnectionError):
    """The registry did not answer, or not with a definite answer: nothing is known, try again later."""


class Incompatible(ValueError):
    """The registry refuses a schema because readers of earlier records could not go on."""
