"""All Avro schemas of the product, loaded from the ``.avsc`` files beside this module, and the topics they travel on.

Each file defines one named type and refers to others by name. ``definition`` puts the others in place, so that what
the registry holds stands alone and any client can use it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

NAMESPACE = "twofold"
HERE = Path(__file__).parent

INTENTS = (
    "OpenAccount",
    "SetLimits",
    "Freeze",
    "Unfreeze",
    "Close",
    "Transfer",
    "Hold",
    "Capture",
    "Release",
    "Reverse",
    "Configure",
    "Resolve",
)
ACCOUNT_ROWS = ("PartitionRow", "AccountRow", "VelocityRow", "HoldRow", "ParkedRow", "TransferRow")

RECORDS_OF_TOPIC: dict[str, tuple[str, ...]] = {
    "payment-intents": INTENTS,
    "transfer-legs": ("PackedLegs",),
    "journal": ("JournalRecord",),
    "accounts-changelog": ACCOUNT_ROWS,
    "transfers-changelog": ("TransferRow", "SettledRow"),
    "dead-letters": ("DeadLetterRecord",),
    "reconciliation-reports": ("ReconciliationReport",),
}
"""Which records a topic holds: for each one the registry has a subject ``<topic>-twofold.<record>``."""

TOPIC_OF_RECORD: dict[str, str] = {
    record: topic for topic, records in reversed(RECORDS_OF_TOPIC.items()) for record in records
}
"""The first topic a record is registered for; its id there is the one that encoders write."""

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})

Schema = Any
"""An Avro schema as JSON gives it: a name, a list (union) or a dict."""


@cache
def as_filed(name: str) -> dict[str, Any]:
    """The type that one file defines, with references by name."""
    definition: dict[str, Any] = json.loads((HERE / f"{name}.avsc").read_text())
    return definition


@cache
def definition(name: str) -> dict[str, Any]:
    """The schema of one record with every named type that it uses put in place at its first use. Do not change it."""
    whole: dict[str, Any] = inline(as_filed(name), lambda other: None if other in PRIMITIVES else as_filed(other))
    return whole


def inline(schema: Schema, find: Callable[[str], Schema | None]) -> Schema:
    """A schema with every name that ``find`` knows replaced by its definition at the first use."""
    seen: set[str] = set()

    def walk(part: Schema) -> Schema:
        if isinstance(part, str):
            found = None if part in seen else find(part)
            return part if found is None else walk(found)
        if isinstance(part, list):
            return [walk(branch) for branch in part]
        if "name" in part:
            seen.update((part["name"], f"{part.get('namespace', NAMESPACE)}.{part['name']}"))
        inlined = dict(part)
        for key in ("items", "values"):
            if key in part:
                inlined[key] = walk(part[key])
        if "fields" in part:
            inlined["fields"] = [{**field, "type": walk(field["type"])} for field in part["fields"]]
        return inlined

    return walk(schema)


def text(name: str) -> str:
    """The JSON text that is registered for a record: the same bytes at every call."""
    return json.dumps(definition(name), ensure_ascii=False, separators=(",", ":"))


def full_name(record: str) -> str:
    """``twofold.Transfer`` for ``Transfer``."""
    return f"{NAMESPACE}.{record}"


def subject(topic: str, record: str) -> str:
    """Confluent's TopicRecordNameStrategy: ``<topic>-<full record name>``, so that a topic holds several records."""
    return f"{topic}-{full_name(record)}"
