"""Avro's integers: zigzag, then groups of 7 bits, the lowest first (Avro 1.12 specification, "Binary Encoding")."""

from __future__ import annotations

from schemas.errors import BadRecord

LAST = [bytes((z,)) if z < 128 else bytes((z & 127 | 128, z >> 7)) for z in range(1 << 14)]
"""The shortest encoding of a zigzag value below 2^14."""
MORE = [bytes((z & 127 | 128, z >> 7 | 128)) for z in range(1 << 14)]
"""14 bits that others follow."""

MEMO_LIMIT = 4096


class _Large(dict[int, bytes]):
    """Encodings of zigzag values from 2^28, kept while they repeat (times do, for a whole batch)."""

    def __missing__(self, z: int) -> bytes:
        if len(self) >= MEMO_LIMIT:
            self.clear()
        self[z] = encoded = _groups(z)
        return encoded


LARGE = _Large()


def _groups(z: int) -> bytes:
    if z >> 64:
        raise OverflowError("an integer is outside 64 bits")
    groups = []
    while z >= 1 << 14:
        groups.append(MORE[z & 16383])
        z >>= 14
    groups.append(LAST[z])
    return b"".join(groups)


def encode_long(number: int) -> bytes:
    """The shortest encoding. Raises OverflowError outside signed 64 bits."""
    z = number + number if number >= 0 else ~(number + number)
    return LAST[z] if z < 1 << 14 else _groups(z)


def follow(data: bytes, at: int, first: int) -> tuple[int, int]:
    """The zigzag value whose first byte (>= 128) stands before ``at``, and the offset behind it.

    Raises BadRecord(integer_out_of_range) for more than ten bytes or more than 64 bits, IndexError at the end of data.
    """
    byte = data[at]
    if byte < 128:
        return first & 127 | byte << 7, at + 1
    z = first & 127 | (byte & 127) << 7
    byte = data[at + 1]
    if byte < 128:
        return z | byte << 14, at + 2
    z |= (byte & 127) << 14
    at += 2
    shift = 21
    while (byte := data[at]) > 127:
        z |= (byte & 127) << shift
        at += 1
        shift += 7
        if shift == 70:
            raise BadRecord("integer_out_of_range", "an integer is longer than ten bytes")
    z |= byte << shift
    if z >> 64:
        raise BadRecord("integer_out_of_range", "an integer is outside 64 bits")
    return z, at + 1
