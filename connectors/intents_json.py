"""Intents as lines of text: JSON objects or CSV rows, both ways. Errors name the line and the field.

    {"kind":"TRANSFER","account":"ann","idempotency_key":"o-17","payee":"shop","amount":1250,"currency":"EUR"}

Fields are those of the Avro record; absent ones get their default. Ids of holds and transfers are UUID texts. Two
forms exist for tests of what goes wrong: ``{"raw": BASE64, "key": ..., "partition": ...}`` is any bytes, and an
intent with ``"send": {"partition": ..., "key": ..., "cut": N, "unchecked": true}`` is sent elsewhere than it should
be, with its last N bytes cut off, or without a check of its form.
"""

from __future__ import annotations

import base64
import binascii
import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from connectors.form import InvalidIntent, check_form, field_types
from schemas.catalogue import Schema
from streams.ledger.intents import KINDS, Configure, Intent, Resolve

CLASSES = {kind.value: cls for cls, kind in KINDS.items() if cls not in (Configure, Resolve)}
"""By kind: the intents that travel by their account. Configure and Resolve are the producer's own methods."""

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,40}")


class Line(NamedTuple):
    """What one line asks to send: an intent or raw bytes, and how it departs from the ordinary way."""

    value: Intent | bytes
    key: bytes | None = None
    """None: the intent's account (of raw bytes: no key)."""
    partition: int | None = None
    """None: by key."""
    cut: int = 0
    """How many bytes at the end of the encoded intent are left out."""
    unchecked: bool = False


class LineError(NamedTuple):
    """A line that cannot be sent."""

    number: int
    """From 1, as an editor counts them."""
    field: str | None
    problem: str

    def __str__(self) -> str:
        return f"line {self.number}: " + (f"field {self.field}: " if self.field else "") + self.problem


def read_json_lines(lines: Iterable[str]) -> Iterator[tuple[int, Line | LineError]]:
    """Each line that is not blank, with its number from 1."""
    for number, text in enumerate(lines, 1):
        if text.strip():
            yield number, _guarded(number, lambda text=text: from_json(_parse(text)))


def read_csv(lines: Iterable[str]) -> Iterator[tuple[int, Line | LineError]]:
    """Each row under a header of field names. An empty cell is an absent field; ``metadata`` is a JSON object."""
    rows = csv.DictReader(lines, strict=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield rows.line_num, LineError(rows.line_num, None, f"is not CSV: {error}")
            continue
        number = rows.line_num
        if None in row or None in row.values():
            yield number, LineError(number, None, f"has not as many cells as the header ({len(rows.fieldnames or ())})")
            continue
        cells = {name.strip(): cell for name, cell in row.items() if cell != ""}
        yield number, _guarded(number, lambda cells=cells: Line(_from_cells(cells)))


def from_json(data: Any) -> Line:
    """The line that parsed JSON stands for. Raises InvalidIntent."""
    if not isinstance(data, dict):
        raise InvalidIntent("-", "the line is not a JSON object")
    if "raw" in data:
        return _raw(data)
    fields = dict(data)
    send = fields.pop("send", {})
    if not isinstance(send, dict) or set(send) - {"partition", "key", "cut", "unchecked"}:
        raise InvalidIntent("send", "takes partition, key, cut and unchecked")
    intent = _intent(fields)
    unchecked = bool(send.get("unchecked", False))
    if not unchecked:
        check_form(intent)
    return Line(intent, _key(send), _number(send, "partition"), _number(send, "cut") or 0, unchecked)


def to_json(line: Line) -> dict[str, Any]:
    """The JSON object that ``from_json`` reads back as the same line; defaults are left out."""
    key = None if line.key is None else line.key.decode()
    if isinstance(line.value, bytes):
        return {"raw": base64.b64encode(line.value).decode(), "key": key, "partition": line.partition}
    data = {"kind": KINDS[type(line.value)].value, **_plain(line.value)}
    odd = Line(line.value)
    send = {"partition": line.partition, "key": key, "cut": line.cut, "unchecked": line.unchecked}
    send = {name: value for name, value in send.items() if value != getattr(odd, name)}
    return {**data, "send": send} if send else data


def _guarded(number: int, read: Any) -> Line | LineError:
    try:
        line: Line = read()
        return line
    except InvalidIntent as error:
        return LineError(number, None if error.field == "-" else error.field, error.problem)


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_no_repeats)
    except InvalidIntent:
        raise
    except json.JSONDecodeError as error:
        raise InvalidIntent("-", f"is not JSON: {error.msg} at column {error.colno}") from None
    except ValueError as error:
        raise InvalidIntent("-", f"is not JSON that is read here: {error}") from None
    except RecursionError:
        raise InvalidIntent("-", "is not JSON that is read here: it is nested too deeply") from None


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        name = next(name for name, _ in pairs if sum(other == name for other, _ in pairs) > 1)
        raise InvalidIntent(name, "comes twice")
    return data


