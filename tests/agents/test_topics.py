"""Creating and checking topics on a real broker."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType

from connectors.cli.topics import topics
from streams import admin
from streams.settings import Settings
from streams.topics import INTENTS, TOPICS, TRANSFERS_CHANGELOG

pytestmark = pytest.mark.stack


@pytest.fixture
def settings(kafka: str, unique: str) -> Settings:
    return Settings(bootstrap_servers=kafka, topic_prefix=f"{unique}-", partitions=3)


def alter(settings: Settings, name: str, setting: str, value: str) -> None:
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, settings.topic(name), incremental_configs=[entry])
    client = admin.connect(settings)
    for future in client.incremental_alter_configs([resource]).values():
        future.result(30)


def test_apply_creates_every_topic_with_its_settings_and_the_second_time_does_nothing(settings: Settings) -> None:
    """Running it again, as every start does, changes nothing."""
    with pytest.raises(admin.TopicsError, match="run `twofold topics apply`"):
        admin.check(settings)
    assert len(admin.apply(settings)) == len(TOPICS)
    assert admin.apply(settings) == []
    admin.check(settings)
    assert {s.topic.name: s.partitions for s in admin.describe(settings)}[INTENTS.name] == 3


def test_another_partition_count_is_refused_and_never_changed(settings: Settings) -> None:
    """Every account would be looked for in another partition than it lives in."""
    admin.apply(settings)
    name = settings.topic(INTENTS.name)
    client = admin.connect(settings)
    client.create_partitions([NewPartitions(name, 4)])[name].result(30)
    with pytest.raises(admin.TopicsError, match="partitions is 4, needs 3"):
        admin.apply(settings)
    with pytest.raises(admin.TopicsError, match=r"set TWOFOLD_PARTITIONS=3"):
        admin.check(replace(settings, partitions=8))


def test_a_topic_whose_records_carry_their_producers_times_is_refused(settings: Settings) -> None:
    """A record dated by its client could delete live keys or expire a hold; only an empty topic can be put right."""
    name = settings.topic(INTENTS.name)
    kafka = admin.connect(settings)
    config = {**INTENTS.config, "message.timestamp.type": "CreateTime"}
    kafka.create_topics([NewTopic(name, num_partitions=3, config=config)])[name].result(10)
    assert f"set message.timestamp.type of {name} from CreateTime to LogAppendTime" in admin.apply(settings)
    alter(settings, INTENTS.name, "message.timestamp.type", "CreateTime")
    write_one(settings)
    with pytest.raises(admin.TopicsError, match="times that their producers chose"):
        admin.apply(settings)


def write_one(settings: Settings) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    producer.produce(settings.topic(INTENTS.name), b"x", partition=0)
    assert producer.flush(10) == 0


def test_keys_that_would_be_deleted_before_their_window_ends_stop_a_worker(settings: Settings) -> None:
    """An idempotency window may be as long as 90 days: a changelog that keeps less is refused until it is altered."""
    admin.apply(settings)
    alter(settings, TRANSFERS_CHANGELOG.name, "retention.ms", "86400000")
    with pytest.raises(admin.TopicsError, match="keys would be deleted before an idempotency window"):
        admin.check(settings)
    (line,) = admin.apply(settings)
    assert "retention.ms" in line
    admin.check(settings)


def test_more_retention_than_needed_is_left_alone(settings: Settings) -> None:
    """Keeping more loses nothing."""
    admin.apply(settings)
    alter(settings, TRANSFERS_CHANGELOG.name, "retention.ms", "-1")
    assert admin.apply(settings) == []


def test_the_command_shows_applies_and_checks(settings: Settings) -> None:
    """Exit code 1 until the topics fit; JSON that a program can read."""
    where = ["--bootstrap-servers", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix]
    where += ["--partitions", "3"]
    run = CliRunner().invoke
    assert run(topics, ["check", *where]).exit_code == 1
    assert "created" in run(topics, ["apply", *where]).output
    assert run(topics, ["apply", *where]).output.startswith("nothing to do")
    assert run(topics, ["check", *where]).exit_code == 0
    shown = json.loads(run(topics, ["show", "--json", *where]).output)
    assert {topic["partitions"] for topic in shown if topic["topic"].endswith("journal")} == {3}


def test_a_broker_that_is_not_there_is_said_so() -> None:
    """With what to do about it, and no traceback."""
    answer = CliRunner().invoke(topics, ["show", "--bootstrap-servers", "127.0.0.1:1"])
    assert answer.exit_code == 1
    assert "TWOFOLD_BOOTSTRAP_SERVERS" in answer.output
