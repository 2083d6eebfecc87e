"""One batch, one transaction, on a real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from streams.engine.cluster import Cluster
from streams.engine.config import EngineConfig
from streams.engine.errors import Fenced, Halted
from streams.engine.guard import DeadlineGuard
from streams.engine.membership import Membership
from streams.engine.ports import no_probe
from streams.engine.record import Output, Queue
from streams.engine.source import Assigned, KafkaSource
from streams.engine.transaction import KafkaOutbox
from tests.engine.lab import Lab, wait_until

pytestmark = pytest.mark.stack


class Member:
    """A joined consumer and a transactional producer."""

    def __init__(self, lab: Lab, slot: int = 0) -> None:
        self.lab = lab
        config = EngineConfig(lab.bootstrap, slot=slot, session_timeout_ms=3_000)
        self.source = KafkaSource(config, lab.toy.topology, lab.partitions)
        self.guard = DeadlineGuard(60)
        self.membership: Membership | None = None
        self.outbox = KafkaOutbox(config, lab.toy.topology, lambda: self.membership, self.guard, no_probe)
        self.outbox.start()
        self.source.subscribe()
        self.rejoin()

    def rejoin(self) -> None:
        """Until the next assignment."""

        def assigned() -> bool:
            self.source.poll()
            return any(isinstance(event, Assigned) for event in self.source.take_events())

        wait_until(assigned, "the assignment")
        self.membership = self.source.membership

    def commit(self, *values: bytes, offset: int = 1) -> dict[Queue, int]:
        topology = self.lab.toy.topology
        outputs = [Output(topology.journal, 0, value, None) for value in values]
        changes = {0: [(topology.changelogs[0], b"\x01k", b"1"), (topology.changelogs[0], b"\x01l", b"2")]}
        return dict(self.outbox.commit(outputs, changes, {Queue(topology.intents, 0): offset}))

    def journal(self) -> list[bytes]:
        return [value for _, _, value in self.lab.read(self.lab.toy.topology.journal, 0)]

    def close(self) -> None:
        self.outbox.close()
        self.source.close()
        self.guard.stop()


@pytest.fixture
def new_member(lab: Lab) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def make(slot: int = 0) -> Member:
        members.append(Member(lab, slot))
        return members[-1]

    yield make
    for member in members:
        member.close()


def test_a_commit_tells_where_the_changelogs_end(lab: Lab, new_member: Callable[..., Member]) -> None:
    """One callback per changelog and batch: the store's next position is after the last record (not its marker)."""
    member = new_member()
    changelog = Queue(lab.toy.topology.changelogs[0], 0)
    assert member.commit(b"one") == {changelog: 2}
    assert member.commit(b"two", offset=2) == {changelog: 5}
    assert member.journal() == [b"one", b"two"]
    assert lab.committed_offsets() == {(lab.toy.topology.intents, 0): 2}


def test_a_commit_of_an_older_generation_is_fenced(lab: Lab, new_member: Callable[..., Member]) -> None:
    """The group has moved on: nothing is written, and the worker must end."""
    member = new_member()
    stale = member.membership
    assert stale is not None
    other = KafkaSource(EngineConfig(lab.bootstrap, session_timeout_ms=3_000), lab.toy.topology, lab.partitions)
    other.subscribe()

    def moved_on() -> bool:
        other.poll()
        member.source.poll()
        return any(isinstance(event, Assigned) for event in other.take_events())

    wait_until(moved_on, "the rebalance")
    member.membership = stale
    with pytest.raises(Fenced, match="taken over"):
        member.commit(b"stale")
    other.close()
    assert member.journal() == []
    assert lab.committed_offsets() == {}


def test_a_commit_by_no_member_is_refused(new_member: Callable[..., Member]) -> None:
    """After revoked or lost there is no membership, and nothing may be committed without."""
    member = new_member()
    member.membership = None
    with pytest.raises(Fenced, match="not a member"):
        member.commit(b"one")
    assert member.journal() == []


def test_a_commit_without_offsets_is_refused(lab: Lab, new_member: Callable[..., Member]) -> None:
    """A transaction that sends no offsets is not fenced by the group: the broker would accept it from anyone."""
    member = new_member()
    with pytest.raises(ValueError, match="not be fenced"):
        member.outbox.commit([Output(lab.toy.topology.journal, 0, b"one", None)], {}, {})
    assert member.journal() == []


def test_a_second_worker_of_the_slot_fences_the_first(lab: Lab, new_member: Callable[..., Member]) -> None:
    """The transactional id is fixed per slot."""
    first = new_member()
    first.commit(b"one")
    config = EngineConfig(lab.bootstrap)
    second = KafkaOutbox(config, lab.toy.topology, lambda: None, first.guard, no_probe)
    second.start()
    with pytest.raises(Fenced):
        first.commit(b"two")
    assert first.journal() == [b"one"]


def test_a_record_that_kafka_cannot_take_leaves_the_producer_clean(new_member: Callable[..., Member]) -> None:
    """It is the handler's bug, to be isolated; the next batch commits as usual."""
    member = new_member()
    with pytest.raises(ValueError, match="larger than Kafka takes"):
        member.commit(b"before", bytes(2_000_000))
    assert member.journal() == []
    member.commit(b"after")
    assert member.journal() == [b"after"]


def test_a_transaction_longer_than_the_broker_allows_halts(lab: Lab) -> None:
    """transaction.max.timeout.ms is part of the design: a worker that asks for more is told which setting is meant."""
    config = EngineConfig(lab.bootstrap, transaction_timeout_ms=16_000)
    guard = DeadlineGuard(60)
    outbox = KafkaOutbox(config, lab.toy.topology, lambda: None, guard, no_probe)
    with pytest.raises(Halted, match=r"transaction\.max\.timeout\.ms"):
        outbox.start()
    guard.stop()


def test_a_logs_end_includes_what_is_still_open(lab: Lab) -> None:
    """The stable offset hides an open transaction: a restore that stopped there would miss what it may yet commit."""
    times = {"transaction.timeout.ms": 10_000, "linger.ms": 0}
    producer = Producer({"bootstrap.servers": lab.bootstrap, "transactional.id": lab.prefix, **times})
    producer.init_transactions(30)
    producer.begin_transaction()
    changelog = lab.toy.topology.changelogs[0]
    for _ in range(3):
        producer.produce(changelog, b"v", b"k", 0)
    producer.flush(30)
    assert Cluster(EngineConfig(lab.bootstrap)).ends([Queue(changelog, 0)]) == {Queue(changelog, 0): 3}
    assert lab.read(changelog, 0) == []
    producer.abort_transaction(30)
