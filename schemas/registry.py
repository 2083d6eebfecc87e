"""The schema registry: this product's subjects in it, and the schemas of others by id.

Built on confluent-kafka's client. What the ledger depends on is the difference between a definite "not found" and no
definite answer: the first is a verdict about a record, the second must stop the partition until the registry is back.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import httpx2
from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.catalogue import RECORDS_OF_TOPIC, TOPIC_OF_RECORD, Schema, inline, subject, text
from schemas.errors import CannotResolve, Incompatible, NotRegistered, RegistryAway, UnknownSchema

COMPATIBILITY = "BACKWARD_TRANSITIVE"
"""A new schema must read the records of all earlier versions."""

SUBJECT_NOT_FOUND, VERSION_NOT_FOUND, SCHEMA_NOT_FOUND = 40401, 40402, 40403
INCOMPATIBLE = 409
TIMEOUT_SECONDS = 5

T = TypeVar("T")


class SubjectState(NamedTuple):
    """One of this product's subjects as the registry has it."""

    topic: str
    record: str
    subject: str
    id: int | None
    """Id of exactly the schema of this version of the product; None: not registered."""
    compatibility: str | None
    """The subject's own setting; None: not set."""
    fits: bool
    """The registry would take this version's schema beside all that it has (or has it)."""


class Registry:
    """A Confluent-compatible registry at ``url``. Every method raises RegistryAway without a definite answer.

    ``timeout`` is in seconds, for one question; nothing is retried here.
    """

    def __init__(self, url: str, timeout: float = TIMEOUT_SECONDS) -> None:
        self.url = url
        self.client = SchemaRegistryClient({"url": url, "timeout": timeout, "max.retries": 0})
        self._writer_schemas: dict[int, Schema] = {}

    def register_all(self, prefix: str = "") -> dict[str, int]:
        """Put every schema in its subjects, compatibility first. Gives the id by record. Raises Incompatible."""
        return self._each(prefix, self._register)

    def all_ids(self, prefix: str = "") -> dict[str, int]:
        """The id by record, for the topics with this prefix. Raises NotRegistered; registers nothing."""
        return self._each(prefix, self._registered)

    def ids(self, topic: str, prefix: str = "") -> dict[str, int]:
        """The ids of one topic's records. Raises NotRegistered."""
        return {record: self._registered(prefix + topic, record) for record in RECORDS_OF_TOPIC[topic]}

    def states(self, prefix: str = "") -> list[SubjectState]:
        """Every subject of this product as the registry has it now."""
        found = []
        for topic, record in _pairs():
            name = subject(prefix + topic, record)
            number = self._lookup(name, record)
            fits = number is not None or self._fits(name, record)
            found.append(SubjectState(prefix + topic, record, name, number, self._compatibility(name), fits))
        return found

    def writer_schema(self, number: int) -> Schema:
        """The schema with this id, fetched once. Raises UnknownSchema only if the registry definitely has none."""
        schema = self._writer_schemas.get(number)
        if schema is None:
            try:
                found = self._ask(lambda: self.client.get_schema(number))
            except _Refused as refused:
                if refused.code != SCHEMA_NOT_FOUND:
                    raise RegistryAway(f"{self.url}: {refused}") from None
                raise UnknownSchema(f"the registry has no schema with the id {number}") from None
            schema = self._writer_schemas[number] = self._whole(found)
        return schema

    def _whole(self, found: RegisteredSchema) -> Schema:
        """A registered schema with the types of its references put in place."""
        if (found.schema_type or "AVRO") != "AVRO":
            raise CannotResolve(f"the schema is {found.schema_type}, not Avro")
        schema = json.loads(str(found.schema_str))
        references = {}
        for reference in found.references or ():
            version = self._ask(lambda r=reference: self.client.get_version(r.subject, r.version))  # type: ignore[misc]
            references[str(reference.name)] = self._whole(version.schema)
        return inline(schema, references.get) if references else schema

    def _each(self, prefix: str, give: Callable[[str, str], int]) -> dict[str, int]:
        ids: dict[str, int] = {}
        for topic, record in _pairs():
            number = give(prefix + topic, record)
            if TOPIC_OF_RECORD[record] == topic:
                ids[record] = number
        return ids

    def _register(self, topic: str, record: str) -> int:
        name = subject(topic, record)
        try:
            if self._compatibility(name) != COMPATIBILITY:
                self._ask(lambda: self.client.set_compatibility(name, COMPATIBILITY))
            return self._ask(lambda: self.client.register_schema(name, _registered_text(record)))
        except _Refused as refused:
            if refused.status != INCOMPATIBLE:
                raise RegistryAway(f"{self.url}: {refused}") from None
            raise Incompatible(f"{name}: {refused}") from None

    def _registered(self, topic: str, record: str) -> int:
        number = self._lookup(subject(topic, record), record)
        if number is None:
            raise NotRegistered(
                f"{subject(topic, record)} is not in the registry at {self.url} as this version knows it: "
                "run `twofold schemas apply`"
            )
        return number

    def _lookup(self, name: str, record: str) -> int | None:
        try:
            found = self._ask(lambda: self.client.lookup_schema(name, _registered_text(record)))
        except _Refused as refused:
            if refused.code in (SUBJECT_NOT_FOUND, SCHEMA_NOT_FOUND):
                return None
            raise RegistryAway(f"{self.url}: {refused}") from None
        return found.schema_id

    def _compatibility(self, name: str) -> str | None:
        try:
            return str(self._ask(lambda: self.client.get_compatibility(name)))
        except _Refused as refused:
            if refused.status == 404:
                return None
            raise RegistryAway(f"{self.url}: {refused}") from None

    def _fits(self, name: str, record: str) -> bool:
        try:
            return self._ask(lambda: self.client.test_compatibility_all_versions(name, _registered_text(record)))
        except _Refused as refused:
            if refused.code in (SUBJECT_NOT_FOUND, VERSION_NOT_FOUND):
                return True
            raise RegistryAway(f"{self.url}: {refused}") from None

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except SchemaRegistryError as error:
            raise _Refused(error) from None
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise RegistryAway(f"no answer from the registry at {self.url}: {error}") from None


class _Refused(Exception):
    def __init__(self, error: SchemaRegistryError) -> None:
        super().__init__(f"HTTP {error.http_status_code}, code {error.error_code}: {error.error_message}")
        self.status: int = error.http_status_code
        self.code: int = error.error_code


def _pairs() -> list[tuple[str, str]]:
    return [(topic, record) for topic, records in RECORDS_OF_TOPIC.items() for record in records]


def _registered_text(record: str) -> RegisteredSchema:
    return RegisteredSchema(text(record), "AVRO")
