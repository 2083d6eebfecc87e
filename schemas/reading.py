"""Strict, fast readers of Avro records: Python source generated from the writer's and the reader's schema.

A library's reader is not strict: fastavro takes integers of any length and drops bits, differently in its C and its
Python build, and does not look at what follows the record. Here the verdict is a function of the bytes alone. A
reader accepts exactly the encodings that the Avro specification allows (integers may be longer than needed, up to
ten bytes; maps and arrays may come in blocks) and names the reason for every other value. It also resolves a
writer's schema against the reader's, field by field, so an old producer costs no more than a new one.

``read(data, 5)`` gives the record whose framed bytes are ``data``, or raises BadRecord.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.catalogue import Schema
from schemas.errors import BadRecord, CannotResolve
from schemas.resolving import Names, Resolver, plain_type, short_name
from schemas.shapes import PLAIN, Shapes
from schemas.source import Source
from schemas.varint import follow

Reader = Callable[[bytes, int], Any]

INT_LIMIT = 1 << 32
DEEPEST = 16
TEXT_OR_BYTES = {("string", "bytes"), ("bytes", "string")}
SKIP = object()
"""In place of a reader's schema: the value is checked and dropped."""


def compile_reader(writer: Schema, reader: Schema, shapes: Shapes = PLAIN) -> Reader:
    """A reader of values written with ``writer``. Raises CannotResolve if they can never be read as ``reader``."""
    try:
        return _Generator(writer, reader, shapes).reader()
    except CannotResolve:
        raise
    except (SyntaxError, RecursionError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise CannotResolve(f"no reader can be made for the writer's schema: {error}") from error


class _Generator:
    def __init__(self, writer: Schema, reader: Schema, shapes: Shapes) -> None:
        self.writer, self.reader_schema = writer, reader
        self.resolver = Resolver(Names(writer), Names(reader), shapes)
        self.shapes = shapes
        self.source = Source(BadRecord=BadRecord, follow=follow, new=tuple.__new__)
        self.open: list[str] = []

    def reader(self) -> Reader:
        line, block = self.source.line, self.source.block
        with block("def read(b, p):"):
            line("end = len(b)")
            with block("try:"):
                value = self.value(self.writer, self.reader_schema, "")
                with block("if p != end:"):
                    line("raise BadRecord('bytes_left_over' if p < end else 'truncated')")
                line(f"return {value}")
            with block("except IndexError:"):
                line("raise BadRecord('truncated') from None")
            with block("except UnicodeDecodeError as error:"):
                line("raise BadRecord('undecodable', f'text is not UTF-8: {error.reason}') from None")
        return self.source.function("read")

    def value(self, writer: Schema, reader: Schema, path: str) -> str:
        """Emit code that reads one value; the answer is the expression that holds it."""
        writer = self.resolver.writer_names.get(writer)
        if reader is not SKIP:
            reader = self.resolver.reader_names.get(reader)
        if isinstance(writer, list):
            return self.union(writer, reader, path)
        if reader is not SKIP:
            reader = self.resolver.match(writer, reader, path)
        kind = plain_type(writer)
        if reader is not SKIP and (kind, plain_type(reader)) in TEXT_OR_BYTES:
            kind = plain_type(reader)
        emit = getattr(self, f"read_{kind}", None)
        if emit is None:
            raise CannotResolve(f"{path}: unknown type {kind!r}")
        expression: str = emit(writer, reader, path)
        return expression

    def number(self) -> str:
        """Emit code that reads one zigzag value, not yet made signed."""
        z = self.source.fresh("z")
        self.source.line(f"{z} = b[p]; p += 1")
        self.source.line(f"if {z} > 127: {z}, p = follow(b, p, {z})")
        return z

    def refuse(self, reason: str, path: str, detail: str) -> None:
        self.source.line(f"raise BadRecord({reason!r}, {self.source.const(f'{path}: {detail}')})")

    def union(self, writer: list[Schema], reader: Schema, path: str) -> str:
        z, value = self.number(), self.source.fresh("u")
        word = "if"
        for index, branch in enumerate(writer):
            with self.source.block(f"{word} {z} == {2 * index}:"):
                try:
                    self.source.line(f"{value} = {self.value(branch, reader, path)}")
                except CannotResolve as error:
                    self.refuse("undecodable", path, str(error))
            word = "elif"
        with self.source.block("else:"):
            self.refuse("undecodable", path, "no such branch of the union")
        return value

    def read_null(self, writer: Schema, reader: Schema, path: str) -> str:
        return "None"

    def read_boolean(self, writer: Schema, reader: Schema, path: str) -> str:
        value = self.source.fresh("v")
        self.source.line(f"{value} = b[p]; p += 1")
        with self.source.block(f"if {value} > 1:"):
            self.refuse("undecodable", path, "a boolean is neither 0 nor 1")
        return f"{value} == 1"

    def read_long(self, writer: Schema, reader: Schema, path: str) -> str:
        z = self.number()
        if reader is SKIP:
            return "None"
        self.source.line(f"{z} = ~({z} >> 1) if {z} & 1 else {z} >> 1")
        return z

    def read_int(self, writer: Schema, reader: Schema, path: str) -> str:
        z = self.number()
        with self.source.block(f"if {z} >= {INT_LIMIT}:"):
            self.refuse("integer_out_of_range", path, "an int is outside 32 bits")
        self.source.line(f"{z} = ~({z} >> 1) if {z} & 1 else {z} >> 1")
        return z

    def read_float(self, writer: Schema, reader: Schema, path: str) -> str:
        return self.dropped(4, reader, path)

    def read_double(self, writer: Schema, reader: Schema, path: str) -> str:
        return self.dropped(8, reader, path)

    def dropped(self, size: int, reader: Schema, path: str) -> str:
        if reader is not SKIP:
            raise CannotResolve(f"{path}: this ledger reads no floating point numbers")
        self.slice(str(size), path)
        return "None"

    def slice(self, size: str, path: str) -> str:
        """Emit code that passes over ``size`` bytes; the answer is the expression of those bytes."""
        start = self.source.fresh("s")
        self.source.line(f"{start} = p; p += {size}")
        with self.source.block("if p > end:"):
            self.refuse("truncated", path, "the value ends within it")
        return f"b[{start}:p]"

    def sized(self, bound: int | None, reason: str, path: str) -> str:
        z = self.number()
        with self.source.block(f"if {z} & 1:"):
            self.refuse("undecodable", path, "a length is negative")
        if bound is not None:
            with self.source.block(f"if {z} > {2 * bound}:"):
                self.refuse(reason, path, f"longer than {bound} bytes of UTF-8")
        return self.slice(f"{z} >> 1", path)

    def read_bytes(self, writer: Schema, reader: Schema, path: str) -> str:
        return self.kept(self.sized(None, "", path), reader)

    def kept(self, data: str, reader: Schema) -> str:
        """Take the bytes just passed over: ``p`` moves on with the next value."""
        if reader is SKIP:
            return "None"
        value = self.source.fresh("d")
        self.source.line(f"{value} = {data}")
        return value

    def read_string(self, writer: Schema, reader: Schema, path: str) -> str:
        bound = reader.get("maxBytes") if isinstance(reader, dict) else None
        return self.string(bound, "field_too_long", path)

    def string(self, bound: int | None, reason: str, path: str) -> str:
        """Bounded text comes from outside: it also may not hold U+0000, which databases do not store."""
        data, value = self.sized(bound, reason, path), self.source.fresh("t")
        self.source.line(f"{value} = {data}.decode()")
        if bound is not None:
            with self.source.block(f"if '\\0' in {value}:"):
                self.refuse("undecodable", path, "text holds U+0000")
        return value

    def read_fixed(self, writer: Schema, reader: Schema, path: str) -> str:
        return self.kept(self.slice(str(int(writer["size"])), path), reader)

    def read_enum(self, writer: Schema, reader: Schema, path: str) -> str:
        z, value = self.number(), self.source.fresh("e")
        members = self.source.const(self.resolver.members(writer, None if reader is SKIP else reader))
        self.source.line(f"{value} = {members}.get({z})")
        with self.source.block(f"if {value} is None:"):
            self.refuse("undecodable", path, "no such symbol of the enum")
        return value

    def read_array(self, writer: Schema, reader: Schema, path: str) -> str:
        items = self.source.fresh("a")
        self.source.line(f"{items} = []")
        item_reader = SKIP if reader is SKIP else reader["items"]
        with self.blocks(path):
            value = self.value(writer["items"], item_reader, f"{path}[]")
            self.source.line(f"{items}.append({value})")
        return items

    def read_map(self, writer: Schema, reader: Schema, path: str) -> str:
        entries, seen = self.source.fresh("m"), self.source.fresh("c")
        self.source.line(f"{entries} = {{}}; {seen} = 0")
        bounds = reader if isinstance(reader, dict) else {}
        too_large = "metadata_too_large"
        values = SKIP if reader is SKIP else reader["values"]
        with self.blocks(path):
            self.source.line(f"{seen} += 1")
            if "maxEntries" in bounds:
                with self.source.block(f"if {seen} > {bounds['maxEntries']}:"):
                    self.refuse(too_large, path, f"more than {bounds['maxEntries']} entries")
            key = self.string(bounds.get("maxKeyBytes"), too_large, f"{path} key")
            bound = values.get("maxBytes") if isinstance(values, dict) else None
            if bound is not None and plain_type(writer["values"]) == "string":
                value = self.string(bound, too_large, f"{path} value")
            else:
                value = self.value(writer["values"], values, f"{path} value")
            self.source.line(f"{entries}[{key}] = {value}")
        with self.source.block(f"if len({entries}) != {seen}:"):
            self.refuse("undecodable", path, "a key comes twice")
        return entries

    def blocks(self, path: str) -> _Blocks:
        return _Blocks(self, path)

    def read_record(self, writer: Schema, reader: Schema, path: str) -> str:
        if short_name(writer) in self.open or len(self.open) == DEEPEST:
            raise CannotResolve(f"{path}: records within themselves are not read")
        self.open.append(short_name(writer))
        values: dict[str, str] = {}
        for field in writer["fields"]:
            target = None if reader is SKIP else self.resolver.field(field["name"], reader)
            inner = f"{path}.{field['name']}" if path else field["name"]
            expression = self.value(field["type"], SKIP if target is None else target["type"], inner)
            if target is not None:
                values[target["name"]] = expression
        self.open.pop()
        return "None" if reader is SKIP else self.build(reader, values, path)

    def build(self, reader: Schema, values: dict[str, str], path: str) -> str:
        for field in reader["fields"]:
            if field["name"] not in values:
                values[field["name"]] = self.source.const(self.resolver.default(field, path))
        shape = self.shapes.records.get(short_name(reader))
        if shape is None:
            return "{" + ", ".join(f"{name!r}: {value}" for name, value in values.items()) + "}"
        for name, convert in shape.read.items():
            values[name] = f"{self.source.const(convert)}({values[name]})"
        if shape.whole:
            values[shape.whole] = "b"
        arguments = "".join(f"{values[name]}, " for name in shape.fields)
        result = self.source.fresh("r")
        self.source.line(f"{result} = new({self.source.const(shape.cls)}, ({arguments}))")
        return result


class _Blocks:
    """Emits the loops over the blocks of an array or map. A negative count is followed by the block's size."""

    def __init__(self, generator: _Generator, path: str) -> None:
        self.generator, self.path = generator, path

    def __enter__(self) -> None:
        generator, line, block = self.generator, self.generator.source.line, self.generator.source.block
        self.count = generator.number()
        self.stop = generator.source.fresh("stop")
        self.outer = block(f"while {self.count}:")
        self.outer.__enter__()
        line(f"{self.stop} = -1")
        with block(f"if {self.count} & 1:"):
            size = generator.number()
            with block(f"if {size} & 1:"):
                generator.refuse("undecodable", self.path, "a block's size is negative")
            line(f"{self.stop} = p + ({size} >> 1); {self.count} += 1")
        line(f"{self.count} >>= 1")
        with block(f"if {self.count} > end - p:"):
            generator.refuse("truncated", self.path, "fewer bytes are left than entries are announced")
        self.inner = block(f"for _ in range({self.count}):")
        self.inner.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self.inner.__exit__(kind, error, trace)
        if kind is None:
            with self.generator.source.block(f"if {self.stop} >= 0 and p != {self.stop}:"):
                self.generator.refuse("undecodable", self.path, "a block is not as long as it says")
            z = self.generator.number()
            self.generator.source.line(f"{self.count} = {z}")
        self.outer.__exit__(kind, error, trace)
