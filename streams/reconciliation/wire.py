"""Reads the Avro records that are compared: a decoder is generated from the writer's schema, for wanted fields alone.

A generic decode of a journal record costs more than the whole budget of the fold. The generated function walks the
record once, skips what nobody asked for and stops after the last wanted field. Text and enum symbols stay bytes:
they are compared and hashed, hardly ever shown.

The format is that of the Avro 1.12 specification ("Binary Encoding"), behind the Confluent header of five bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

HEADER = 5
"""Length of the Confluent header: a zero byte and the schema id, 4 bytes big endian."""

SHORT = tuple(n >> 1 if n < 128 and n % 2 == 0 else -1 for n in range(256))
"""The length that a first byte gives alone; -1 where the length takes more bytes (or is negative)."""

Decoder = Callable[[bytes], tuple[Any, ...]]


class UnreadableRecord(ValueError):
    """Bytes that are no record of their schema: in the journal and in a table that is itself a break of the books."""


INTEGER = rb"[\x80-\xff]*[\x00-\x7f]"
ONE_INTEGER = re.compile(INTEGER).match


def long_integer(value: bytes, i: int) -> tuple[int, int]:
    """A variable-length integer before its zigzag is undone, and the position after it."""
    n = shift = 0
    while (byte := value[i]) > 127:
        n |= (byte & 127) << shift
        shift += 7
        i += 1
    return n | byte << shift, i + 1


class Times(dict[bytes, int]):
    """Times by their bytes: a few thousand are remembered."""

    MOST = 4096

    def __missing__(self, value: bytes) -> int:
        n, _ = long_integer(value, 0)
        if len(self) >= self.MOST:
            self.clear()
        self[value] = found = n >> 1 ^ -(n & 1)
        return found


def schema_id(value: bytes) -> int:
    """The id in the Confluent header of ``value``. Raises UnreadableRecord where there is no header."""
    if len(value) < HEADER or value[0] != 0:
        raise UnreadableRecord("no Confluent header")
    return int.from_bytes(value[1:HEADER], "big")


def schema_name(schema: Mapping[str, Any]) -> str:
    """The record's name without its namespace."""
    return str(schema["name"]).rpartition(".")[2]


def decoder(schema: Mapping[str, Any], wanted: Sequence[str]) -> Decoder:
    """A function from a value (header included) to the tuple of its ``wanted`` fields, in that order.

    Nested records and arrays come as tuples, null as None, a wanted field that the writer did not know as None.
    The function raises UnreadableRecord for bytes that end too early.
    """
    writer = _Writer(schema)
    source = writer.function(schema, wanted)
    names: dict[str, Any] = dict(writer.constants)
    exec(compile(source, "<avro decoder>", "exec"), names)
    decode: Decoder = names["decode"]
    return decode


