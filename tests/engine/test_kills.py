"""kill -9 and SIGSTOP of real workers on a real Kafka: nothing is lost, nothing happens twice."""

from __future__ import annotations

import signal
import time

import pytest

from tests.engine.lab import Lab, wait_until

pytestmark = pytest.mark.stack

KILLED = -signal.SIGKILL
FENCED = 4


@pytest.mark.parametrize("store", ["disk", "memory"])
@pytest.mark.parametrize(
    ("point", "moment"),
    [
        ("produced", "with records in an open transaction"),
        ("offsets_sent", "before the commit"),
        ("committed", "after the commit and before the store write"),
        ("store_written", "after the store write"),
    ],
)
def test_the_store_is_never_ahead_of_kafka(lab: Lab, point: str, moment: str, store: str) -> None:
    """kill -9 at any point of a batch: started again in its slot, the worker goes on as if nothing had happened."""
    lab.send(60)
    first = lab.start(point=point, nth=3, action="kill", batch_records=10, store=store)
    assert first.wait_exit() == KILLED, moment
    lab.send(20)
    lab.start(store=store).wait_ready()
    lab.wait_settled()
    lab.check()


def test_a_restore_that_was_killed_half_way_is_done_again(lab: Lab) -> None:
    """kill -9 in the middle of a restore: what was restored is kept or not, but never believed to be more."""
    lab.send(300)
    worker = lab.start(batch_records=20).wait_ready()
    lab.wait_settled()
    assert worker.stop() == 0
    # Another slot, so another folder: it has to restore everything, and dies at the first chunk of it.
    assert lab.start(slot=1, point="restoring", nth=1, action="kill").wait_exit() == KILLED
    lab.send(20)
    lab.start(slot=1).wait_ready()
    lab.wait_settled()
    lab.check()


def test_a_dead_workers_open_transaction_does_not_stall_the_others(lab: Lab) -> None:
    """The transaction of a worker that died hides the legs of others until it is aborted: within 15 s, not a minute."""
    # The second worker's own partition waits for legs behind the dead worker's open transaction.
    first = lab.start(slot=0, point="produced", nth=4, action="kill", batch_records=5).wait_ready()
    second = lab.start(slot=1, session_timeout_ms=6_000, transaction_timeout_ms=10_000, deadline_seconds=15.0)
    second.wait_ready()
    wait_until(lambda: send_and_is_dead(lab, first.process.poll), "the first worker to die")
    died = time.monotonic()
    lab.wait_settled()
    took = time.monotonic() - died
    lab.check()
    assert took < 15, f"{took:.1f} s"


def send_and_is_dead(lab: Lab, poll: object) -> bool:
    lab.send(4)
    return callable(poll) and poll() is not None


def test_a_commit_made_after_leaving_the_group_is_waited_for(lab: Lab) -> None:
    """Ending a transaction checks no generation: a worker stopped between sending its offsets and committing, past its
    session, still commits when it wakes. The one that took over must not have started from before that commit."""
    paused = lab.start(
        slot=0,
        point="offsets_sent",
        nth=2,
        action="stop",
        batch_records=20,
        transaction_timeout_ms=12_000,
        deadline_seconds=30.0,
        session_timeout_ms=2_000,
    ).wait_ready()
    lab.send(60)
    paused.wait_stopped()
    taker = lab.start(slot=1, session_timeout_ms=2_000)
    wait_until(lambda: "assigned partitions [0, 1]" in taker.log, "the second worker to take over")
    wait_until(lambda: "waits for stable offsets" in taker.log, "the second worker to wait for the open transaction")
    paused.send(signal.SIGCONT)
    lab.wait_settled()
    lab.check()
    lab.send(20)
    lab.wait_settled()
    lab.check()


def test_a_worker_that_wakes_after_its_transaction_was_aborted_ends_and_writes_nothing(lab: Lab) -> None:
    """Stopped past the transaction timeout as well: it is fenced, exits 4, and the batch is decided by the taker."""
    paused = lab.start(
        slot=0,
        point="offsets_sent",
        nth=2,
        action="stop",
        batch_records=20,
        transaction_timeout_ms=3_000,
        session_timeout_ms=2_000,
    ).wait_ready()
    lab.send(60)
    paused.wait_stopped()
    lab.start(slot=1, session_timeout_ms=2_000).wait_ready()
    lab.wait_settled()
    paused.send(signal.SIGCONT)
    assert paused.wait_exit() == FENCED
    lab.send(20)
    lab.wait_settled()
    lab.check()


def test_a_worker_in_the_same_slot_ends_what_its_predecessor_left_open(lab: Lab) -> None:
    """The transactional id is fixed per slot: a restart aborts the dead worker's transaction at once; a zombie of the
    same slot is fenced."""
    zombie = lab.start(
        point="offsets_sent",
        nth=2,
        action="stop",
        batch_records=20,
        store="memory",
        transaction_timeout_ms=15_000,
        deadline_seconds=60.0,
        session_timeout_ms=2_000,
    ).wait_ready()
    lab.send(60)
    zombie.wait_stopped()
    lab.start(store="memory", session_timeout_ms=2_000)
    lab.wait_settled()
    zombie.send(signal.SIGCONT)
    assert zombie.wait_exit() == FENCED
    lab.check()
