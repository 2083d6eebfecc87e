"""Labs for the engine's tests: fresh topics on the run's one Kafka, and workers that never outlive their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine.lab import Lab


@pytest.fixture
def new_lab(kafka: str, tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """Makes a lab; its workers' logs are shown when the test fails."""
    labs: list[Lab] = []

    def make(partitions: int = 2, config: dict[str, str] | None = None) -> Lab:
        labs.append(Lab(kafka, tmp_path, partitions, config))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()
        for worker in lab.workers:
            print(f"--- {worker.log_file.name}\n{worker.log[-4000:]}")


@pytest.fixture
def lab(new_lab: Callable[..., Lab]) -> Lab:
    """Two partitions."""
    return new_lab()
