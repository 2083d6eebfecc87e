"""A writer's schema that differs from the reader's: old producers are read, and what can never be read says so."""

from __future__ import annotations

import copy
import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import INTENTS, Schema, definition
from schemas.codec import without_logical_types
from schemas.errors import BadRecord, CannotResolve
from schemas.reading import compile_reader
from tests.schemas.values import encoded, values

EXTRA: list[Schema] = [
    "double",
    "float",
    {"type": "array", "items": {"type": "map", "values": "long"}},
    {"type": "record", "name": "Extra", "namespace": "twofold", "fields": [{"name": "x", "type": ["null", "string"]}]},
    {"type": "enum", "name": "Colour", "namespace": "twofold", "symbols": ["RED", "BLUE"]},
    ["null", "boolean", "bytes"],
]
EXTRA_VALUES: list[Any] = [1.5, 0.25, [{"a": 1, "b": -1}, {}], {"x": "y"}, "BLUE", b"abc"]


def changed(record: str, **fields: Any) -> dict[str, Any]:
    """The schema of a record with fields replaced, added or (None) removed."""
    schema: dict[str, Any] = copy.deepcopy(definition(record))
    kept = {field["name"]: field for field in schema["fields"]} | fields
    schema["fields"] = [field for field in kept.values() if field is not None]
    return schema


@given(st.data())
@settings(max_examples=150)
def test_an_older_or_newer_producer_is_read_as_fastavro_resolves_it(data: st.DataObject) -> None:
    """Fields that the writer lacks get their defaults, fields that the reader lacks are dropped."""
    record = data.draw(st.sampled_from(INTENTS))
    reader = definition(record)
    optional = [field["name"] for field in reader["fields"] if "default" in field]
    removed: dict[str, Any] = dict.fromkeys(data.draw(st.sets(st.sampled_from(optional))))
    number = data.draw(st.integers(0, len(EXTRA) - 1))
    writer = changed(record, **removed, extra={"name": "extra", "type": EXTRA[number]})
    value = data.draw(values(changed(record, **removed)))
    written = encoded(writer, {**value, "extra": EXTRA_VALUES[number]})
    expected = fastavro.schemaless_reader(
        io.BytesIO(written),
        fastavro.parse_schema(without_logical_types(writer)),
        fastavro.parse_schema(without_logical_types(reader)),
    )
    assert compile_reader(writer, reader)(written, 0) == expected


def test_an_int_is_read_as_a_long() -> None:
    """The one promotion between numbers that can happen here; 32 bits still bind the writer."""
    writer = changed("Transfer", amount={"name": "amount", "type": "int"})
    read = compile_reader(writer, definition("Transfer"))
    fields = {"account": "a", "idempotency_key": "k", "payee": "b", "currency": "EUR"}
    assert read(encoded(writer, {**fields, "amount": 2**31 - 1}), 0)["amount"] == 2**31 - 1
    wide = encoded(definition("Transfer"), {**fields, "amount": 2**31})
    with pytest.raises(BadRecord) as refused:
        read(wide, 0)
    assert refused.value.reason == "integer_out_of_range"


def test_a_value_that_the_reader_has_no_place_for_is_refused_alone() -> None:
    """A writer's union may hold what the reader's does not: only such a value is refused."""
    writer = changed("Transfer", sequence={"name": "sequence", "type": ["null", "long", "string"]})
    read = compile_reader(writer, definition("Transfer"))
    fields = {"account": "a", "idempotency_key": "k", "payee": "b", "amount": 1, "currency": "EUR"}
    assert read(encoded(writer, {**fields, "sequence": 7}), 0)["sequence"] == 7
    with pytest.raises(BadRecord) as refused:
        read(encoded(writer, {**fields, "sequence": "seven"}), 0)
    assert refused.value.reason == "undecodable"


@pytest.mark.parametrize(
    "writer",
    [
        changed("Transfer", amount=None),
        changed("Transfer", amount={"name": "amount", "type": "double"}),
        changed("Transfer", amount={"name": "amount", "type": "string"}),
        {"type": "record", "name": "Transfer", "fields": [{"name": "account", "type": "twofold.Missing"}]},
        {"type": "record", "name": "Transfer", "fields": [{"name": "again", "type": ["null", "Transfer"]}]},
        {"type": "record", "name": "Transfer", "fields": "none"},
    ],
    ids=["missing field", "floating point", "other type", "undefined type", "within itself", "no schema"],
)
def test_a_schema_that_can_never_be_read_says_so(writer: Schema) -> None:
    """Whatever stands in a registry: it gives a reader or CannotResolve, never another error."""
    with pytest.raises(CannotResolve):
        compile_reader(writer, definition("Transfer"))


def test_no_part_of_a_writers_schema_becomes_code() -> None:
    """Readers are generated: names and symbols from a schema stay data, however they look."""
    evil = "x']); raise SystemExit('code from a schema') #"
    writer = changed(
        "Freeze",
        extra={"name": evil, "type": {"type": "enum", "name": evil, "symbols": [evil]}},
        fixed={"name": f"{evil}2", "type": {"type": "fixed", "name": "F", "size": "1 if print(1) else 2"}},
    )
    with pytest.raises(CannotResolve, match="literal"):
        compile_reader(writer, definition("Freeze"))
    del writer["fields"][-1]
    plain = encoded(definition("Freeze"), {"account": "a", "idempotency_key": "k", "note": evil})
    assert compile_reader(writer, definition("Freeze"))(plain + b"\0", 0)["note"] == evil
