"""The producer, on real Kafka with the real registry."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from confluent_kafka import Message

from connectors.form import InvalidIntent
from connectors.producer import Delivery, NotDelivered, Producer
from schemas.errors import NotRegistered, RegistryAway
from streams.agents.codec import LedgerCodec
from streams.engine.partitioner import partition_of
from streams.ledger.intents import Configure, Freeze, Hold, Intent, OpenAccount, Release, Resolve, Transfer
from streams.ledger.vocabulary import Resolution
from streams.settings import Settings

pytestmark = pytest.mark.stack

Committed = Callable[[Settings], list[Message]]


@cache
def codec_of(settings: Settings) -> LedgerCodec:
    return LedgerCodec.connect(settings.registry_url, settings.topic_prefix)


def decoded(settings: Settings, message: Message) -> Intent:
    return codec_of(settings).decode_intent(message.value() or b"")._replace(wire=b"")


def test_an_intent_travels_under_its_account_to_its_murmur2_partition(ledger: Settings, committed: Committed) -> None:
    """Key: the account's raw bytes; partition: the one that the ledger computes; delivery tells where."""
    intents = [Transfer(f"account-{i}", "k", "shop", i, "EUR") for i in range(50)]
    delivered: list[Delivery] = []
    with Producer(ledger) as producer:
        for intent in intents:
            producer.send(intent, delivered.append)
    messages = committed(ledger)
    assert sorted(decoded(ledger, message) for message in messages) == sorted(intents)
    for message in messages:
        key = message.key() or b""
        assert message.partition() == partition_of(key, 4)
        assert key.decode() == decoded(ledger, message).account
    assert sorted(delivered) == sorted((m.partition(), m.offset()) for m in messages)
    assert producer.delivered == 50


@pytest.mark.parametrize(
    ("intent", "field"),
    [
        (Transfer("ann", "k", "shop", 12.5, "EUR"), "amount"),  # type: ignore[arg-type]
        (Transfer("ann", "k", "shop", True, "EUR"), "amount"),
        (Transfer("ann", "k", "shop", 2**63, "EUR"), "amount"),
        (Transfer("ann", "", "shop", 1, "EUR"), "idempotency_key"),
        (Transfer("", "k", "shop", 1, "EUR"), "account"),
        (Transfer("ann", "k", "shop", 1, "EUR", metadata={"k": "v" * 513}), "metadata['k']"),
        (Transfer("ann", "k", "shop", 1, "EUR", reference="\ud800"), "reference"),
        (Release("ann", "k", b"short"), "hold"),
        (Hold("ann", "k", 1, "EUR", sequence="1"), "sequence"),  # type: ignore[arg-type]
        (OpenAccount("ann", "k", "EUR", tenant=None), "tenant"),  # type: ignore[arg-type]
    ],
)
def test_wrong_input_is_refused_by_field_before_anything_is_sent(
    ledger: Settings, committed: Committed, intent: Intent, field: str
) -> None:
    """The error names the field; the topic stays empty."""
    with Producer(ledger) as producer, pytest.raises(InvalidIntent) as refused:
        producer.send(intent)
    assert refused.value.field == field
    assert committed(ledger) == []


def test_what_the_ledger_judges_is_sent(ledger: Settings, committed: Committed) -> None:
    """An amount of zero or an odd account is refused by the ledger, in the journal, where everybody sees it."""
    with Producer(ledger) as producer:
        producer.send(Transfer("ann", "k", "no such account", 0, "EUR"))
    assert len(committed(ledger)) == 1


def test_a_configure_reaches_every_partition_at_once(ledger: Settings, committed: Committed) -> None:
    """One record with a null key on each partition, in one transaction."""
    key = Producer(ledger).configure(1, 86_400, 5, 10)
    messages = committed(ledger)
    assert {decoded(ledger, message) for message in messages} == {Configure(key, 1, 86_400, 5, 10)}
    assert sorted(message.partition() or 0 for message in messages) == [0, 1, 2, 3]
    assert {message.key() for message in messages} == {None}


def test_a_resolve_goes_to_the_halted_partition(ledger: Settings, committed: Committed) -> None:
    """With a null key, whatever its own partition would be."""
    key = Producer(ledger).resolve(2, 17, 3, Resolution.RETRY, note="fixed")
    (message,) = committed(ledger)
    assert (message.partition(), message.key()) == (2, None)
    assert decoded(ledger, message) == Resolve(key, 2, 17, 3, Resolution.RETRY, None, "fixed")


def test_administrative_intents_do_not_travel_by_key(ledger: Settings) -> None:
    """They belong to partitions: send() says which method takes them."""
    with pytest.raises(TypeError, match="configure"):
        Producer(ledger).send(Configure("k", 1, 1, 1, 1))


def test_a_schema_that_is_not_registered_names_the_command(kafka: str, registry: str, unique: str) -> None:
    """A producer registers nothing on its own."""
    producer = Producer(Settings(bootstrap_servers=kafka, registry_url=registry, topic_prefix=unique))
    with pytest.raises(NotRegistered, match="twofold schemas apply"):
        producer.send(Freeze("ann", "k"))


def test_a_registry_that_is_away_is_named(kafka: str) -> None:
    """Nothing is sent without it."""
    producer = Producer(Settings(bootstrap_servers=kafka, registry_url="http://127.0.0.1:1/apis"))
    with pytest.raises(RegistryAway, match=r"127\.0\.0\.1:1"):
        producer.send(Freeze("ann", "k"))


def test_what_no_broker_acknowledged_is_not_taken_as_sent() -> None:
    """flush() says how many, and that sending again is safe."""
    settings = Settings(bootstrap_servers="127.0.0.1:1")
    producer = Producer(settings, serialize=LedgerCodec.offline().encode_intent, kafka={"log_level": 0})
    producer.send(Freeze("ann", "k"))
    with pytest.raises(NotDelivered, match="1 intents were not acknowledged"):
        producer.flush(timeout=0.2)
