"""The rules of evolution, on a real registry."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaReference, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from connectors.serializer import as_avro, registry_serializer
from schemas.catalogue import RECORDS_OF_TOPIC, definition, subject, text
from schemas.codec import Codec
from schemas.errors import BadRecord, Incompatible, NotRegistered, RegistryAway, UnknownSchema
from schemas.framing import header
from schemas.registry import COMPATIBILITY, Registry
from streams.agents.codec import LedgerCodec
from streams.ledger.intents import Transfer
from tests.conftest import AnyServices

pytestmark = pytest.mark.stack

TRANSFER = Transfer("ann", "o-17", "shop", 1250, "EUR", None, "inv 4", {"a": "b"})


def changed(**fields: Any) -> RegisteredSchema:
    """The schema of Transfer with fields replaced, added or (None) removed."""
    schema = copy.deepcopy(definition("Transfer"))
    kept = {field["name"]: field for field in schema["fields"]} | fields
    schema["fields"] = [field for field in kept.values() if field is not None]
    return RegisteredSchema(json.dumps(schema), "AVRO")


def transfers(prefix: str) -> str:
    return subject(f"{prefix}payment-intents", "Transfer")


def test_every_record_has_a_subject_of_its_own_that_is_backward_transitive(registry: str, unique: str) -> None:
    """After ``apply`` each (topic, record) is a subject by TopicRecordName; doing it again changes nothing."""
    client = Registry(registry)
    ids = client.register_all(unique)
    assert client.register_all(unique) == ids == client.all_ids(unique)
    states = client.states(unique)
    assert {state.subject for state in states} == {
        f"{unique}{topic}-twofold.{record}" for topic, records in RECORDS_OF_TOPIC.items() for record in records
    }
    assert {state.compatibility for state in states} == {COMPATIBILITY}
    assert all(state.id for state in states)


def test_the_registry_refuses_a_change_that_could_not_read_earlier_records(registry: str, unique: str) -> None:
    """A field without default is no addition, and a field whose type changes is no field."""
    client = Registry(registry)
    client.register_all(unique)
    for change in (
        changed(purpose={"name": "purpose", "type": "string"}),
        changed(amount={"name": "amount", "type": "string"}),
    ):
        with pytest.raises(SchemaRegistryError) as refused:
            client.client.register_schema(transfers(unique), change)
        assert refused.value.http_status_code == 409


def test_the_registry_looks_back_at_all_versions(registry: str, unique: str) -> None:
    """A field that was added with a default may not lose it: the first version's records have no such field."""
    client = Registry(registry)
    client.register_all(unique)
    client.client.register_schema(
        transfers(unique), changed(purpose={"name": "purpose", "type": "string", "default": ""})
    )
    with pytest.raises(SchemaRegistryError) as refused:
        client.client.register_schema(transfers(unique), changed(purpose={"name": "purpose", "type": "string"}))
    assert refused.value.http_status_code == 409


def test_apply_says_which_subject_cannot_take_this_version(registry: str, unique: str) -> None:
    """If the registry holds records that this version cannot read, nothing starts."""
    client = Registry(registry)
    client.client.register_schema(transfers(unique), changed(amount={"name": "amount", "type": "string"}))
    with pytest.raises(Incompatible, match=transfers(unique)):
        client.register_all(unique)
    state = next(state for state in client.states(unique) if state.subject == transfers(unique))
    assert (state.fits, state.id) == (False, None)


def serialized(registry: str, topic: str, schema: str, fields: dict[str, Any]) -> bytes:
    """What a producer in its own right sends: the registry's serializer with its own schema."""
    serializer = AvroSerializer(
        Registry(registry).client,
        schema,
        conf={"auto.register.schemas": False, "subject.name.strategy": topic_record_subject_name_strategy},
    )
    value = serializer(fields, SerializationContext(topic, MessageField.VALUE))
    assert value is not None
    return value


def test_an_old_producers_records_are_still_read(registry: str, unique: str) -> None:
    """A producer with an earlier schema, which lacks metadata and reference, goes on after the ledger's update."""
    client = Registry(registry)
    old = changed(metadata=None, reference=None, request_id=None)
    client.client.register_schema(transfers(unique), old)
    client.register_all(unique)
    fields = {"account": "ann", "idempotency_key": "o-17", "payee": "shop", "amount": 1250, "currency": "EUR"}
    value = serialized(registry, f"{unique}payment-intents", str(old.schema_str), fields)
    read = LedgerCodec.connect(registry, unique).decode_intent(value)
    assert read._replace(wire=b"") == Transfer("ann", "o-17", "shop", 1250, "EUR")
    assert read.wire == value


