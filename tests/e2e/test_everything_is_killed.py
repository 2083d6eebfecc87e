"""The whole product under kill -9: nothing is lost, doubled or stranded, whatever dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.chaos import AGENTS, SERVICES, run


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.timeout(900)
def test_no_kill_of_any_process_breaks_the_books(folder: Path) -> None:
    """Workers, sink, reconciliation, Postgres and the broker die under load; all invariants hold after each."""
    toll = run(folder, rounds=1, seed=3)
    print(toll)
    assert set(toll.kills) == {*AGENTS, *SERVICES}
