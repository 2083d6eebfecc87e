"""Ledgers to test with: on the test driver with one partition and with eight, and on real Kafka."""

from __future__ import annotations

import pytest

from tests.agents.bank import Bank
from tests.agents.ledgers import Ledger


@pytest.fixture(params=["driver-1", "driver-8"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """A fresh ledger of each kind."""
    return Bank(partitions=1 if request.param == "driver-1" else 8)