def _intent(fields: dict[str, Any]) -> Intent:
    cls = _class(fields)
    types = field_types(cls.__name__)
    for name in fields:
        if name not in cls._fields or name == "wire":
            raise InvalidIntent(name, f"is no field of {KINDS[cls]}; fields: {', '.join(_own_fields(cls))}")
    for name in cls._fields:
        if name not in fields and name not in cls._field_defaults:
            raise InvalidIntent(name, "is missing")
    intent: Intent = cls(**{name: _value(types[name], value, name) for name, value in fields.items()})
    return intent


def _class(fields: dict[str, Any]) -> Any:
    kind = fields.pop("kind", None)
    if kind is None:
        raise InvalidIntent("kind", f"is missing; kinds: {', '.join(CLASSES)}")
    if not isinstance(kind, str) or kind not in CLASSES:
        raise InvalidIntent("kind", f"{kind!r} is none of {', '.join(CLASSES)}")
    return CLASSES[kind]


def _own_fields(cls: Any) -> list[str]:
    return [name for name in cls._fields if name != "wire"]


def _value(schema: Schema, value: Any, field: str) -> Any:
    """JSON gives numbers, texts and objects as they are; ids come as UUID texts."""
    if isinstance(schema, list):
        if value is None:
            return None
        (schema,) = [branch for branch in schema if branch != "null"]
    if isinstance(schema, dict) and schema["type"] == "fixed":
        try:
            return UUID(value).bytes
        except (ValueError, AttributeError, TypeError):
            raise InvalidIntent(field, f"must be a UUID as text, not {value!r}") from None
    return value


def _from_cells(cells: Mapping[str, str]) -> Intent:
    fields: dict[str, Any] = dict(cells)
    cls = _class(fields)
    types = field_types(cls.__name__)
    for name, cell in fields.items():
        if name in types:
            fields[name] = _cell(types[name], cell, name)
    intent = _intent({"kind": cells["kind"], **fields})
    check_form(intent)
    return intent


def _cell(schema: Schema, cell: str, field: str) -> Any:
    if isinstance(schema, list):
        if cell == "null":
            return None
        (schema,) = [branch for branch in schema if branch != "null"]
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "long":
        if not WHOLE_NUMBER.fullmatch(cell):
            raise InvalidIntent(field, f"must be a whole number, not {cell[:80]!r}")
        return int(cell)
    if kind == "boolean":
        if cell not in ("true", "false"):
            raise InvalidIntent(field, f"must be true or false, not {cell!r}")
        return cell == "true"
    if kind == "map":
        try:
            return _parse(cell)
        except InvalidIntent as error:
            raise InvalidIntent(field, error.problem) from None
    return cell


def _raw(data: dict[str, Any]) -> Line:
    if set(data) - {"raw", "key", "partition"}:
        raise InvalidIntent("raw", "goes with key and partition alone")
    try:
        value = base64.b64decode(data["raw"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidIntent("raw", "is not base64") from None
    return Line(value, _key(data), _number(data, "partition"))


def _key(data: dict[str, Any]) -> bytes | None:
    key = data.get("key")
    if key is not None and not isinstance(key, str):
        raise InvalidIntent("key", f"must be text, not {key!r}")
    return None if key is None else key.encode()


def _number(data: dict[str, Any], name: str) -> int | None:
    number = data.get(name)
    if number is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**31:
        raise InvalidIntent(name, f"must be a whole number from 0, not {number!r}")
    return number


def _plain(value: Any) -> dict[str, Any]:
    """The fields of an intent that differ from their default, as JSON can hold them."""
    plain: dict[str, Any] = {}
    for name, part in zip(value._fields, value, strict=True):
        if name == "wire" or (name in value._field_defaults and part == value._field_defaults[name]):
            continue
        plain[name] = str(UUID(bytes=part)) if isinstance(part, bytes) else part
    return plain
