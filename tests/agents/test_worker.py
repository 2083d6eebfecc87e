"""Real worker processes on real Kafka: killed under load, asked by web, stopped, halted, refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Message, Producer

from streams.ledger.intents import Hold, Intent, Resolve, Transfer
from streams.ledger.vocabulary import Input, Outcome, Resolution
from streams.topics import LEGS
from tests.agents.cluster import Cluster

pytestmark = [pytest.mark.stack, pytest.mark.slow]

NewCluster = Callable[..., Cluster]


def test_a_worker_killed_again_and_again_under_load_loses_and_repeats_nothing(new_cluster: NewCluster) -> None:
    """kill -9 at arbitrary moments: every intent one final outcome, every leg applied once, the books balanced."""
    cluster = new_cluster()
    accounts = [f"account-{n}" for n in range(20)]
    cluster.open(*accounts, minimum=None)
    transfers: list[Intent] = [
        Transfer(accounts[n % 20], f"t{n}", accounts[(n * 7 + 1) % 20], 1 + n % 9, "EUR") for n in range(3000)
    ]
    transfers = [t for t in transfers if isinstance(t, Transfer) and t.account != t.payee]
    for part in (transfers[number::4] for number in range(4)):
        seen = len(cluster.journal())
        load = threading.Thread(target=cluster.send_concurrently, args=([part[n::4] for n in range(4)],))
        load.start()
        cluster.wait_until(lambda seen=seen: len(cluster.journal()) > seen)  # type: ignore[misc]
        cluster.kill()
        cluster.start()
        load.join()
    cluster.run()
    inputs = Counter((r.input, r.step) for r in cluster.journal())
    assert max(inputs.values()) == 1, "an input was decided twice"
    posted = sum(r.amount or 0 for r in cluster.journal() if r.outcome is Outcome.POSTED)
    assert posted == sum(t.amount for t in transfers if isinstance(t, Transfer))
    cluster.must_balance()


def test_an_account_is_answered_from_its_owners_table_whichever_worker_is_asked(new_cluster: NewCluster) -> None:
    """Each worker has some partitions; a request for another's account is passed on to its owner."""
    cluster = new_cluster(workers=2)
    names = [f"account-{n}" for n in range(12)]
    cluster.open(*names)
    cluster.fund(names[0], 25)
    owners = {slot: cluster.view("/health", slot)[1]["partitions"] for slot in (0, 1)}
    assert sorted(owners[0] + owners[1]) == [0, 1, 2, 3]
    assert owners[0]
    assert owners[1]
    for slot in (0, 1):
        answers = [cluster.view(f"/accounts/{name}", slot) for name in names]
        assert [status for status, _ in answers] == [200] * len(names)
        assert [answer["account"] for _, answer in answers] == names
        assert answers[0][1]["balance"] == answers[0][1]["credits_posted"] == 25
        assert answers[0][1]["partition"] == cluster.at(names[0])
        assert cluster.view("/accounts/nobody", slot) == (404, {"error": "account_not_found", "account": "nobody"})


