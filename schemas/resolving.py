"""Which part of a reader's schema a part of a writer's schema goes to (Avro specification, "Schema Resolution")."""

from __future__ import annotations

from typing import Any

from schemas.catalogue import PRIMITIVES, Schema
from schemas.errors import CannotResolve
from schemas.shapes import Shapes

PROMOTIONS = {("int", "long"), ("string", "bytes"), ("bytes", "string")}


def plain_type(schema: Schema) -> str:
    """The type's name without attributes: ``long`` for ``{"type": "long", "logicalType": ...}``."""
    if isinstance(schema, str):
        return schema
    kind = schema["type"]
    return kind if isinstance(kind, str) else plain_type(kind)


def short_name(schema: Schema) -> str:
    """The name of a named type without its namespace."""
    name: str = schema["name"]
    return name.rpartition(".")[2]


class Names:
    """The named types of one schema, to follow references within it."""

    def __init__(self, schema: Schema) -> None:
        self._types: dict[str, Schema] = {}
        self._collect(schema, "")

    def _collect(self, schema: Schema, namespace: str) -> None:
        if isinstance(schema, list):
            for branch in schema:
                self._collect(branch, namespace)
        elif isinstance(schema, dict):
            namespace = schema.get("namespace", namespace)
            if "name" in schema:
                name = schema["name"]
                if "." in name:
                    namespace = name.rpartition(".")[0]
                self._types[name if "." in name or not namespace else f"{namespace}.{name}"] = schema
                self._types.setdefault(short_name(schema), schema)
            for inner in (schema.get("items"), schema.get("values"), *(f["type"] for f in schema.get("fields", ()))):
                self._collect(inner, namespace)
            if isinstance(schema["type"], dict | list):
                self._collect(schema["type"], namespace)

    def get(self, schema: Schema) -> Schema:
        """The definition behind a reference; anything else as it is."""
        while isinstance(schema, dict) and isinstance(schema["type"], dict | list):
            schema = schema["type"]
        if isinstance(schema, str) and schema not in PRIMITIVES:
            found = self._types.get(schema)
            if found is None:
                raise CannotResolve(f"type {schema!r} is not defined")
            return found
        if isinstance(schema, dict) and schema["type"] not in PRIMITIVES and schema["type"] in self._types:
            return self._types[schema["type"]]
        return schema


class Resolver:
    """Matches a writer's schema with a reader's, and knows what absent fields become."""

    def __init__(self, writer_names: Names, reader_names: Names, shapes: Shapes) -> None:
        self.writer_names, self.reader_names, self.shapes = writer_names, reader_names, shapes

    def match(self, writer: Schema, reader: Schema, path: str) -> Schema:
        """The reader's schema for a value of ``writer``, which is no union. Raises CannotResolve if there is none."""
        for branch in reader if isinstance(reader, list) else [reader]:
            candidate = self.reader_names.get(branch)
            if self._fits(writer, candidate):
                return candidate
        raise CannotResolve(f"{path or 'record'}: a {plain_type(writer)} cannot be read as the reader's type")

    @staticmethod
    def _fits(writer: Schema, reader: Schema) -> bool:
        kinds = plain_type(writer), plain_type(reader)
        if kinds[0] != kinds[1]:
            return kinds in PROMOTIONS
        if kinds[0] in ("record", "enum", "fixed"):
            names = {short_name(reader), *(alias.rpartition(".")[2] for alias in reader.get("aliases", ()))}
            return short_name(writer) in names and (kinds[0] != "fixed" or writer["size"] == reader["size"])
        return True

    @staticmethod
    def field(name: str, reader: Schema) -> Schema | None:
        """The reader's field for the writer's field of this name, or None: it is dropped."""
        for field in reader["fields"]:
            if field["name"] == name or name in field.get("aliases", ()):
                found: Schema = field
                return found
        return None

    def default(self, field: Schema, path: str) -> Any:
        """What the reader gives a field that the writer does not have."""
        if "default" not in field:
            raise CannotResolve(f"{path or 'record'}: the writer has no field {field['name']!r}, which has no default")
        return self._python(self.reader_names.get(field["type"]), field["default"])

    def _python(self, schema: Schema, value: Any) -> Any:
        if isinstance(schema, list):
            return None if value is None else self._python(self.reader_names.get(schema[0]), value)
        kind = plain_type(schema)
        if kind in ("bytes", "fixed"):
            return value.encode("latin-1")
        if kind == "enum":
            return self._member(schema, value)
        if kind == "record":
            raise CannotResolve(f"a default of record {short_name(schema)} is not read")
        return value

    def members(self, writer: Schema, reader: Schema | None) -> dict[int, Any]:
        """The value by zigzag index, of the writer's symbols that the reader knows (of all, if the reader drops it)."""
        members: dict[int, Any] = {}
        for index, symbol in enumerate(writer["symbols"]):
            if reader is None:
                members[2 * index] = symbol
            elif symbol in reader["symbols"]:
                members[2 * index] = self._member(reader, symbol)
            elif "default" in reader:
                members[2 * index] = self._member(reader, reader["default"])
        return members

    def _member(self, schema: Schema, symbol: str) -> Any:
        member = self.shapes.enums.get(short_name(schema))
        return symbol if member is None else member(symbol)
