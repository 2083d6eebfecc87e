"""Create and check the topics of :mod:`streams.topics` on a cluster.

A setting that loses nothing when it changes is altered by :func:`apply` alone, never on the way past. What cannot
be changed without breaking the ledger (the partition count, the timestamp type of records already written) is
reported with what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from streams.settings import Settings
from streams.topics import LONGEST_WINDOW_DAYS, TOPICS, TRANSFERS_CHANGELOG, Topic

TIMEOUT_S = 30.0
RETENTIONS = frozenset({"retention.ms", "retention.bytes", "delete.retention.ms"})
TIMESTAMP_TYPE = "message.timestamp.type"


class TopicsError(Exception):
    """The topics do not fit the ledger; the message says which, why and what to do."""


@dataclass(frozen=True)
class Problem:
    """One way in which a topic differs from the table, and what to do about it."""

    setting: str
    found: str
    wanted: str
    remedy: str
    alterable: bool
    """True: ``apply`` puts it right, and nothing is lost by that."""


@dataclass(frozen=True)
class TopicState:
    """A topic as it is on the cluster."""

    topic: Topic
    name: str
    exists: bool
    partitions: int
    problems: tuple[Problem, ...]

    @property
    def fits(self) -> bool:
        """Whether it exists and differs in nothing that matters."""
        return self.exists and not self.problems


def connect(settings: Settings) -> AdminClient:
    """An admin client for the settings' cluster."""
    return AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})


def describe(settings: Settings, admin: AdminClient | None = None) -> list[TopicState]:
    """Every topic of the table as the cluster has it. Raises TopicsError if the cluster cannot be reached."""
    admin = admin or connect(settings)
    try:
        known = admin.list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise TopicsError(
            f"no answer from Kafka at {settings.bootstrap_servers} ({error}). "
            "Start it (twofold up) or set TWOFOLD_BOOTSTRAP_SERVERS."
        ) from None
    names = [settings.topic(topic.name) for topic in TOPICS]
    configs = _configs(admin, [name for name in names if name in known])
    states = []
    for topic, name in zip(TOPICS, names, strict=True):
        if name not in known:
            states.append(TopicState(topic, name, False, 0, ()))
            continue
        partitions = len(known[name].partitions)
        problems = tuple(_problems(admin, settings, topic, name, partitions, configs[name]))
        states.append(TopicState(topic, name, True, partitions, problems))
    return states


def apply(settings: Settings, admin: AdminClient | None = None) -> list[str]:
    """Create what is missing and alter what can be altered safely; says what it did, one line each.

    Doing it twice changes nothing the second time. Raises TopicsError, after doing the rest, when something is left
    that only a person can put right.
    """
    admin = admin or connect(settings)
    done: list[str] = []
    for state in describe(settings, admin):
        if not state.exists:
            done += _create(admin, settings, state)
        else:
            done += _alter(admin, state)
    check(settings, admin)
    return done


def check(settings: Settings, admin: AdminClient | None = None) -> None:
    """What a worker asks before it starts. Raises TopicsError naming every topic that does not fit."""
    lines: list[str] = []
    for state in describe(settings, admin):
        if not state.exists:
            lines.append(f"{state.name} does not exist: run `twofold topics apply`")
        lines += [f"{state.name}: {p.setting} is {p.found}, needs {p.wanted}: {p.remedy}" for p in state.problems]
    if lines:
        raise TopicsError("the topics do not fit this ledger:\n  " + "\n  ".join(lines))


def _wanted_partitions(settings: Settings, topic: Topic) -> int:
    return settings.partitions if topic.partitions is None else topic.partitions


def _create(admin: AdminClient, settings: Settings, state: TopicState) -> list[str]:
    count = _wanted_partitions(settings, state.topic)
    new = NewTopic(state.name, num_partitions=count, config=state.topic.config)
    try:
        admin.create_topics([new])[state.name].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
            raise TopicsError(f"{state.name} could not be created: {error}") from None
        return []
    _wait_for(admin, state.name, count)
    return [f"created {state.name} with {count} partitions"]


