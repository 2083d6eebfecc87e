"""When a store found on this machine is believed."""

from __future__ import annotations

import pytest

from streams.engine.identity import Identity, Stamp
from streams.engine.trust import reason_to_wipe

NOW = 1_700_000_000_000
KEPT = 86_400_000
HERE = Identity("cluster", {"changelog": "id-1"}, 2)
GOOD = Stamp("cluster", {"changelog": ("id-1", 50)}, NOW - 1000)


def verdict(stamp: Stamp | None, start: int = 10, end: int = 100) -> str | None:
    return reason_to_wipe(stamp, HERE, {"changelog": start}, {"changelog": end}, NOW, KEPT)


def test_a_recent_store_of_these_topics_is_brought_up_to_date() -> None:
    """Nothing is wiped without a reason."""
    assert verdict(GOOD) is None
    assert verdict(GOOD._replace(time_ms=NOW - KEPT // 2)) is None


@pytest.mark.parametrize(
    ("stamp", "why"),
    [
        (None, "empty"),
        (GOOD._replace(cluster_id="other"), "another cluster"),
        (GOOD._replace(changelogs={"changelog": ("id-2", 50)}), "another topic"),
        (GOOD._replace(changelogs={"old": ("id-1", 50)}), "other changelogs"),
        (GOOD._replace(changelogs={"changelog": ("id-1", 9)}), "now begins at"),
        (GOOD._replace(changelogs={"changelog": ("id-1", 101)}), "ends at"),
        (GOOD._replace(time_ms=NOW - KEPT // 2 - 1), "old"),
        (GOOD._replace(time_ms=NOW + 3_600_000), "ahead"),
    ],
)
def test_a_store_that_could_revive_deleted_rows_is_wiped(stamp: Stamp | None, why: str) -> None:
    """Another cluster or topic, below the log's start, above its end, or older than half of delete.retention.ms."""
    assert why in (verdict(stamp) or "")
