"""The worker's membership in its group, as the broker checks it when offsets are committed in a transaction.

With an empty member id or a generation below 0 the broker accepts a commit from anyone, so such metadata is refused
here. It is captured when partitions are assigned: asked for later, it may describe another generation than the one in
which the records were read.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from streams.engine.errors import Fenced

MAGIC = b"CGMDv2:"
"""librdkafka's serialized group metadata: magic, generation (int32 of this machine), group, NUL, member id, NUL, ..."""


class Membership(NamedTuple):
    """Group metadata, and what it says."""

    metadata: bytes
    generation: int
    member_id: str

    @classmethod
    def of(cls, metadata: object) -> Membership:
        """Read ``Consumer.consumer_group_metadata()``. Raises :class:`Fenced` for what would not be fenced."""
        raw = bytes(metadata) if isinstance(metadata, bytes) else b""
        if not raw.startswith(MAGIC):
            raise Fenced(f"group metadata of an unknown form ({raw[:8]!r}): this librdkafka cannot be fenced safely")
        rest = raw[len(MAGIC) :]
        generation = int.from_bytes(rest[:4], sys.byteorder, signed=True)
        member_id = rest[4:].split(b"\0")[1].decode()
        if generation < 0 or not member_id:
            raise Fenced(f"not a member of the group (generation {generation}, member id {member_id!r})")
        return cls(raw, generation, member_id)