def _wait_for(admin: AdminClient, name: str, partitions: int) -> None:
    """Creation is acknowledged before every partition has a leader; a client that comes sooner is refused."""
    for _ in range(600):
        topic = admin.list_topics(name, timeout=TIMEOUT_S).topics[name]
        if len(topic.partitions) == partitions and all(p.leader >= 0 for p in topic.partitions.values()):
            return
        admin.poll(0.05)
    raise TopicsError(f"{name} was created but has no leader for every partition: look at the broker's log")


def _alter(admin: AdminClient, state: TopicState) -> list[str]:
    wrong = [p for p in state.problems if p.alterable]
    if not wrong:
        return []
    entries = [ConfigEntry(p.setting, p.wanted, incremental_operation=AlterConfigOpType.SET) for p in wrong]
    resource = ConfigResource(ResourceType.TOPIC, state.name, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(TIMEOUT_S)
    return [f"set {p.setting} of {state.name} from {p.found} to {p.wanted}" for p in wrong]


def _configs(admin: AdminClient, names: Iterable[str]) -> dict[str, Mapping[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    answers = admin.describe_configs(resources)
    return {
        resource.name: {key: entry.value for key, entry in future.result(TIMEOUT_S).items()}
        for resource, future in answers.items()
    }


def _problems(
    admin: AdminClient, settings: Settings, topic: Topic, name: str, partitions: int, config: Mapping[str, str]
) -> Iterable[Problem]:
    wanted_count = _wanted_partitions(settings, topic)
    if partitions != wanted_count:
        yield Problem(
            "partitions",
            str(partitions),
            str(wanted_count),
            f"set TWOFOLD_PARTITIONS={partitions} if the ledger was made with {partitions}; a ledger's partition count "
            "cannot change, since every account would move: start a new ledger under another TWOFOLD_TOPIC_PREFIX",
            False,
        )
    for setting, wanted in topic.config.items():
        found = config.get(setting, "")
        if not _good_enough(setting, found, wanted):
            yield _problem(admin, topic, name, setting, found, wanted)


def _problem(admin: AdminClient, topic: Topic, name: str, setting: str, found: str, wanted: str) -> Problem:
    if setting == TIMESTAMP_TYPE and not _is_empty(admin, name):
        remedy = (
            "its records carry times that their producers chose, and the ledger must not decide by those: "
            "start a new ledger under another TWOFOLD_TOPIC_PREFIX"
        )
        return Problem(setting, found, wanted, remedy, False)
    if topic is TRANSFERS_CHANGELOG and setting == "retention.ms":
        remedy = (
            f"keys would be deleted before an idempotency window of up to {LONGEST_WINDOW_DAYS} days ends: "
            "run `twofold topics apply`"
        )
        return Problem(setting, found, wanted, remedy, True)
    return Problem(setting, found, wanted, "run `twofold topics apply`", True)


def _good_enough(setting: str, found: str, wanted: str) -> bool:
    """Equal, or for how long and how much is kept: more than is needed."""
    if setting == "cleanup.policy":
        return set(found.split(",")) == set(wanted.split(","))
    if setting in RETENTIONS:
        return _at_least(int(found), int(wanted))
    if setting == "max.message.bytes":
        return int(found) >= int(wanted)
    return found == wanted


def _at_least(found: int, wanted: int) -> bool:
    return found < 0 or (wanted >= 0 and found >= wanted)


def _is_empty(admin: AdminClient, name: str) -> bool:
    count = len(admin.list_topics(name, timeout=TIMEOUT_S).topics[name].partitions)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    ask = {TopicPartition(name, p): latest for p in range(count)}
    return all(future.result(TIMEOUT_S).offset == 0 for future in admin.list_offsets(ask).values())
