"""Several workers, real rebalances."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from infra.stack import Services
from tests.engine.lab import Lab, wait_until

pytestmark = pytest.mark.stack

FENCED = 4


def test_rebalances_under_load_lose_and_repeat_nothing(new_lab: Callable[..., Lab]) -> None:
    """Workers join, leave cleanly, and are killed, while intents keep coming."""
    lab = new_lab(partitions=4)
    first = lab.start(slot=0, batch_records=10).wait_ready()
    lab.send(200)
    second = lab.start(slot=1, batch_records=10)
    lab.send(200)
    wait_until(
        lambda: "assigned partitions [2, 3]" in second.log or "assigned partitions [0, 1]" in second.log, "shares"
    )
    lab.send(200)
    assert first.stop() == 0
    lab.send(200)
    third = lab.start(slot=0, batch_records=10)
    wait_until(lambda: "assigned partitions" in third.log, "the third worker's share")
    lab.send(200)
    second.kill()
    lab.send(100)
    lab.wait_settled()
    lab.check()


def test_a_killed_broker_loses_and_repeats_nothing(lab: Lab, services: Services) -> None:
    """kill -9 of Kafka under load. Workers wait or end with 4 and are started again; rebalances work afterwards."""
    first = lab.start(slot=0, batch_records=10).wait_ready()
    lab.send(100)
    wait_until(lambda: len(lab.journal()) >= 20, "the first batches", every=0.3)
    services.kill("kafka")
    services.start("kafka")
    lab.send(50)

    def settled() -> bool:
        nonlocal first
        if first.process.poll() is not None:
            assert first.process.returncode == FENCED
            first = lab.start(slot=0, batch_records=10)
        return len(lab.journal()) >= 2 * lab.sent

    wait_until(settled, "everything", every=0.5)
    # A rebalance: the old worker has to ask where its logs end, with a client that knew the broker before.
    second = lab.start(slot=1, batch_records=10).wait_ready()
    lab.send(50)
    wait_until(settled, "everything", every=0.5)
    lab.check()
    assert second.process.poll() is None


def test_a_group_reaches_its_positions_when_a_worker_sleeps_past_its_session(lab: Lab) -> None:
    """A worker that stood still between batches has lost its partitions: what it had consumed is dropped."""
    first = lab.start(slot=0, batch_records=10, session_timeout_ms=2_000).wait_ready()
    lab.send(40)
    lab.wait_settled()
    first.send(signal.SIGSTOP)
    second = lab.start(slot=1, session_timeout_ms=2_000).wait_ready()
    lab.send(100)
    lab.wait_settled()
    first.send(signal.SIGCONT)
    lab.send(100)
    lab.wait_settled()
    lab.check()
    assert second.process.poll() is None