def test_a_newer_producers_records_are_read_by_this_version(registry: str, unique: str) -> None:
    """Producers may be updated first: what this version does not know is dropped."""
    client = Registry(registry)
    client.register_all(unique)
    new = changed(tags={"name": "tags", "type": {"type": "array", "items": "string"}, "default": []})
    client.client.register_schema(transfers(unique), new)
    fields = {**as_avro(TRANSFER), "tags": ["a", "b"]}
    value = serialized(registry, f"{unique}payment-intents", str(new.schema_str), fields)
    assert LedgerCodec.connect(registry, unique).decode_intent(value)._replace(wire=b"") == TRANSFER


def test_the_registrys_serializer_and_the_codec_give_the_same_bytes(registry: str, unique: str) -> None:
    """Whichever way an intent is serialized, it is the same record with the same schema id."""
    Registry(registry).register_all(unique)
    serialize = registry_serializer(registry, f"{unique}payment-intents")
    assert serialize(TRANSFER) == LedgerCodec.connect(registry, unique).encode_intent(TRANSFER)


def test_a_writers_schema_may_refer_to_other_subjects(registry: str, unique: str) -> None:
    """A producer's schema that is registered in pieces is put together by its references."""
    client = Registry(registry)
    extra = {"type": "record", "name": "Extra", "namespace": "twofold", "fields": [{"name": "x", "type": "long"}]}
    client.client.register_schema(f"{unique}-extra", RegisteredSchema(json.dumps(extra), "AVRO"))
    whole = changed(extra={"name": "extra", "type": "twofold.Extra"})
    reference = SchemaReference("twofold.Extra", f"{unique}-extra", 1)
    number = client.client.register_schema(
        transfers(unique), RegisteredSchema(str(whole.schema_str), "AVRO", [reference])
    )
    offline = LedgerCodec.offline()
    value = header(number) + offline.encode_intent(TRANSFER)[5:] + b"\x0e"
    codec = LedgerCodec(Codec.offline().ids, Registry(registry).writer_schema)
    assert codec.decode_intent(value)._replace(wire=b"") == TRANSFER


def test_a_schema_that_is_no_avro_is_no_intent(registry: str, unique: str) -> None:
    """A registry may hold other formats; their records are dead letters, not crashes."""
    other = '{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}'
    number = Registry(registry).client.register_schema(f"{unique}-json", RegisteredSchema(other, "JSON"))
    codec = LedgerCodec(Codec.offline().ids, Registry(registry).writer_schema)
    with pytest.raises(BadRecord) as refused:
        codec.decode_intent(header(number) + b"{}")
    assert refused.value.reason == "undecodable"


@pytest.mark.parametrize("number", [2**31 - 1, 1_999_999_999])
def test_only_a_definite_not_found_is_an_unknown_schema(registry: str, number: int) -> None:
    """The registry's own answer 40403."""
    with pytest.raises(UnknownSchema):
        Registry(registry).writer_schema(number)


def test_another_servers_not_found_is_no_answer(registry: str) -> None:
    """[!] A wrong address answers 404 to everything: that must not turn every intent into a dead letter."""
    elsewhere = Registry(registry.split("/apis/")[0] + "/nowhere")
    with pytest.raises(RegistryAway):
        elsewhere.writer_schema(1)


def test_what_is_not_registered_names_the_command(registry: str, unique: str) -> None:
    """A worker does not register on its own."""
    with pytest.raises(NotRegistered, match="twofold schemas apply"):
        LedgerCodec.connect(registry, unique)


def test_a_registry_that_is_away_is_no_verdict(services: AnyServices, registry: str, unique: str) -> None:
    """[!] While it is away a new schema gives RegistryAway, known ones go on; when it is back, the value is read."""
    client = Registry(registry)
    client.register_all(unique)
    new = changed(later={"name": "later", "type": ["null", "string"], "default": None})
    number = client.client.register_schema(transfers(unique), new)
    codec = LedgerCodec.connect(registry, unique)
    known = codec.encode_intent(TRANSFER)
    codec.decode_intent(known)
    value = header(number) + known[5:] + b"\0"
    services.stop("registry")
    with pytest.raises(RegistryAway):
        codec.decode_intent(value)
    assert codec.decode_intent(known) == TRANSFER._replace(wire=known)
    services.start("registry")
    assert codec.decode_intent(value) == TRANSFER._replace(wire=value)


def test_what_is_registered_is_the_file_with_its_docs(registry: str, unique: str) -> None:
    """A client finds the meaning of each field in the registry."""
    client = Registry(registry)
    client.register_all(unique)
    held = client.client.get_latest_version(transfers(unique)).schema.schema_str
    assert json.loads(str(held)) == json.loads(text("Transfer"))
