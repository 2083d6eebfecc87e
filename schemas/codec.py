"""Framed Avro records in and out: strict readers chosen by the schema id in the bytes, and generic dict encoding.

``Readers`` is the hot path: one dictionary look-up by the five header bytes, then a generated reader. A schema seen
for the first time is fetched once by its id and compiled against the reader's schema.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Mapping
from typing import Any

import fastavro

from schemas.catalogue import RECORDS_OF_TOPIC, Schema, definition
from schemas.errors import BadRecord, CannotResolve, UnknownSchema
from schemas.framing import HEADER_BYTES, header, schema_id
from schemas.reading import Reader, compile_reader
from schemas.resolving import Names, short_name
from schemas.shapes import PLAIN, Shapes

RECORDS = tuple(dict.fromkeys(record for records in RECORDS_OF_TOPIC.values() for record in records))

WriterSchema = Callable[[int], Schema]
"""Gives the schema with an id; raises UnknownSchema or RegistryAway (see ``schemas.registry.Registry``)."""


class OfflineSchemas:
    """A fixed table of ids in place of a registry, for runs without one. Ids are 1, 2, ... in the order of RECORDS."""

    def __init__(self) -> None:
        self.ids = {record: number for number, record in enumerate(RECORDS, 1)}
        self._schemas = {number: definition(record) for record, number in self.ids.items()}

    def writer_schema(self, number: int) -> Schema:
        """The schema with this id. Raises UnknownSchema."""
        if number not in self._schemas:
            raise UnknownSchema(f"no schema has the id {number}")
        return self._schemas[number]


class Readers:
    """Reads framed values of some records: of this product's own schemas and of any other that resolves to them."""

    def __init__(
        self,
        records: Collection[str],
        writer_schema: WriterSchema,
        shapes: Shapes = PLAIN,
        wrong_record: str = "undecodable",
    ) -> None:
        self._records = frozenset(records)
        self._writer_schema = writer_schema
        self._shapes = shapes
        self._wrong_record = wrong_record
        self.by_header: dict[bytes, Reader] = {}

    def read(self, value: bytes) -> Any:
        """The record. Raises BadRecord, or RegistryAway when the schema is not known yet and cannot be had now."""
        reader = self.by_header.get(value[:HEADER_BYTES])
        if reader is None:
            reader = self.reader(value)
        return reader(value, HEADER_BYTES)

    def reader(self, value: bytes) -> Reader:
        """The reader for the schema that the value names. An unknown id is asked for each time: it may come to be."""
        number = schema_id(value)
        try:
            reader = self._compiled(self._writer_schema(number))
        except UnknownSchema as error:
            raise BadRecord("unknown_schema", str(error)) from None
        except CannotResolve as error:
            reader = _refusing("undecodable", str(error))
        self.by_header[value[:HEADER_BYTES]] = reader
        return reader

    def _compiled(self, writer: Schema) -> Reader:
        name = record_name(writer)
        if name not in self._records:
            return _refusing(self._wrong_record, f"schema {name!r} is not expected here")
        return compile_reader(writer, definition(name), self._shapes)


def record_name(writer: Schema) -> str:
    """The short name of a schema's record, or what else it is."""
    resolved = Names(writer).get(writer)
    if isinstance(resolved, dict) and resolved.get("type") == "record":
        return short_name(resolved)
    return "(no record)"


def _refusing(reason: str, detail: str) -> Reader:
    def refuse(value: bytes, at: int) -> Any:
        raise BadRecord(reason, detail)

    return refuse


class Codec:
    """All records of the product as plain dicts: for tools and for readers with types of their own."""

    def __init__(self, ids: Mapping[str, int], writer_schema: WriterSchema) -> None:
        self.ids = dict(ids)
        self._headers = {record: header(number) for record, number in ids.items()}
        self._parsed = {record: fastavro.parse_schema(without_logical_types(definition(record))) for record in ids}
        self._writer_schema = writer_schema
        self._readers = Readers(RECORDS, writer_schema)

    @classmethod
    def offline(cls) -> Codec:
        """A codec with the fixed ids of OfflineSchemas."""
        table = OfflineSchemas()
        return cls(table.ids, table.writer_schema)

    def encode(self, record: str, fields: Mapping[str, Any]) -> bytes:
        """A record of this short name, framed. Absent fields get their default. Raises ValueError for a wrong value."""
        out = io.BytesIO()
        out.write(self._headers[record])
        fastavro.schemaless_writer(out, self._parsed[record], dict(fields), strict_allow_default=True)
        return out.getvalue()

    def decode(self, value: bytes) -> dict[str, Any]:
        """The record as a dict: ids are bytes, enums and texts str, times integers. Raises BadRecord, RegistryAway."""
        fields: dict[str, Any] = self._readers.read(value)
        return fields

    def record_of(self, value: bytes) -> str:
        """The short name of the record that a value holds. Raises BadRecord, RegistryAway."""
        number = schema_id(value)
        try:
            return record_name(self._writer_schema(number))
        except UnknownSchema as error:
            raise BadRecord("unknown_schema", str(error)) from None


def without_logical_types(schema: Schema) -> Schema:
    """The same schema with plain types, so that a library gives integers and bytes, not dates and UUIDs."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {key: without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
    return schema
