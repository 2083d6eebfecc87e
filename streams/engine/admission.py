"""May this partition start? The last question after a restore, asked of what Kafka and the tables say.

A partition whose tables lack anything that was committed decides it again: money would move twice. So every
disagreement halts it, and only an empty journal may start with empty tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.engine.errors import Halted, WorkerHalted
from streams.engine.identity import Identity
from streams.engine.positions import START, Positions
from streams.engine.topology import Topology


class Found(NamedTuple):
    """What was found of one partition after its restore."""

    partition: int
    positions: Positions | None
    """As restored from the changelog."""
    committed: Mapping[str, int]
    """The group's committed offset by input topic; absent where there is none."""
    table_sequence: int
    journal_sequence: int | None
    """Of the last committed journal record; None if the journal never had one."""


def admit(found: Found, topology: Topology, identity: Identity) -> Positions:
    """The positions to start from. Raises :class:`Halted` with the command that repairs the partition."""
    name = f"partition {found.partition} of group {topology.group}"
    rebuild = f"twofold replay tables --restore --partition {found.partition}"
    if found.table_sequence != (found.journal_sequence or 0):
        raise Halted(
            f"{name}: the journal ends at sequence {found.journal_sequence or 0}, "
            f"but the tables restored from the changelog at {found.table_sequence}; the changelog has lost records",
            rebuild,
        )
    if found.positions is None:
        if found.journal_sequence is not None or found.committed:
            raise Halted(
                f"{name}: the changelog holds no input positions, but "
                + ("the journal is not empty" if found.journal_sequence is not None else "the group has offsets"),
                rebuild,
            )
        ids = {topic: identity.topic_ids[topic] for topic in (topology.intents, topology.legs)}
        places = {topology.intents: START, topology.legs: START}
        return Positions(topology.group, identity.partitions, ids, places)
    _must_belong(found.positions, name, topology, identity)
    _must_agree(found, name, topology)
    return found.positions


def _must_belong(positions: Positions, name: str, topology: Topology, identity: Identity) -> None:
    if positions.group != topology.group:
        raise Halted(
            f"{name}: these tables were written by group {positions.group}",
            f"set TWOFOLD_GROUP={positions.group}",
        )
    if positions.partitions != identity.partitions:
        raise WorkerHalted(
            f"{name}: the topics had {positions.partitions} partitions and now have {identity.partitions}; "
            "accounts would be looked for in other partitions than they live in",
            f"delete what was added, or replay into new topics of {identity.partitions} partitions",
        )
    for topic, id in positions.topic_ids.items():
        if identity.topic_ids.get(topic) != id:
            raise Halted(
                f"{name}: topic {topic} is not the one these tables were made from (id {id}, "
                f"now {identity.topic_ids.get(topic)}); its records would be taken for ones already processed",
                "twofold topics show, then point TWOFOLD_TOPIC_PREFIX at the right topics or restore the old ones",
            )


def _must_agree(found: Found, name: str, topology: Topology) -> None:
    assert found.positions is not None
    for topic, offset in found.committed.items():
        place = found.positions.places.get(topic, START)
        if offset != place.offset:
            raise Halted(
                f"{name}: the group's committed offset of {topic} is {offset}, "
                f"but the tables have processed it up to {place.offset}",
                "stop all workers, then twofold offsets forget  (the tables' positions are the ones that count)",
            )
