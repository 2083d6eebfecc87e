"""Write rebuilt tables to the changelogs, while no worker runs.

Two restores of one partition fence each other by their transactional id. A worker that starts in the middle finds
no row of the partition itself, which is written last, and halts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from confluent_kafka import ConsumerGroupState, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from connectors.replay.reading import ANSWER_SECONDS, ReplayError, read_partition
from connectors.replay.tables import Rebuilt
from streams.settings import Settings

ROWS_AT_ONCE = 20_000

Row = tuple[str, bytes, bytes | None]


def demand_no_worker(settings: Settings) -> None:
    """Raises ReplayError while the group has members: they would write the same changelogs."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    try:
        (answer,) = admin.describe_consumer_groups([settings.group], request_timeout=ANSWER_SECONDS).values()
        group = answer.result()
    except KafkaException as error:
        if "GROUP_ID_NOT_FOUND" in str(error):
            return
        raise ReplayError(f"Kafka does not answer about the group {settings.group}: {error}") from None
    if group.members or group.state not in (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD):
        raise ReplayError(
            f"the group {settings.group} has {len(group.members)} workers: stop them all first (a worker that was "
            "killed counts until its session times out, some seconds later)"
        )


def differences(settings: Settings, rebuilt: Rebuilt) -> list[Row]:
    """What differs: rows to write, and those of the changelogs to delete (value None)."""
    found: dict[tuple[str, bytes], bytes] = {}
    for topic in rebuilt.changelogs:
        for record in read_partition(settings.bootstrap_servers, topic, rebuilt.partition):
            key = (topic, record.key or b"")
            if record.value is None:
                found.pop(key, None)
            else:
                found[key] = record.value
    wanted = rebuilt.rows
    gone: list[Row] = [(topic, key, None) for topic, key in found if (topic, key) not in wanted]
    changed: list[Row] = [
        (topic, key, value) for (topic, key), value in wanted.items() if found.get((topic, key)) != value
    ]
    return gone + changed


def write(settings: Settings, rebuilt: Rebuilt, rows: list[Row]) -> None:
    """Write rows to the changelogs, the partition's own row last. After a ReplayError it can be done again."""
    partition = rebuilt.partition
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "transactional.id": f"{settings.group}-replay-{partition}",
            "transaction.timeout.ms": 10_000,
            "linger.ms": 20,
        }
    )
    ordered = iter(sorted(rows, key=lambda row: row[1] == rebuilt.own_key))
    try:
        producer.init_transactions(ANSWER_SECONDS)
        for chunk in _chunks(ordered):
            demand_no_worker(settings)
            producer.begin_transaction()
            for topic, key, value in chunk:
                producer.produce(topic, key=key, value=value, partition=partition)
                producer.poll(0)
            producer.flush(ANSWER_SECONDS)
            producer.commit_transaction(ANSWER_SECONDS)
    except KafkaException as error:
        raise ReplayError(f"the changelog of partition {partition} could not be written: {error}") from None


def _chunks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        yield chunk
