"""The tables of a partition: what each is keyed by, how its rows are written, and which changelog carries it.

Tags are part of the stored format: one is never given to another table.
"""

from __future__ import annotations

from typing import Any

from streams.agents.codec import LedgerCodec
from streams.engine.table import TableSpec
from streams.ledger.rows import SettledRow, TransferRow
from streams.settings import Settings
from streams.topics import ACCOUNTS_CHANGELOG, TRANSFERS_CHANGELOG

ParkedKey = tuple[str, int]
ResolutionKey = tuple[int, int]


def table_specs(settings: Settings, codec: LedgerCodec) -> tuple[TableSpec[Any, Any], ...]:
    """Every table of the payments agent. Rows that expire say so; the engine may remove them from then on."""
    own = settings.topic(ACCOUNTS_CHANGELOG.name)
    final = settings.topic(TRANSFERS_CHANGELOG.name)
    c = codec
    return (
        TableSpec("partition", 1, own, bytes, bytes, c.encode_partition, c.decode_partition),
        TableSpec("accounts", 2, own, str.encode, bytes.decode, c.encode_account, c.decode_account),
        TableSpec("profiles", 3, own, str.encode, bytes.decode, _wire, c.decode_intent),
        TableSpec("velocity", 4, own, str.encode, bytes.decode, c.encode_velocity, c.decode_velocity),
        TableSpec("holds", 5, own, bytes, bytes, c.encode_hold, c.decode_hold),
        TableSpec("parked", 6, own, parked_key, split_parked_key, c.encode_parked, c.decode_parked),
        TableSpec("open_transfers", 7, own, bytes, bytes, c.encode_transfer, c.decode_transfer),
        TableSpec("final_transfers", 8, final, bytes, bytes, c.encode_transfer, c.decode_transfer, transfer_expires),
        TableSpec("settled", 9, final, bytes, bytes, c.encode_settled, c.decode_settled, settled_expires),
        TableSpec("resolutions", 10, own, resolution_key, split_resolution_key, _wire, c.decode_intent),
        TableSpec("legs_in", 11, own, _partition_key, _number, _count, _number),
        TableSpec("legs_out", 12, own, _partition_key, _number, _count, _number),
    )


def transfer_expires(row: TransferRow) -> int:
    """When a final transfer's key ends, in microseconds of partition time."""
    return row.expires


def settled_expires(row: SettledRow) -> int:
    """When the last occurrence of a settled transfer can no longer be reversed, in microseconds of partition time."""
    return max(occurrence.expires for occurrence in row)


def parked_key(key: ParkedKey) -> bytes:
    """(account, sequence): the account's bytes, 0x00, the sequence in 8 bytes."""
    account, sequence = key
    return account.encode() + b"\0" + sequence.to_bytes(8, "big")


def split_parked_key(key: bytes) -> ParkedKey:
    """The reverse of :func:`parked_key`."""
    return key[:-9].decode(), int.from_bytes(key[-8:], "big")


def resolution_key(key: ResolutionKey) -> bytes:
    """(offset, leg) of the leg that an operator resolved, in 8 and 4 bytes."""
    offset, leg = key
    return offset.to_bytes(8, "big") + leg.to_bytes(4, "big")


def split_resolution_key(key: bytes) -> ResolutionKey:
    """The reverse of :func:`resolution_key`."""
    return int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big")


def _partition_key(partition: int) -> bytes:
    return partition.to_bytes(4, "big")


def _count(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def _wire(intent: Any) -> bytes:
    wire: bytes = intent.wire
    return wire
