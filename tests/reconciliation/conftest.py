"""A town (journal and tables on real Kafka), a migrated database, and a sink between them."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from schemas.registry import Registry
from sinks.migrate import migrate
from streams import admin
from streams.agents.codec import LedgerCodec
from streams.settings import Settings
from tests.reconciliation.audit import Office
from tests.reconciliation.town import Town


def new_ledger(kafka: str, registry: str, postgres: str, data_dir: Path) -> Settings:
    """A ledger of four partitions with topics, schemas and a migrated database of its own."""
    name = f"t{uuid.uuid4().hex[:10]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    settings = Settings(
        bootstrap_servers=kafka,
        registry_url=registry,
        postgres_dsn=postgres.rsplit("/", 1)[0] + f"/{name}",
        data_dir=data_dir,
        topic_prefix=name + "-",
        group=name,
        partitions=4,
        report_seconds=1,
    )
    admin.apply(settings)
    Registry(registry).register_all(settings.topic_prefix)
    migrate(settings.postgres_dsn)
    return settings


def new_town(settings: Settings) -> Town:
    """Twelve funded accounts that have paid each other; everything is settled."""
    town = Town(settings, LedgerCodec.connect(settings.registry_url, settings.topic_prefix))
    town.open(12)
    town.live(80)
    town.settle()
    town.pass_time()
    return town


@pytest.fixture
def settings(kafka: str, registry: str, postgres: str, tmp_path: Path) -> Settings:
    """A ledger of the test's own."""
    return new_ledger(kafka, registry, postgres, tmp_path)


@pytest.fixture
def office(settings: Settings) -> Iterator[Office]:
    """The sink, the database and the audits of a town of the test's own."""
    office = Office(settings, new_town(settings))
    yield office
    office.close()


@pytest.fixture(scope="module")
def sunk_once(kafka: str, registry: str, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A town whose whole journal is in Postgres; nobody changes this one."""
    settings = new_ledger(kafka, registry, postgres, tmp_path_factory.mktemp("sunk"))
    office = Office(settings, new_town(settings))
    office.drain()
    return office


@pytest.fixture
def sunk(sunk_once: Office, postgres: str, unique: str) -> Office:
    """The same town with a copy of its database: journal and tables are not to be touched, Postgres may be."""
    template = sunk_once.settings.postgres_dsn.rsplit("/", 1)[1]
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {unique} TEMPLATE {template}".encode())
    dsn = postgres.rsplit("/", 1)[0] + f"/{unique}"
    return Office(dataclasses.replace(sunk_once.settings, postgres_dsn=dsn), sunk_once.town)
