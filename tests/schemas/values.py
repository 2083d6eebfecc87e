"""Hypothesis strategies for records: valid values from a schema, and bytes that are nearly a record."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import fastavro
from hypothesis import strategies as st

from schemas.catalogue import PRIMITIVES, Schema, definition
from schemas.codec import without_logical_types

LONGS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-3, 300), st.sampled_from([-(2**63), 2**63 - 1, 0]))
INTS = st.one_of(st.integers(-(2**31), 2**31 - 1), st.integers(0, 200))
CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")


def texts(bound: int | None) -> st.SearchStrategy[str]:
    """Texts within a bound in bytes of UTF-8."""
    return st.text(CHARACTERS, max_size=40 if bound is None else min(40, bound // 4))


def values(schema: Schema, named: dict[str, Schema] | None = None) -> st.SearchStrategy[Any]:
    """Values of an inlined schema, as fastavro takes them."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return st.one_of([values(branch, named) for branch in schema])
    if isinstance(schema, str) and schema not in PRIMITIVES:
        schema = named[schema]
    attributes = schema if isinstance(schema, dict) else {"type": schema}
    if "name" in attributes:
        named[attributes["name"]] = attributes
    match attributes["type"]:
        case "record":
            return st.fixed_dictionaries({f["name"]: values(f["type"], named) for f in attributes["fields"]})
        case "array":
            return st.lists(values(attributes["items"], named), max_size=3)
        case "map":
            return st.dictionaries(texts(attributes.get("maxKeyBytes")), texts(512), max_size=4)
        case "enum":
            return st.sampled_from(attributes["symbols"])
        case "fixed":
            return st.binary(min_size=attributes["size"], max_size=attributes["size"])
        case other:
            return {
                "null": st.none(),
                "boolean": st.booleans(),
                "int": INTS,
                "long": LONGS,
                "bytes": st.binary(max_size=40),
                "string": texts(attributes.get("maxBytes")),
            }[other]


@cache
def records(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values of one of the product's records."""
    return values(definition(name))


@cache
def _parsed(name: str) -> Schema:
    return fastavro.parse_schema(without_logical_types(definition(name)))


def encoded_record(name: str, value: Any) -> bytes:
    """The bytes that fastavro writes for one of the product's records, without a header."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _parsed(name), value)
    return out.getvalue()


def encoded(schema: Schema, value: Any) -> bytes:
    """The bytes that fastavro writes, without a header."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(without_logical_types(schema)), value)
    return out.getvalue()


@st.composite
def nearly(draw: st.DrawFn, record: str) -> bytes:
    """A valid record to which something was done: cut, added to, bytes changed, numbers written in another length."""
    data = bytearray(encoded_record(record, draw(records(record))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(["cut", "insert", "change", "stretch", "remove"]))
        if what == "cut":
            del data[at:]
        elif what == "insert":
            data[at:at] = draw(st.one_of(st.binary(max_size=3), st.sampled_from([b"\xff" * 9 + b"\x01", b"\x80" * 9])))
        elif what == "remove":
            del data[at : at + draw(st.integers(1, 3))]
        elif at < len(data):
            data[at : at + 1] = draw(
                st.binary(min_size=1, max_size=1) if what == "change" else st.just(bytes((data[at] | 128, 0)))
            )
    return bytes(data)