def test_views_listen_on_loopback_alone_and_tables_are_not_served(new_cluster: NewCluster) -> None:
    """State is served to this machine, and only by the views that say so."""
    cluster = new_cluster()
    process = psutil.Process(cluster.workers[0].pid)
    listening = [c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    for path in ("/table", "/table/", "/router", "/router/", "/graph", "/stats"):
        assert cluster.status(path) == 404


def test_a_hold_expires_in_a_partition_where_nobody_asks_for_anything(new_cluster: NewCluster) -> None:
    """The owner's Tick moves the partition's time when a deadline is due; it does not chatter while none is."""
    cluster = new_cluster(partitions=2)
    cluster.open("guest")
    cluster.fund("guest", 10)
    cluster.send(Hold("guest", "room", 10, "EUR", expires_in_seconds=1))
    cluster.run()
    cluster.wait_until(lambda: cluster.count()[Outcome.EXPIRED, None] == 1)
    ticks = Counter(r.input.partition for r in cluster.journal() if r.outcome is Outcome.TICKED)
    quiet = 1 - cluster.at("guest")
    assert ticks[quiet] == 1, "one on assignment, and no deadline since"
    assert cluster.pending("guest") == 0


def test_an_undecodable_leg_on_kafka_halts_its_queue_alone_until_an_operator_resolves_it(
    new_cluster: NewCluster,
) -> None:
    """Intents of its partition and all other partitions go on; health says what is halted; a resolve mends it."""
    cluster = new_cluster(partitions=2)
    payee = cluster.elsewhere("alice")
    cluster.open("alice", payee)
    cluster.fund("alice", 100)
    offset = spoil(cluster, cluster.at(payee))
    cluster.wait_until(lambda: cluster.view("/health")[0] == 503)
    stuck = cluster.transfer("alice", payee, 30)
    cluster.wait_until(lambda: cluster.told(stuck) == [(Outcome.PENDING, None)])
    refused = cluster.transfer(payee, "alice", 1)
    cluster.wait_until(lambda: cluster.told(refused) == [(Outcome.REJECTED, "insufficient_funds")])
    _, health = cluster.view("/health")
    assert list(health["halted_queues"]) == [f"{cluster.settings.topic(LEGS.name)}/{cluster.at(payee)}"]
    no_more = Resolve("resolution", cluster.at(payee), offset, 0, Resolution.REFUSE)
    cluster.produce(None, cluster.encode(no_more), cluster.at(payee))
    cluster.run()
    assert cluster.final(stuck) == (Outcome.POSTED, None)
    assert cluster.view("/health")[0] == 200
    cluster.must_balance()


def spoil(cluster: Cluster, partition: int) -> int:
    """Put a record of legs that nobody can decode on a partition; returns its offset."""
    offsets: list[int] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None, error
        offsets.append(message.offset() or 0)

    producer = Producer({"bootstrap.servers": cluster.settings.bootstrap_servers})
    producer.produce(cluster.settings.topic(LEGS.name), b"\0\0\0", partition=partition, on_delivery=delivered)
    assert producer.flush(30) == 0
    return offsets[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_worker_stops_cleanly_on_a_signal(new_cluster: NewCluster, number: signal.Signals, code: int) -> None:
    """It finishes its batch, leaves the group, takes its presence back and says how it was stopped."""
    cluster = new_cluster()
    cluster.open("alice")
    process = cluster.workers.pop(0)
    process.send_signal(number)
    assert process.wait(60) == code
    assert not (cluster.settings.data_dir / "workers" / "0.json").exists()
    cluster.start()
    cluster.fund("alice", 5)
    assert cluster.balance("alice") == 5


def test_a_crew_of_workers_starts_again_what_dies_and_stops_with_it(new_cluster: NewCluster) -> None:
    """``--processes``: each in its own slot; nothing is left running when it ends."""
    cluster = new_cluster(workers=0)
    crew = subprocess.Popen(
        [sys.executable, "-m", "twofold", "worker", "--processes", "2"],
        env={**os.environ, **cluster.settings.to_env()},
        stderr=subprocess.DEVNULL,
    )
    try:
        cluster.wait_until(lambda: len(present(cluster.settings.data_dir)) == 2)
        first = present(cluster.settings.data_dir)
        psutil.Process(first[1]).kill()
        cluster.wait_until(lambda: present(cluster.settings.data_dir).get(1, first[1]) != first[1])
        cluster.open("alice")
        cluster.fund("alice", 7)
        assert cluster.balance("alice") == 7
    finally:
        crew.terminate()
        assert crew.wait(60) == 0
    assert present(cluster.settings.data_dir) == {}


def present(data: Path) -> dict[int, int]:
    """Which slots say that they are there, and their processes."""
    return {int(path.stem): json.loads(path.read_text())["pid"] for path in (data / "workers").glob("*.json")}


def test_a_worker_whose_topics_do_not_fit_does_not_start(new_cluster: NewCluster) -> None:
    """It says which, why and what to do, with exit code 1."""
    cluster = new_cluster(workers=0)
    env = {**os.environ, **cluster.settings.to_env(), "TWOFOLD_PARTITIONS": "5"}
    answer = subprocess.run([sys.executable, "-m", "twofold", "worker"], env=env, capture_output=True, text=True)
    assert answer.returncode == 1
    assert "TWOFOLD_PARTITIONS=4" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_faust_command_lists_the_agent_with_no_broker_at_all() -> None:
    """Looking at the app connects to nothing."""
    env = {**os.environ, "TWOFOLD_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TWOFOLD_REGISTRY_URL": "http://127.0.0.1:1"}
    faust = Path(sys.executable).with_name("faust")
    answer = subprocess.run([faust, "-A", "streams.app", "agents"], env=env, capture_output=True, text=True, check=True)
    assert "@payments" in answer.stdout
    assert "payment-intents" in answer.stdout


def test_the_faust_command_runs_a_worker(new_cluster: NewCluster) -> None:
    """``faust -A streams.app worker`` is the same worker."""
    cluster = new_cluster(workers=0)
    faust = Path(sys.executable).with_name("faust")
    log = cluster.settings.data_dir / "faust.log"
    log.parent.mkdir(parents=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [faust, "-A", "streams.app", "worker", "-l", "info"],
            env={**os.environ, **cluster.settings.to_env()},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        cluster.open("alice")
        cluster.fund("alice", 3)
        assert cluster.view("/accounts/alice")[1]["balance"] == 3
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()[-2000:]
    assert present(cluster.settings.data_dir) == {}


def test_each_input_has_one_place_in_the_journal_after_a_rebalance_under_load(new_cluster: NewCluster) -> None:
    """A second worker joins and the first one dies while money moves."""
    cluster = new_cluster()
    accounts = [f"account-{n}" for n in range(8)]
    cluster.open(*accounts, minimum=None)
    transfers: list[Intent] = [Transfer(accounts[n % 8], f"t{n}", accounts[(n + 3) % 8], 1, "EUR") for n in range(2000)]
    load = threading.Thread(target=cluster.send_concurrently, args=([transfers[:1000], transfers[1000:]],))
    load.start()
    cluster.start(1)
    cluster.kill(0)
    load.join()
    cluster.run()
    legs = Counter(r.input for r in cluster.journal() if r.input.topic is Input.LEGS)
    assert max(legs.values()) == 1
    assert cluster.count()[Outcome.POSTED, None] == 2000
    cluster.must_balance()
