"""May a store that was found on this machine be believed? If not, it is wiped and restored from nothing.

A store that stayed away longer than deletions stay visible in the changelog would bring deleted rows back to life:
a hold that was released would be captured. Half that time is the limit.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.engine.identity import Identity, Stamp

CLOCK_SLACK_MS = 60_000
"""A stamp may be this much ahead of the clock."""


def reason_to_wipe(
    stamp: Stamp | None,
    identity: Identity,
    starts: Mapping[str, int],
    ends: Mapping[str, int],
    now_ms: int,
    tombstones_kept_ms: int,
) -> str | None:
    """Why the store must go, None if it can be brought up to date. ``starts`` and ``ends`` by changelog topic."""
    if stamp is None:
        return "it is empty"
    if stamp.cluster_id != identity.cluster_id:
        return f"it is of another cluster ({stamp.cluster_id})"
    if set(stamp.changelogs) != set(starts):
        return "it was made from other changelogs"
    for topic, (id, position) in stamp.changelogs.items():
        if id != identity.topic_ids[topic]:
            return f"{topic} is another topic than it was made from"
        if position < starts[topic] and position > 0:
            return f"it is at {position} of {topic}, which now begins at {starts[topic]}"
        if position > ends[topic]:
            return f"it is at {position} of {topic}, which ends at {ends[topic]}"
    age = now_ms - stamp.time_ms
    if age > tombstones_kept_ms // 2:
        return f"it is {age // 1000} s old, and deletions stay visible for {tombstones_kept_ms // 1000} s"
    if age < -CLOCK_SLACK_MS:
        return f"it is dated {-age // 1000} s ahead of this machine's clock"
    return None
