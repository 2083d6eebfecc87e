"""The engine inside a real Faust worker: the extension points that it stands on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.engine.lab import PATIENCE, ROOT, Lab, wait_until

pytestmark = pytest.mark.stack


@pytest.fixture
def start_faust(lab: Lab) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts `faust worker` on the lab's topics."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        spec = {
            "bootstrap": lab.bootstrap,
            "prefix": lab.prefix,
            "partitions": lab.partitions,
            "group": lab.toy.topology.group,
            "store_dir": str(lab.folder / "faust"),
            "ready": str(lab.folder / "ready"),
        }
        argv = [sys.executable, "-m", "faust", "-A", "tests.engine.toy_faust", "worker", "-l", "info", "--without-web"]
        with (lab.folder / "faust.log").open("ab") as log:
            worker = subprocess.Popen(
                argv, cwd=ROOT, env={**os.environ, "TOY": json.dumps(spec)}, stdout=log, stderr=log
            )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        if worker.poll() is None:
            worker.kill()
            worker.wait()
    print((lab.folder / "faust.log").read_text()[-4000:])


def test_a_faust_agent_gets_whole_batches_and_stops_cleanly(
    lab: Lab, start_faust: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """Kafka switched off in Faust, batches over a channel, SIGTERM ends the batch in hand: exit code 0."""
    lab.send(100)
    worker = start_faust()
    lab.wait_settled()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0
    lab.check()


def test_a_poison_record_does_not_restart_the_agent(
    lab: Lab, start_faust: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """Faust's default is to restart an agent that raised and to acknowledge the event: here its queue halts."""
    lab.send(10, partition=0)
    lab.send(1, b"poison", partition=0)
    lab.send(10, partition=1)
    worker = start_faust()
    lab.wait_settled(40)
    assert lab.committed_offsets()[(lab.toy.topology.intents, 0)] == 10
    assert worker.poll() is None


def test_a_worker_whose_handler_cannot_go_on_exits_3(
    lab: Lab, start_faust: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """A halt of the whole worker ends the Faust process too, and nothing of the batch was written."""
    lab.send(1, b"halt the worker")
    assert start_faust().wait(PATIENCE) == 3
    assert "upgrade this worker" in (lab.folder / "faust.log").read_text()
    assert lab.journal() == []


def test_an_agent_that_dies_ends_the_worker_with_nothing_written(
    lab: Lab, start_faust: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """An agent that ended would leave its batch unanswered for ever: the app crashes and nothing was written."""
    lab.send(1, b"agent dies")
    worker = start_faust()
    assert worker.wait(PATIENCE) not in (0, 3)
    assert lab.journal() == []
    wait_until(lambda: not lab.committed_offsets(), "no offset")
