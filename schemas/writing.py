"""Fast writers of Avro records: Python source generated from a schema. They give exactly the bytes of fastavro.

``write(value)`` gives the framed bytes of a record whose shape is a tuple class. Types are not checked beyond what
would give wrong bytes: a number outside 64 bits raises OverflowError, an id of the wrong size ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.catalogue import Schema
from schemas.resolving import Names, plain_type, short_name
from schemas.shapes import Shape, Shapes
from schemas.source import Source
from schemas.varint import LARGE, LAST, MORE, encode_long

Writer = Callable[[Any], bytes]

SMALL = {n: encode_long(n) for n in range(-1, 1024)}


class _Small(dict[int, bytes]):
    """Encodings of numbers that are small nearly always: lengths, partitions, steps."""

    def __missing__(self, number: int) -> bytes:
        return encode_long(number)


class _Texts(dict[str | None, bytes]):
    """Encodings of texts that come again and again (accounts, currencies, reasons), each behind ``prefix``."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix

    def __missing__(self, text: str | None) -> bytes:
        if text is None:
            return encode_long(0)
        if len(self) >= TEXTS_KEPT:
            self.clear()
        data = text.encode()
        self[text] = encoded = self.prefix + encode_long(len(data)) + data
        return encoded


TEXTS_KEPT = 1 << 16
TEXTS = _Texts(b"")
OPTIONAL_TEXTS = _Texts(encode_long(1))
"""The same within a union of null and string."""


def compile_writer(schema: Schema, shapes: Shapes, header: bytes, texts_repeat: bool = False) -> Writer:
    """A writer of records of ``schema``, each behind ``header``. Every record in it needs a shape.

    ``texts_repeat``: remember the encodings of texts, some 65,000 of them, since most come more than once.
    """
    return _Generator(schema, shapes, header, texts_repeat).writer()


