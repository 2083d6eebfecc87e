"""The services alone: started, refused with a clear message, killed, paused, and stopped with nothing left behind."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from infra import ports
from infra.errors import AlreadyRunning, BusyPort, NoSpace, NotReady, StackError
from infra.stack import Services
from tests.conftest import AnyServices
from tests.infra.processes import eventually, running_on

pytestmark = pytest.mark.stack


@pytest.fixture
def postgres_alone(data: Path) -> Iterator[Services]:
    """The quickest stack there is."""
    with Services(data, only={"postgres"}) as services:
        yield services


def test_a_stack_listens_on_loopback_alone_and_leaves_no_process_and_no_busy_port(data: Path) -> None:
    """Given all three services, then no other machine reaches them; when they end, no process or busy port is left."""
    with Services(data, short_lived=True) as services:
        pids = [pid for name in services.names if (pid := services.pid(name))]
        assert len(set(pids)) == 3
        assert set(pids) <= set(running_on(data))
        listening = [
            connection.laddr.ip
            for pid in pids
            for connection in psutil.Process(pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert len(listening) == 5
        assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}
    assert running_on(data) == []
    kept = json.loads((data / "ports.json").read_text())
    assert [name for name, port in kept.items() if not ports.is_free(port)] == []


def test_kill_9_of_every_service_loses_no_data(services: AnyServices, unique: str) -> None:
    """Given a row, a record and a schema that were acknowledged, when all are killed and started, all are there."""
    with psycopg.connect(services.postgres_dsn) as connection:
        connection.execute(f"CREATE TABLE {unique} AS SELECT 42 AS kept")
    admin = AdminClient({"bootstrap.servers": services.bootstrap_servers})
    admin.create_topics([NewTopic(unique, 1)])[unique].result()
    producer = Producer({"bootstrap.servers": services.bootstrap_servers, "acks": "all"})
    producer.produce(unique, b"kept")
    assert producer.flush(30) == 0
    schema_id = _register(services.registry_url, unique)

    for name in services.names:
        services.kill(name)
    for name in services.names:
        services.start(name)

    with psycopg.connect(services.postgres_dsn) as connection:
        assert connection.execute(f"SELECT kept FROM {unique}").fetchone() == (42,)
    consumer = Consumer({"bootstrap.servers": services.bootstrap_servers, "group.id": unique})
    consumer.assign([TopicPartition(unique, 0, 0)])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.value() == b"kept"
    assert _register(services.registry_url, unique) == schema_id


def _register(url: str, subject: str) -> int:
    body = json.dumps({"schema": json.dumps({"type": "record", "name": subject, "fields": []})}).encode()
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    request = urllib.request.Request(f"{url}/subjects/{subject}/versions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(json.load(answer)["id"])


def test_a_paused_service_answers_nothing_and_goes_on_when_resumed(postgres_alone: Services) -> None:
    """Given SIGSTOP, then a connection gets no answer; given SIGCONT, the same server (same pid) answers again."""
    pid = postgres_alone.pid("postgres")
    postgres_alone.pause("postgres")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_alone.postgres_dsn, connect_timeout=2)
    postgres_alone.resume("postgres")
    with psycopg.connect(postgres_alone.postgres_dsn, connect_timeout=30) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert postgres_alone.pid("postgres") == pid


def test_a_busy_port_is_named_with_its_owner_and_the_way_out(data: Path) -> None:
    """Given another process on the port, then the message names port and pid, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            BusyPort, match=rf"port {port} \(postgres\).* is busy: .*pid {psutil.Process().pid}.*--port"
        ):
            Services(data, only={"postgres"}, given_ports={"postgres": port}).up()
    assert running_on(data) == []


def test_a_restart_keeps_the_ports(data: Path) -> None:
    """Given a stack that was stopped, when it is started again, then clients find it where it was."""
    with Services(data, only={"postgres"}) as services:
        before = services.postgres_dsn
    with Services(data, only={"postgres"}) as services:
        assert services.postgres_dsn == before


def test_a_second_stack_on_the_same_data_is_refused(postgres_alone: Services) -> None:
    """Given a running stack, then another on its directory is refused with its pid, and the first is unharmed."""
    with pytest.raises(AlreadyRunning, match=rf"already runs in .*pid {psutil.Process().pid}.*twofold down"):
        Services(postgres_alone.data_dir, only={"postgres"}).up()
    with psycopg.connect(postgres_alone.postgres_dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_stale_lock_is_taken_over_with_a_note(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Given the lock of a process that is dead, then the stack starts and says whom it replaced."""
    data.mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    (data / "lock").write_text(str(dead.pid))
    with Services(data, only={"postgres"}):
        assert f"from process {dead.pid}, which ended without stopping" in caplog.text


def test_what_a_killed_stack_left_is_ended_but_never_a_stranger_with_its_pid(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Given two recorded pids, one alive since the recorded time and one reused, then only the first is ended."""
    (data / "run").mkdir(parents=True)
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(sleeper) as left, subprocess.Popen(sleeper) as stranger:
        try:
            for name, process, lag in (("left", left, 0), ("stranger", stranger, -3600)):
                started = psutil.Process(process.pid).create_time() + lag
                (data / "run" / f"{name}.json").write_text(json.dumps({"pid": process.pid, "started": started}))
            with Services(data, only={"postgres"}):
                assert eventually(lambda: left.poll() is not None, "the left-over ends")
                assert stranger.poll() is None
            assert "ended left, left behind" in caplog.text
        finally:
            left.kill()
            stranger.kill()


def test_a_full_disk_is_said_before_anything_starts(data: Path) -> None:
    """Given less room than the stack needs, then it says how much there is and starts nothing."""
    with pytest.raises(NoSpace, match=r"only \d+ MiB are free under .*needs \d+ MiB"):
        Services(data, only={"postgres"}, least_free_bytes=1 << 62).up()
    assert running_on(data) == []


def test_a_service_that_cannot_start_shows_the_end_of_its_log(data: Path) -> None:
    """Given a broken configuration, then the message holds the server's own words, and nothing is left running."""
    with Services(data, only={"postgres"}):
        pass
    (data / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(NotReady, match=r"(?s)postgres ended while it started.*no_such_setting"):
        Services(data, only={"postgres"}).up()
    assert running_on(data) == []


def test_an_unknown_service_is_refused_with_the_choices(data: Path) -> None:
    """Given a name that is no service, then the message lists those that are."""
    with pytest.raises(StackError, match=r"unknown service zookeeper: choose from kafka, registry, postgres"):
        Services(data, only={"zookeeper"})
