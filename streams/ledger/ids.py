"""Transfer ids: a UUIDv8 (RFC 9562, section 5.8) of the deciding account and the idempotency key."""

from __future__ import annotations

from hashlib import sha256


def transfer_id(account: str, idempotency_key: str) -> bytes:
    """The 16 bytes of the transfer id: SHA-256 over the length-prefixed account and key, version and variant set.

    The length prefix (4 bytes, big endian, of the UTF-8 account) keeps ("a", "bc") and ("ab", "c") apart, so no
    other payer can collide with it.
    """
    name = account.encode()
    id = bytearray(sha256(len(name).to_bytes(4, "big") + name + idempotency_key.encode()).digest()[:16])
    id[6] = id[6] & 0x0F | 0x80
    id[8] = id[8] & 0x3F | 0x80
    return bytes(id)
