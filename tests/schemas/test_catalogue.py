"""The ``.avsc`` files: documented, in step with the ledger's vocabulary and the table of topics."""

from __future__ import annotations

from typing import Any

import fastavro
import pytest

from schemas.catalogue import HERE, INTENTS, RECORDS_OF_TOPIC, as_filed, definition, text
from streams.ledger import intents
from streams.ledger.legs import Leg
from streams.ledger.vocabulary import Input, Kind, LegKind, Outcome, Resolution, Status
from streams.topics import TOPICS

FILES = sorted(path.stem for path in HERE.glob("*.avsc"))
NO_BUSINESS = ["occurred_at", "request_id"]


@pytest.mark.parametrize("name", FILES)
def test_every_type_and_field_is_documented(name: str) -> None:
    """A client reads the schema, not this code."""
    schema = as_filed(name)
    assert schema["name"] == name
    assert schema["doc"].endswith((".", ")"))
    for field in schema.get("fields", ()):
        assert len(field["doc"]) > 5, f"{name}.{field['name']} has no doc"


@pytest.mark.parametrize("name", FILES)
def test_a_registered_schema_stands_alone(name: str) -> None:
    """Everything it uses is in it, so that any client can parse it; the text is the same at each call."""
    fastavro.parse_schema(definition(name))
    assert text(name) == text(name)


@pytest.mark.parametrize("name", INTENTS)
def test_an_intents_fields_and_defaults_are_the_ledgers(name: str) -> None:
    """An absent field means the same to Avro and to the ledger: absent equals default."""
    cls: Any = getattr(intents, name)
    fields = {field["name"]: field for field in as_filed(name)["fields"]}
    assert [*(f for f in cls._fields if f != "wire"), *NO_BUSINESS] == list(fields)
    defaults = {field: value for field, value in cls._field_defaults.items() if field != "wire"}
    assert {n: f["default"] for n, f in fields.items() if "default" in f and n not in NO_BUSINESS} == defaults


@pytest.mark.parametrize("enum", [Input, Kind, LegKind, Outcome, Resolution, Status])
def test_symbols_are_the_ledgers_words_in_their_order(enum: Any) -> None:
    """The order is part of the format: a symbol is written as its index."""
    assert as_filed(enum.__name__)["symbols"] == [member.value for member in enum]


def test_leg_has_the_ledgers_fields() -> None:
    """Legs are positional on the hot path."""
    assert tuple(field["name"] for field in as_filed("Leg")["fields"]) == Leg._fields


def test_every_topic_has_its_records() -> None:
    """The table of topics and the table of records name the same topics."""
    assert set(RECORDS_OF_TOPIC) == {topic.name for topic in TOPICS}


def test_times_and_ids_carry_their_logical_type() -> None:
    """A generic client sees times and UUIDs, not numbers and bytes."""
    assert as_filed("TransferId")["logicalType"] == "uuid"
    times = {"time", "occurred_at", "expires", "deadline"}
    for name in FILES:
        for field in as_filed(name).get("fields", ()):
            if field["name"] in times:
                assert "timestamp-micros" in str(field["type"]), f"{name}.{field['name']}"