class _Writer:
    """Writes the decoder's source, field by field; ``b`` is the value and ``i`` the position in it."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {
            "SHORT": SHORT,
            "UnreadableRecord": UnreadableRecord,
            "long_integer": long_integer,
        }
        self.named: dict[str, Mapping[str, Any]] = {}
        self.numbers = count()
        self.run = self.run_depth = 0
        self._learn(schema, "")

    def function(self, schema: Mapping[str, Any], wanted: Sequence[str]) -> str:
        fields = schema["fields"]
        known = [n for n, f in enumerate(fields) if f["name"] in wanted]
        targets: dict[str, str] = {}
        for field in fields[: known[-1] + 1 if known else 0]:
            name = field["name"]
            target = targets[name] = f"f_{name}" if name in wanted else ""
            self._value(field["type"], target, 2)
        result = ", ".join(targets.get(name) or "None" for name in wanted)
        head = ["def decode(b):", f" i = {HEADER}", " try:"]
        self._flush()
        tail = [
            "  if i > len(b): raise IndexError",
            " except (IndexError, KeyError):",
            "  raise UnreadableRecord('the value is no record of its schema') from None",
            f" return ({result},)",
        ]
        return "\n".join([*head, *self.lines, *tail])

    def _learn(self, schema: Any, namespace: str) -> None:
        """Remember the named types, under their short and their full names."""
        if isinstance(schema, list):
            for branch in schema:
                self._learn(branch, namespace)
        elif isinstance(schema, dict):
            namespace = schema.get("namespace", namespace)
            if "name" in schema:
                short = schema_name(schema)
                self.named[short] = self.named[str(schema["name"])] = self.named[f"{namespace}.{short}"] = schema
            for field in schema.get("fields", ()):
                self._learn(field["type"], namespace)
            for inner in ("items", "values", "type"):
                if isinstance(schema.get(inner), dict | list):
                    self._learn(schema[inner], namespace)

    def _put(self, depth: int, *lines: str) -> None:
        self._flush()
        self.lines.extend(" " * depth + line for line in lines)

    def _skip(self, depth: int) -> None:
        """One more integer that nobody wants: written with its neighbours, as a run."""
        if self.run and self.run_depth != depth:
            self._flush()
        self.run, self.run_depth = self.run + 1, depth

    def _flush(self) -> None:
        """Code that moves ``i`` past the integers of the run: one match in C when there are several."""
        numbers, self.run = self.run, 0
        if numbers == 1:
            self._put(self.run_depth, "while b[i] > 127: i += 1", "i += 1")
        elif numbers:
            self.constants[f"run_{numbers}"] = re.compile(rb"(?:%b){%d}" % (INTEGER, numbers)).match
            self._put(self.run_depth, f"m = run_{numbers}(b, i)", "if m is None: raise IndexError", "i = m.end()")

    def _value(self, schema: Any, target: str, depth: int) -> None:
        """Code that moves ``i`` past a value of ``schema`` and, with a ``target``, stores it there."""
        if isinstance(schema, list):
            self._union(schema, target, depth)
            return
        while isinstance(schema, dict) and isinstance(schema["type"], dict | list):
            schema = schema["type"]
        if isinstance(schema, dict) and schema.get("logicalType") == "timestamp-micros":
            self._time(target, depth)
            return
        kind = schema["type"] if isinstance(schema, dict) else schema
        if kind in self.named:
            schema = self.named[kind]
            kind = schema["type"]
        if kind in ("int", "long"):
            self._varint(target, depth)
        elif kind in ("string", "bytes"):
            self._text(target, depth)
        elif kind == "enum":
            self._enum(schema["symbols"], target, depth)
        elif kind == "record":
            self._record(schema, target, depth)
        elif kind == "array":
            self._array(schema["items"], target, depth)
        elif kind == "map":
            self._array([{"pair": schema["values"]}], "", depth, pair=schema["values"])
        else:
            self._plain(kind, schema, target, depth)

    def _varint(self, target: str, depth: int) -> None:
        if not target:
            self._skip(depth)
            return
        self._put(
            depth,
            "n = b[i]",
            "if n < 128: i += 1",
            "elif (c := b[i + 1]) < 128: n = n & 127 | c << 7; i += 2",
            "elif (d := b[i + 2]) < 128: n = n & 127 | (c & 127) << 7 | d << 14; i += 3",
            "else: n, i = long_integer(b, i)",
            f"{target} = n >> 1 ^ -(n & 1)",
        )

    def _time(self, target: str, depth: int) -> None:
        """A time: eight bytes, and the same in many records, so that its bytes are looked up."""
        if not target:
            self._skip(depth)
            return
        self.constants |= {"one_integer": ONE_INTEGER, "times": Times()}
        self._put(
            depth, "m = one_integer(b, i)", "if m is None: raise IndexError", f"{target} = times[m[0]]", "i = m.end()"
        )

    def _text(self, target: str, depth: int) -> None:
        self._put(depth, "z = SHORT[b[i]]", "if z >= 0:", " i += 1", "else:")
        self._varint("z", depth + 1)
        self._put(depth + 1, "if z < 0: raise IndexError")
        if target:
            self._put(depth, f"{target} = b[i:i + z]")
        self._put(depth, "i += z")

    def _enum(self, symbols: Sequence[str], target: str, depth: int) -> None:
        if not target:
            self._skip(depth)
            return
        constant = f"symbols_{next(self.numbers)}"
        self.constants[constant] = {2 * n: symbol.encode() for n, symbol in enumerate(symbols)}
        self._put(depth, f"{target} = {constant}[b[i]]", "i += 1")

    def _record(self, schema: Mapping[str, Any], target: str, depth: int) -> None:
        parts = []
        for field in schema["fields"]:
            part = f"p_{next(self.numbers)}" if target else ""
            parts.append(part)
            self._value(field["type"], part, depth)
        if target:
            self._put(depth, f"{target} = ({', '.join(parts)},)")

    def _array(self, items: Any, target: str, depth: int, pair: Any = None) -> None:
        number = next(self.numbers)
        left, found = f"left_{number}", f"list_{number}"
        self._put(depth, f"{found} = []", "while True:")
        self._varint(left, depth + 1)
        self._put(depth + 1, f"if not {left}: break", f"if {left} < 0:")
        self._varint("", depth + 2)
        self._put(depth + 2, f"{left} = -{left}")
        self._put(depth + 1, f"for _ in range({left}):")
        if pair is not None:
            self._text("", depth + 2)
            self._value(pair, "", depth + 2)
        else:
            item = f"item_{number}" if target else ""
            self._value(items, item, depth + 2)
            if target:
                self._put(depth + 2, f"{found}.append({item})")
        if target:
            self._put(depth, f"{target} = tuple({found})")

    def _union(self, branches: Sequence[Any], target: str, depth: int) -> None:
        branch = f"u_{next(self.numbers)}"
        self._put(depth, f"{branch} = b[i]; i += 1")
        for number, schema in enumerate(branches):
            self._put(depth, f"{'if' if number == 0 else 'elif'} {branch} == {2 * number}:")
            self._value(schema, target, depth + 1)
        self._put(depth, "else: raise IndexError")

    def _plain(self, kind: Any, schema: Any, target: str, depth: int) -> None:
        """Values of a fixed length: null, boolean, float, double, fixed."""
        sizes = {"null": 0, "boolean": 1, "float": 4, "double": 8}
        size = schema["size"] if kind == "fixed" else sizes[kind]
        if target:
            read = {"null": "None", "boolean": "b[i] == 1"}.get(kind, f"b[i:i + {size}]")
            self._put(depth, f"{target} = {read}")
        self._put(depth, f"i += {size}" if size else "pass")