class _Generator:
    def __init__(self, schema: Schema, shapes: Shapes, header: bytes, texts_repeat: bool) -> None:
        self.schema, self.shapes, self.header, self.texts_repeat = schema, shapes, header, texts_repeat
        self.names = Names(schema)
        memos = {"TEXTS": TEXTS, "OPTIONAL_TEXTS": OPTIONAL_TEXTS}
        self.source = Source(LAST=LAST, MORE=MORE, LARGE=LARGE, SMALL=_Small(SMALL), join=b"".join, **memos)

    def writer(self) -> Writer:
        with self.source.block("def write(v):"):
            pieces = [self.source.const(self.header), *self.value(self.schema, "v")]
            self.source.line(f"return {self.joined(pieces)}")
        return self.source.function("write")

    def joined(self, pieces: list[str]) -> str:
        """One expression for some pieces; neighbours that are literal bytes become one."""
        merged: list[str] = []
        for piece in pieces:
            if piece.startswith("b'") and merged and merged[-1].startswith("b'"):
                merged[-1] = merged[-1][:-1] + piece[2:]
            else:
                merged.append(piece)
        return " + ".join(merged) if len(merged) <= 2 else f"join(({', '.join(merged)},))"

    def value(self, schema: Schema, name: str) -> list[str]:
        """Emit code that prepares the value in ``name``; the answer is the expressions of its bytes, in order."""
        schema = self.names.get(schema)
        if isinstance(schema, list):
            return [self.union(schema, name)]
        emit: Callable[[Schema, str], list[str]] = getattr(self, f"write_{plain_type(schema)}")
        return emit(schema, name)

    def union(self, schema: list[Schema], name: str) -> str:
        """A union of null and one other type."""
        if self.texts_repeat and schema == ["null", "string"]:
            return f"OPTIONAL_TEXTS[{name}]"
        null = schema.index("null")
        (index,) = {0, 1} - {null} if len(schema) == 2 else set[int]()
        result = self.source.fresh("u")
        with self.source.block(f"if {name} is None:"):
            self.source.line(f"{result} = {literal(2 * null)}")
        with self.source.block("else:"):
            pieces = [literal(2 * index), *self.value(schema[index], name)]
            self.source.line(f"{result} = {self.joined(pieces)}")
        return result

    def write_boolean(self, schema: Schema, name: str) -> list[str]:
        return [f"(b'\\x01' if {name} else b'\\x00')"]

    def write_int(self, schema: Schema, name: str) -> list[str]:
        return [f"SMALL[{name}]"]

    def write_long(self, schema: Schema, name: str) -> list[str]:
        z, result = self.source.fresh("z"), self.source.fresh("n")
        line = self.source.line
        line(f"{z} = {name} + {name} if {name} >= 0 else ~({name} + {name})")
        line(f"if {z} < 16384: {result} = LAST[{z}]")
        line(f"elif {z} < 268435456: {result} = MORE[{z} & 16383] + LAST[{z} >> 14]")
        line(f"else: {result} = LARGE[{z}]")
        return [result]

    def write_bytes(self, schema: Schema, name: str) -> list[str]:
        return [f"SMALL[len({name})]", name]

    def write_string(self, schema: Schema, name: str) -> list[str]:
        if self.texts_repeat:
            return [f"TEXTS[{name}]"]
        data = self.source.fresh("s")
        self.source.line(f"{data} = {name}.encode()")
        return [f"SMALL[len({data})]", data]

    def write_fixed(self, schema: Schema, name: str) -> list[str]:
        with self.source.block(f"if len({name}) != {schema['size']}:"):
            message = f"a {short_name(schema)} has {schema['size']} bytes"
            self.source.line(f"raise ValueError({self.source.const(message)})")
        return [name]

    def write_enum(self, schema: Schema, name: str) -> list[str]:
        symbols = self.source.const({symbol: encode_long(i) for i, symbol in enumerate(schema["symbols"])})
        return [f"{symbols}[{name}]"]

    def write_array(self, schema: Schema, name: str) -> list[str]:
        parts, item = self.source.fresh("a"), self.source.fresh("i")
        self.source.line(f"{parts} = [SMALL[len({name})]]")
        with self.source.block(f"for {item} in {name}:"):
            self.source.line(f"{parts} += {', '.join(self.value(schema['items'], item))},")
        self.source.line(f"if {name}: {parts}.append(b'\\x00')")
        return [f"join({parts})"]

    def write_map(self, schema: Schema, name: str) -> list[str]:
        parts, key, value, result = (self.source.fresh(letter) for letter in "mkvx")
        with self.source.block(f"if {name}:"):
            self.source.line(f"{parts} = [SMALL[len({name})]]")
            with self.source.block(f"for {key}, {value} in {name}.items():"):
                pieces = [*self.write_string("string", key), *self.value(schema["values"], value)]
                self.source.line(f"{parts} += {', '.join(pieces)},")
            self.source.line(f"{parts}.append(b'\\x00')")
            self.source.line(f"{result} = join({parts})")
        self.source.line(f"else: {result} = b'\\x00'")
        return [result]

    def write_record(self, schema: Schema, name: str) -> list[str]:
        shape: Shape = self.shapes.records[short_name(schema)]
        variables = {field: self.source.fresh("f") for field in shape.fields}
        self.source.line(f"{', '.join(variables.values())}, = {name}")
        pieces: list[str] = []
        for field in schema["fields"]:
            variable = variables.get(field["name"])
            if variable is None:
                pieces.append(self.absent(field))
                continue
            if field["name"] in shape.write:
                self.source.line(f"{variable} = {self.source.const(shape.write[field['name']])}({variable})")
            pieces += self.value(field["type"], variable)
        return pieces

    @staticmethod
    def absent(field: Schema) -> str:
        """The bytes of a field that the shape does not have: only null can be left out."""
        if field.get("default", ...) is not None or field["type"][0] != "null":
            raise TypeError(f"the shape has no field {field['name']!r}")
        return literal(0)


def literal(number: int) -> str:
    """Source of the bytes of a small number."""
    return f"b'\\x{number:02x}'"
