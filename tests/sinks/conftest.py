"""A journal topic, a database and a sink between them, for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from schemas.registry import Registry
from sinks.migrate import migrate
from streams.agents.codec import LedgerCodec
from tests.sinks.house import House


@pytest.fixture(scope="session")
def codec(registry: str) -> LedgerCodec:
    """A codec with the ids of a real registry."""
    Registry(registry).register_all()
    return LedgerCodec.connect(registry)


@pytest.fixture
def database(fresh_database: Callable[[], str]) -> str:
    """Superuser's DSN of a migrated database."""
    dsn = fresh_database()
    migrate(dsn)
    return dsn


@pytest.fixture
def house(kafka: str, codec: LedgerCodec, database: str, unique: str) -> Iterator[House]:
    """An empty journal of four partitions, an empty migrated database, and a ledger that writes to the journal."""
    house = House(kafka, codec, database, unique)
    house.create_topic(house.topic)
    yield house
    house.stop()
