"""The container files are the same product as the local stack: versions, settings, commands and variables.

No Docker engine is here to run them, so that they cannot drift apart is held by comparing them.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.cli.stack import TOLD_IN, agents, setup_steps
from infra import cache
from infra.kafka import BROKER_SETTINGS, SINGLE_NODE_SETTINGS
from infra.postgres import DATABASE, SERVER_SETTINGS, binaries
from infra.registry import REGISTRY_SETTINGS
from streams.settings import Settings
from tests.containers import KAFKA_IMAGE, POSTGRES_IMAGE, REGISTRY_IMAGE

ROOT = Path(__file__).parents[2]
SERVICES = ("kafka", "registry", "postgres")
AGENTS = ("worker-0", "worker-1", "sink", "reconcile")


@pytest.fixture(scope="module")
def compose() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services


def test_images_are_the_versions_of_the_local_stack(compose: dict[str, dict[str, Any]]) -> None:
    """Kafka's and the registry's versions are those of the pinned downloads, Postgres's that of the wheel."""
    kafka = next(artifact for artifact in cache.pinned("kafka") if artifact.name == "kafka_2.13")
    (registry,) = cache.pinned("registry")
    postgres = subprocess.check_output([binaries() / "postgres", "--version"], text=True).split()[-1]
    images = {name: compose[name]["image"] for name in SERVICES}
    assert images == {"kafka": KAFKA_IMAGE, "registry": REGISTRY_IMAGE, "postgres": POSTGRES_IMAGE}
    assert [image.rpartition(":")[2] for image in images.values()] == [kafka.version, registry.version, postgres]


def test_kafka_has_the_settings_that_the_design_needs(compose: dict[str, dict[str, Any]]) -> None:
    """Every setting of the local broker on which the design depends is in the container's environment, equal."""
    told = compose["kafka"]["environment"]
    wanted = {**BROKER_SETTINGS, **SINGLE_NODE_SETTINGS}
    names = {name: "KAFKA_" + name.replace(".", "_").upper() for name in wanted}
    assert {name: told.get(variable) for name, variable in names.items()} == wanted


def test_the_registry_and_postgres_have_the_settings_of_the_local_stack(compose: dict[str, dict[str, Any]]) -> None:
    """The registry's variables and the server's options are equal, and the ledger's database has the same name."""
    told = compose["registry"]["environment"]
    assert {name: told.get(name) for name in REGISTRY_SETTINGS} == REGISTRY_SETTINGS
    options = dict(option.removeprefix("--").split("=") for option in compose["postgres"]["command"][1:])
    assert options == SERVER_SETTINGS
    assert compose["postgres"]["environment"]["POSTGRES_DB"] == DATABASE


def test_the_agents_are_those_of_the_local_stack(compose: dict[str, dict[str, Any]]) -> None:
    """Each agent has the command line and the variables of its own that ``twofold up`` gives it; there is no other."""
    local = {agent.name: (agent.argv[3:], agent.env) for agent in agents(workers=2)}
    shared = compose["sink"]["environment"]
    contained = {
        name: (compose[name]["command"], {k: v for k, v in compose[name]["environment"].items() if k not in shared})
        for name in AGENTS
    }
    assert contained == local
    assert set(compose) == {*SERVICES, *AGENTS, "setup"}


def test_the_setup_is_that_of_the_local_stack_and_comes_first(compose: dict[str, dict[str, Any]]) -> None:
    """Topics, schemas and tables are made by the same commands, after the services are healthy, before the agents."""
    (script,) = compose["setup"]["command"]
    assert script.splitlines() == ["twofold " + " ".join(argv[3:]) for argv in setup_steps().values()]
    assert compose["setup"]["depends_on"] == {name: {"condition": "service_healthy"} for name in SERVICES}
    after = {"setup": {"condition": "service_completed_successfully"}}
    assert [name for name in AGENTS if compose[name]["depends_on"] != after] == []


def test_variables_are_settings_that_exist_with_the_defaults_but_for_addresses(
    compose: dict[str, dict[str, Any]],
) -> None:
    """A mistyped variable would be ignored in silence: each is a setting, and only addresses and the folder differ."""
    told = compose["sink"]["environment"]
    defaults = Settings().to_env()
    assert set(told) <= set(defaults)
    differing = {name for name, value in told.items() if defaults[name] != value}
    assert differing == {*TOLD_IN.values(), "TWOFOLD_DATA_DIR"}


def test_every_service_has_a_health_check_a_volume_or_database_and_a_loopback_port(
    compose: dict[str, dict[str, Any]],
) -> None:
    """Nothing is published beyond loopback, since Postgres and Kafka ask for no password here."""
    assert [name for name in SERVICES if "healthcheck" not in compose[name]] == []
    published = [port for service in compose.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_is_pinned_and_holds_every_package_of_the_product() -> None:
    """The Dockerfile names an exact Python, installs by hash, and copies every package that the wheel declares."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    (base,) = [line for line in lines if line.startswith("FROM ")]
    assert base.split(":")[1].split("-")[0].count(".") == 2
    assert any("--require-hashes -r requirements.lock" in line for line in lines)
    copied = {line.split()[1] for line in lines if line.startswith("COPY ")}
    assert {"twofold", "streams", "schemas", "sinks", "connectors", "infra"} <= copied


class _Loader(yaml.SafeLoader):
    """Reads Compose's ``!override``, which replaces a list where merging would append to it."""


def _replaced(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("!override", _replaced)


def test_three_brokers_keep_three_copies_of_which_two_must_be_written() -> None:
    """Each broker has the same quorum and copies, but its own identity and volume; every client knows all three."""
    text = (ROOT / "docker-compose.three-brokers.yml").read_text()
    services = yaml.load(text, _Loader)["services"]
    brokers = [services[name]["environment"] for name in ("kafka", "kafka-2", "kafka-3")]
    for setting, value in {
        "KAFKA_DEFAULT_REPLICATION_FACTOR": "3",
        "KAFKA_MIN_INSYNC_REPLICAS": "2",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "3",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "2",
        "KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE": "false",
    }.items():
        assert [broker.get(setting) for broker in brokers] == [value] * 3, setting
    assert len({broker["KAFKA_CONTROLLER_QUORUM_VOTERS"] for broker in brokers}) == 1
    assert [broker.get("KAFKA_NODE_ID", "1") for broker in brokers] == ["1", "2", "3"]
    assert services["kafka-2"]["volumes"] != services["kafka-3"]["volumes"]
    servers = {services[name]["environment"]["TWOFOLD_BOOTSTRAP_SERVERS"] for name in (*AGENTS, "setup")}
    assert servers == {"kafka:19092,kafka-2:19092,kafka-3:19092"}
