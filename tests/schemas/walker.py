"""The oracle of strict decoding: a slow, plain walk over Avro bytes, written apart from the generated readers."""

from __future__ import annotations

from typing import Any

from schemas.catalogue import PRIMITIVES, Schema


class Refused(Exception):
    """What the walk found wrong: a reason code."""


class Walk:
    """One pass over ``data``."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.named: dict[str, Schema] = {}

    def whole(self, schema: Schema) -> Any:
        self.learn(schema)
        value = self.read(schema)
        if self.at < len(self.data):
            raise Refused("bytes_left_over")
        return value

    def learn(self, schema: Schema) -> None:
        """Names may be used where their definition was not walked: in another branch of a union."""
        if isinstance(schema, list):
            for branch in schema:
                self.learn(branch)
        elif isinstance(schema, dict):
            if "name" in schema:
                self.named[schema["name"]] = schema
            for field in schema.get("fields", ()):
                self.learn(field["type"])
            self.learn(schema.get("items"))

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise Refused("truncated")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self) -> int:
        groups = []
        while True:
            (byte,) = self.take(1)
            groups.append(byte % 128)
            if byte < 128:
                break
            if len(groups) == 10:
                raise Refused("integer_out_of_range")
        unsigned = sum(group * 128**i for i, group in enumerate(groups))
        if unsigned >= 2**64:
            raise Refused("integer_out_of_range")
        return unsigned // 2 if unsigned % 2 == 0 else -(unsigned // 2) - 1

    def read(self, schema: Schema) -> Any:
        if isinstance(schema, str) and schema not in PRIMITIVES:
            schema = self.named[schema]
        if isinstance(schema, list):
            index = self.number()
            if not 0 <= index < len(schema):
                raise Refused("undecodable")
            return self.read(schema[index])
        attributes = schema if isinstance(schema, dict) else {"type": schema}
        return getattr(self, f"read_{attributes['type']}")(attributes)

    def read_null(self, schema: Schema) -> None:
        return None

    def read_boolean(self, schema: Schema) -> bool:
        (byte,) = self.take(1)
        if byte not in (0, 1):
            raise Refused("undecodable")
        return byte == 1

    def read_long(self, schema: Schema) -> int:
        return self.number()

    def read_int(self, schema: Schema) -> int:
        number = self.number()
        if not -(2**31) <= number < 2**31:
            raise Refused("integer_out_of_range")
        return number

    def sized(self, bound: int | None, reason: str) -> bytes:
        size = self.number()
        if size < 0:
            raise Refused("undecodable")
        if bound is not None and size > bound:
            raise Refused(reason)
        return self.take(size)

    def read_bytes(self, schema: Schema) -> bytes:
        return self.sized(None, "")

    def text(self, bound: int | None, reason: str) -> str:
        try:
            text = self.sized(bound, reason).decode()
        except UnicodeDecodeError:
            raise Refused("undecodable") from None
        if bound is not None and "\0" in text:
            raise Refused("undecodable")
        return text

    def read_string(self, schema: Schema) -> str:
        return self.text(schema.get("maxBytes"), "field_too_long")

    def read_fixed(self, schema: Schema) -> bytes:
        return self.take(schema["size"])

    def read_enum(self, schema: Schema) -> str:
        index = self.number()
        if not 0 <= index < len(schema["symbols"]):
            raise Refused("undecodable")
        symbol: str = schema["symbols"][index]
        return symbol

    def read_record(self, schema: Schema) -> dict[str, Any]:
        return {field["name"]: self.read(field["type"]) for field in schema["fields"]}

    def read_array(self, schema: Schema) -> list[Any]:
        items: list[Any] = []
        self.blocks(lambda: items.append(self.read(schema["items"])))
        return items

    def read_map(self, schema: Schema) -> dict[str, str]:
        pairs: list[tuple[str, str]] = []

        def entry() -> None:
            if len(pairs) == schema["maxEntries"]:
                raise Refused("metadata_too_large")
            key = self.text(schema["maxKeyBytes"], "metadata_too_large")
            pairs.append((key, self.text(schema["values"]["maxBytes"], "metadata_too_large")))

        self.blocks(entry)
        if len(dict(pairs)) != len(pairs):
            raise Refused("undecodable")
        return dict(pairs)

    def blocks(self, entry: Any) -> None:
        while count := self.number():
            stop = None
            if count < 0:
                count, size = -count, self.number()
                if size < 0:
                    raise Refused("undecodable")
                stop = self.at + size
            if count > len(self.data) - self.at:
                raise Refused("truncated")
            for _ in range(count):
                entry()
            if stop is not None and self.at != stop:
                raise Refused("undecodable")
