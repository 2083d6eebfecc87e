"""Confluent's wire format: a zero byte, the schema's id in four bytes (big endian), then the Avro record."""

from __future__ import annotations

from schemas.errors import BadRecord

HEADER_BYTES = 5
MAX_ID = 2**31 - 1
"""Registries number schemas with signed 32-bit integers, from 1: a larger id, or 0, was never given out."""


def header(schema_id: int) -> bytes:
    """The five bytes before a record of this schema."""
    return b"\x00" + schema_id.to_bytes(4, "big")


def schema_id(value: bytes) -> int:
    """The id in a framed value. Raises BadRecord(bad_magic, truncated or unknown_schema)."""
    if value[:1] not in (b"\x00", b""):
        raise BadRecord("bad_magic", f"the first byte is {value[0]}, not 0")
    if len(value) < HEADER_BYTES:
        raise BadRecord("truncated", f"{len(value)} bytes hold no schema id")
    number = int.from_bytes(value[1:HEADER_BYTES], "big")
    if not 0 < number <= MAX_ID:
        raise BadRecord("unknown_schema", f"{number} is no id of a schema")
    return number
