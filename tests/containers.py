"""The same three services as :class:`infra.stack.Services`, in containers, where a Docker engine answers.

The settings come from the classes of the local stack, so that both are the same product. No Docker engine was
at hand when this was written: see docs/local-stack.md for what that leaves unproven.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from infra import ports
from infra.kafka import BROKER_SETTINGS, SINGLE_NODE_SETTINGS, Kafka
from infra.ports import HOST
from infra.postgres import DATABASE, SERVER_SETTINGS, Postgres
from infra.registry import REGISTRY_SETTINGS, Registry
from infra.service import Service

KAFKA_IMAGE = "apache/kafka:4.1.0"
REGISTRY_IMAGE = "apicurio/apicurio-registry:3.3.3"
POSTGRES_IMAGE = "postgres:18.4"
READY_SECONDS = 180.0


def docker_answers() -> bool:
    """Whether a Docker engine can be used; quick where there is none."""
    if not os.environ.get("DOCKER_HOST") and not Path("/var/run/docker.sock").exists():
        return False
    from docker.client import DockerClient
    from docker.errors import DockerException

    try:
        return bool(DockerClient.from_env(timeout=5).ping())  # type: ignore[no-untyped-call]
    except DockerException:
        return False


class ContainerServices:
    """Kafka, the registry and Postgres in containers, on loopback ports; the interface of ``Services``."""

    def __init__(self, scratch: Path) -> None:
        names = [name for kind in (Kafka, Registry, Postgres) for name in kind.port_names]
        self._ports = ports.choose(names, scratch / "ports.json", {})
        self._services: dict[str, Service] = {
            kind.name: kind(scratch / kind.name, self._ports) for kind in (Kafka, Registry, Postgres)
        }
        self._containers: dict[str, Any] = {
            "kafka": self._kafka(),
            "registry": self._registry(),
            "postgres": self._postgres(),
        }

    def _kafka(self) -> Any:
        from testcontainers.core.container import DockerContainer

        port = self._ports["kafka"]
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": "1@localhost:9093",
            "listeners": f"CLIENT://:{port},CONTROLLER://:9093",
            "advertised.listeners": f"CLIENT://{HOST}:{port}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            **BROKER_SETTINGS,
            **SINGLE_NODE_SETTINGS,
        }
        env = {"KAFKA_" + name.replace(".", "_").upper(): value for name, value in settings.items()}
        return DockerContainer(KAFKA_IMAGE, env=env).with_bind_ports(port, port)

    def _registry(self) -> Any:
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(REGISTRY_IMAGE, env=dict(REGISTRY_SETTINGS))
        container.with_bind_ports(8080, self._ports["registry"])
        return container.with_bind_ports(9000, self._ports["registry-management"])

    def _postgres(self) -> Any:
        from testcontainers.core.container import DockerContainer

        options = " ".join(f"-c {name}={value}" for name, value in SERVER_SETTINGS.items())
        env = {"POSTGRES_HOST_AUTH_METHOD": "trust", "POSTGRES_DB": DATABASE}
        container = DockerContainer(POSTGRES_IMAGE, command=f"postgres {options}", env=env)
        return container.with_bind_ports(5432, self._ports["postgres"])

    def up(self) -> None:
        for container in self._containers.values():
            container.start()
        for name in self._services:
            self._wait(name)

    def down(self) -> None:
        for container in reversed(self._containers.values()):
            container.stop()

    @property
    def names(self) -> list[str]:
        return list(self._services)

    @property
    def bootstrap_servers(self) -> str:
        return self._services["kafka"].address()

    @property
    def registry_url(self) -> str:
        return self._services["registry"].address()

    @property
    def postgres_dsn(self) -> str:
        return self._services["postgres"].address()

    def pid(self, name: str) -> int | None:
        state = self._inspect(name)["State"]
        return int(state["Pid"]) if state["Running"] else None

    def start(self, name: str) -> None:
        self._containers[name].get_wrapped_container().start()
        self._wait(name)

    def stop(self, name: str) -> None:
        self._containers[name].get_wrapped_container().stop()

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def kill(self, name: str) -> None:
        container = self._containers[name].get_wrapped_container()
        container.kill()
        container.wait()

    def pause(self, name: str) -> None:
        self._containers[name].get_wrapped_container().pause()

    def resume(self, name: str) -> None:
        if self._inspect(name)["State"]["Paused"]:
            self._containers[name].get_wrapped_container().unpause()

    def _inspect(self, name: str) -> dict[str, Any]:
        container = self._containers[name].get_wrapped_container()
        container.reload()
        attributes: dict[str, Any] = container.attrs
        return attributes

    def _wait(self, name: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._services[name].ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"container {name} did not answer within {READY_SECONDS:.0f} s")
            time.sleep(0.2)
