"""Ledgers to test with: on the test driver with one partition and with eight, and on real Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agents.bank import Bank
from tests.agents.cluster import Cluster
from tests.agents.ledgers import Ledger

NewCluster = Callable[..., Cluster]


@pytest.fixture
def new_cluster(request: pytest.FixtureRequest, unique: str, tmp_path: Path) -> Iterator[NewCluster]:
    """Makes a ledger on real Kafka: ``new_cluster(partitions=4, workers=1)``; its processes end with the test."""
    made: list[Cluster] = []

    def make(**given: int) -> Cluster:
        kafka, registry = request.getfixturevalue("kafka"), request.getfixturevalue("registry")
        made.append(Cluster(kafka, registry, f"{unique}{len(made)}", tmp_path / str(len(made)), **given))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()


@pytest.fixture(params=["driver-1", "driver-8", pytest.param("kafka", marks=pytest.mark.stack)])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """A fresh ledger of each kind."""
    if request.param == "kafka":
        new_cluster: NewCluster = request.getfixturevalue("new_cluster")
        return new_cluster()
    return Bank(partitions=1 if request.param == "driver-1" else 8)
