"""The services that every other test stands on are real and answer."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

pytestmark = pytest.mark.stack


def test_the_three_services_are_the_versions_that_the_product_names(kafka: str, registry: str, postgres: str) -> None:
    """Given the session's stack, then Kafka, the registry and Postgres answer, Postgres as version 18."""
    assert len(AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).brokers) == 1
    with urllib.request.urlopen(f"{registry}/config", timeout=10) as answer:
        assert b"BACKWARD_TRANSITIVE" in answer.read()
    with psycopg.connect(postgres) as connection:
        assert connection.info.server_version // 10_000 == 18
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_a_fresh_database_is_empty_and_another_each_time(fresh_database: Callable[[], str]) -> None:
    """Given two calls of the factory, then both databases are empty and differ."""
    first, second = fresh_database(), fresh_database()
    assert first != second
    with psycopg.connect(first) as connection:
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert found == (0,)
