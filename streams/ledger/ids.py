"""Transfer ids: a UUIDv8 (RFC 9562, section 5.8) of the deciding account and the idempotency key."""

from __future__ import annotations

from hashlib import sha256


def transfer_id(account: str, idempotency_key: str) -> bytes:
    """The 16 bytes of the transfer id: SHA-256 over the length-prefixed account and key, version and variant set.

    The length prefix (4 bytes, big endian, of the UTF-8 account) keeps ("a", "bc") and ("ab", "c") apart, so no
    other payer can collide with it.
    """
    name = account.encode()
    digest = sha256(len(name).to_bytes(4, "big") + name + idempotency_key.encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | (0x8 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return number.to_bytes(16, "big")
