"""The form of an intent: what is checked before it is sent.

Only what would end as a dead letter is refused here (types, 64 bits, bounds of texts and metadata), with the bounds
read from the ``.avsc`` files. What an intent *means* is judged by the ledger alone, which answers in the journal
with a reason code: an unknown payee or an amount of zero is no error of form.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from typing import Any

from schemas.catalogue import Schema, definition
from streams.ledger.intents import Configure, Intent, Resolve
from streams.ledger.vocabulary import MAX_AMOUNT

SMALLEST = -MAX_AMOUNT - 1


class InvalidIntent(ValueError):
    """An intent that cannot be sent: ``field`` names what is wrong, ``problem`` says how."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"field {field}: {problem}")
        self.field = field
        self.problem = problem


def check_form(intent: Intent) -> None:
    """Raise InvalidIntent for the first field that could not be encoded and decoded again, or that is empty."""
    _check_record(type(intent).__name__, intent, "")
    if not intent.idempotency_key:
        raise InvalidIntent("idempotency_key", "is empty; give each intent of an account a key of its own")
    if not intent.account and not isinstance(intent, Configure | Resolve):
        raise InvalidIntent("account", "is empty; name the account that decides the intent")


@cache
def field_types(record: str) -> dict[str, Schema]:
    """The Avro type of each field of a record."""
    return {field["name"]: field["type"] for field in definition(record)["fields"]}


def _check_record(record: str, value: Any, path: str) -> None:
    for name, schema in field_types(record).items():
        if hasattr(value, name):
            _check(schema, getattr(value, name), path + name)


def _check(schema: Schema, value: Any, field: str) -> None:
    if isinstance(schema, list):
        if value is None:
            return
        (schema,) = [branch for branch in schema if branch != "null"]
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "long":
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidIntent(field, f"must be a whole number, not {value!r}")
        if not SMALLEST <= value <= MAX_AMOUNT:
            raise InvalidIntent(field, "is outside 64 bits")
    elif kind == "boolean":
        if not isinstance(value, bool):
            raise InvalidIntent(field, f"must be true or false, not {value!r}")
    elif kind == "string":
        _check_text(schema["maxBytes"], value, field)
    elif kind == "fixed":
        if not isinstance(value, bytes) or len(value) != schema["size"]:
            raise InvalidIntent(field, f"must be the {schema['size']} bytes of an id, not {value!r}")
    elif kind == "map":
        _check_metadata(schema, value, field)
    else:
        _check_named(schema, value, field)


def _check_named(schema: Schema, value: Any, field: str) -> None:
    if schema["type"] == "enum":
        if not isinstance(value, StrEnum) or value not in schema["symbols"]:
            raise InvalidIntent(field, f"must be one of {', '.join(schema['symbols'])}, not {value!r}")
    elif type(value).__name__ != schema["name"]:
        raise InvalidIntent(field, f"must be a {schema['name']}, not {value!r}")
    else:
        _check_record(schema["name"], value, f"{field}.")


def _check_text(most: int, value: Any, field: str) -> None:
    if not isinstance(value, str):
        raise InvalidIntent(field, f"must be text, not {value!r}")
    if "\0" in value:
        raise InvalidIntent(field, "holds U+0000, which no text may")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidIntent(field, "holds half of a surrogate pair, which is no text") from None
    if size > most:
        raise InvalidIntent(field, f"is {size} bytes of UTF-8 long, at most {most} are taken")


def _check_metadata(schema: Schema, value: Any, field: str) -> None:
    if not isinstance(value, Mapping):
        raise InvalidIntent(field, f"must be a mapping of texts, not {value!r}")
    if len(value) > schema["maxEntries"]:
        raise InvalidIntent(field, f"has {len(value)} entries, at most {schema['maxEntries']} are taken")
    for key, text in value.items():
        _check_text(schema["maxKeyBytes"], key, f"{field} key {str(key)[:80]!r}")
        _check_text(schema["values"]["maxBytes"], text, f"{field}[{str(key)[:80]!r}]")
