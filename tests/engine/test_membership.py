"""Group metadata that the broker would not check must not be used: measured, it accepts a stale commit then."""

from __future__ import annotations

import sys

import pytest
from confluent_kafka import Consumer

from streams.engine.errors import Fenced
from streams.engine.membership import Membership


def metadata(generation: int, member: str) -> bytes:
    return b"CGMDv2:" + generation.to_bytes(4, sys.byteorder, signed=True) + b"group\0" + member.encode() + b"\0\x01"


def test_a_member_in_a_generation_is_accepted() -> None:
    """What an assignment gives."""
    found = Membership.of(metadata(7, "worker-1"))
    assert (found.generation, found.member_id) == (7, "worker-1")


@pytest.mark.parametrize(("generation", "member"), [(-1, "worker-1"), (3, ""), (-1, "")])
def test_metadata_that_would_not_be_fenced_is_refused(generation: int, member: str) -> None:
    """An empty member id or a generation below 0: the broker takes the commit from anyone."""
    with pytest.raises(Fenced, match="not a member"):
        Membership.of(metadata(generation, member))


def test_metadata_of_an_unknown_form_is_refused() -> None:
    """A librdkafka that serializes otherwise cannot be checked."""
    with pytest.raises(Fenced, match="unknown form"):
        Membership.of(b"CGMDv9:....")


def test_a_consumer_that_never_joined_is_refused() -> None:
    """The same from librdkafka itself: this is what it hands out before an assignment."""
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "x", "log_level": 0})
    with pytest.raises(Fenced, match="not a member"):
        Membership.of(consumer.consumer_group_metadata())
    consumer.close()
