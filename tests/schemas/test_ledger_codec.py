"""The ledger's codec: its generated writers give fastavro's bytes, its readers give the ledger's own values back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from re import findall
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.serializer import as_avro
from schemas.catalogue import INTENTS, definition
from schemas.errors import UnknownSchema
from schemas.framing import HEADER_BYTES, header, schema_id
from streams.agents import codec as module
from streams.agents.codec import MAX_INTENT_BYTES, BadIntent, LedgerCodec
from streams.ledger import journal, legs, rows
from streams.ledger.intents import KINDS, Freeze, Transfer
from streams.ledger.reasons import REASONS
from streams.ledger.vocabulary import Input, Kind, LegKind, Outcome, Resolution, Status
from tests.schemas.values import encoded_record, records

CODEC = LedgerCodec.offline()
CLASSES: Mapping[str, Any] = {
    **{cls.__name__: cls for cls in KINDS},
    **{cls.__name__: cls for cls in (journal.JournalRecord, journal.Figures, journal.FirstOutcome, journal.DeadLetter)},
    **{cls.__name__: cls for cls in (journal.Posting, legs.Leg, rows.Position, rows.Parameters, rows.PartitionRow)},
    **{cls.__name__: cls for cls in (rows.AccountRow, rows.VelocityRow, rows.TransferRow, rows.SettledTransfer)},
    **{cls.__name__: cls for cls in (rows.HoldRow, rows.ParkedRow)},
}
ENUMS: dict[str, type[StrEnum]] = {cls.__name__: cls for cls in (Input, Kind, LegKind, Outcome, Resolution, Status)}
WIRE = CODEC.encode_intent(Transfer("a", "k", "b", 1, "EUR"))


def as_ledger(schema: Any, value: Any, named: dict[str, Any]) -> Any:
    """The ledger's value for what fastavro takes, built by walking the schema: the other way round than the codec."""
    if isinstance(schema, list):
        if value is None:
            return None
        (schema,) = [branch for branch in schema if branch != "null"]
    schema = named.get(schema, schema) if isinstance(schema, str) else schema
    if not isinstance(schema, dict):
        return value
    named.setdefault(schema.get("name", ""), schema)
    if schema["type"] == "enum":
        return ENUMS[schema["name"]](value) if schema["name"] in ENUMS else value
    if schema["type"] == "array":
        return tuple(as_ledger(schema["items"], item, named) for item in value)
    if schema["type"] != "record":
        return value
    fields = {f["name"]: as_ledger(f["type"], value[f["name"]], named) for f in schema["fields"]}
    if schema["name"] not in CLASSES:
        return tuple(fields.values())
    cls = CLASSES[schema["name"]]
    if "intent" in fields and cls is not journal.JournalRecord:
        fields["intent"] = CODEC.decode_intent(fields["intent"])
    return cls(**{name: part for name, part in fields.items() if name in cls._fields})


def of(record: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values of a record, without what the ledger does not keep and with an intent that is one."""

    def settle(value: dict[str, Any]) -> dict[str, Any]:
        for name in ("occurred_at", "request_id"):
            if name in value:
                value[name] = None
        if record in ("TransferRow", "ParkedRow"):
            value["intent"] = WIRE
        return value

    return records(record).map(settle)


def check(record: str, value: dict[str, Any], write: Callable[[Any], bytes], read: Callable[[bytes], Any]) -> None:
    expected = as_ledger(definition(record), value, {})
    written = write(expected)
    assert written[HEADER_BYTES:] == encoded_record(record, value)
    again = read(written)
    if hasattr(again, "wire"):
        assert again.wire == written
        again = again._replace(wire=b"")
    assert again == expected
    assert type(again) is type(expected)


@given(st.data())
@settings(max_examples=200)
def test_intents_are_written_as_fastavro_writes_them_and_come_back(data: st.DataObject) -> None:
    """For every kind of intent: the same bytes as fastavro's, and the same value again, with its wire bytes."""
    record = data.draw(st.sampled_from(INTENTS))
    check(record, data.draw(of(record)), CODEC.encode_intent, CODEC.decode_intent)


ROWS = {
    "JournalRecord": "journal",
    "PartitionRow": "partition",
    "AccountRow": "account",
    "VelocityRow": "velocity",
    "TransferRow": "transfer",
    "HoldRow": "hold",
    "ParkedRow": "parked",
}


@given(st.data())
@settings(max_examples=300)
def test_journal_and_rows_are_written_as_fastavro_writes_them_and_come_back(data: st.DataObject) -> None:
    """The hot path's generated code differs from the library in speed alone."""
    record = data.draw(st.sampled_from(list(ROWS)))
    write, read = getattr(CODEC, f"encode_{ROWS[record]}"), getattr(CODEC, f"decode_{ROWS[record]}")
    check(record, data.draw(of(record)), write, read)


@given(of("PackedLegs"))
def test_legs_are_written_as_fastavro_writes_them_and_come_back(value: dict[str, Any]) -> None:
    """Packed legs keep their order, source and number."""
    packed = tuple(as_ledger("Leg", leg, {"Leg": LEG}) for leg in value["legs"])
    written = CODEC.encode_legs(value["source"], value["first"], packed)
    assert written[HEADER_BYTES:] == encoded_record("PackedLegs", value)
    source, first, again = CODEC.decode_legs(written)
    assert (source, first, tuple(again)) == (value["source"], value["first"], packed)


LEG = definition("PackedLegs")["fields"][2]["type"]["items"]


@given(of("SettledRow"))
def test_settled_rows_are_written_as_fastavro_writes_them_and_come_back(value: dict[str, Any]) -> None:
    """All occurrences of a transfer id are in one row."""
    (expected,) = as_ledger(definition("SettledRow"), value, {})
    written = CODEC.encode_settled(expected)
    assert written[HEADER_BYTES:] == encoded_record("SettledRow", value)
    assert CODEC.decode_settled(written) == expected


def test_a_dead_letter_keeps_512_kib_and_the_digest_of_the_whole() -> None:
    """What could not be decoded can be looked at later, whatever its size."""
    value = bytes(700_000)
    kept = CODEC.decode_dead_letter(CODEC.encode_dead_letter("payment-intents", 3, 9, "too_large", value))
    assert (kept.length, len(kept.value), kept.offset) == (700_000, 512 * 1024, 9)
    assert kept.sha256 == sha256(value).digest()


def reason_of(value: bytes) -> str:
    with pytest.raises(BadIntent) as refused:
        CODEC.decode_intent(value)
    assert refused.value.reason in REASONS
    return refused.value.reason


def test_no_intent_is_larger_than_256_kib() -> None:
    """[!] Size is judged at decode: 256 KiB is read, one byte more is too_large, whatever the bytes are."""
    assert reason_of(b"\1" + bytes(MAX_INTENT_BYTES)) == "too_large"
    assert reason_of(b"\1" + bytes(MAX_INTENT_BYTES - 1)) == "bad_magic"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "truncated"),
        (b"\0\0\0", "truncated"),
        (b"{}", "bad_magic"),
        (header(0) + b"abc", "unknown_schema"),
        (b"\0\xff\xff\xff\xff", "unknown_schema"),
        (header(1_000_000) + b"abc", "unknown_schema"),
        (CODEC.encode_legs(0, 1, ()), "not_an_intent"),
        (WIRE[:HEADER_BYTES], "truncated"),
        (WIRE + b"x", "bytes_left_over"),
    ],
)
def test_a_frame_that_is_wrong_has_its_own_reason(value: bytes, reason: str) -> None:
    """Magic byte, schema id and record are judged in this order."""
    assert reason_of(value) == reason


def test_every_reason_that_decoding_can_give_is_in_the_table() -> None:
    """The codes are written in ``schemas``, which does not know the ledger's table."""
    source = "".join(path.read_text() for path in Path(module.__file__).parents[2].glob("schemas/*.py"))
    codes = set(findall(r'(?:BadRecord\(|refuse\(|_refusing\()f?[\'"](\w+)[\'"]', source))
    assert codes >= {"truncated", "undecodable", "unknown_schema", "bad_magic", "integer_out_of_range"}
    assert codes <= set(REASONS)


def test_what_is_no_business_field_is_read_and_dropped() -> None:
    """A time and a request id travel with an intent; the ledger's value is the same without them."""
    fields = as_avro(Freeze("a", "k"))
    plain = header(schema_id(CODEC.encode_intent(Freeze("a", "k"))))
    traced = plain + encoded_record("Freeze", {**fields, "occurred_at": 1, "request_id": "r"})
    assert CODEC.decode_intent(traced)._replace(wire=b"") == Freeze("a", "k")


def test_an_unknown_id_is_asked_for_again() -> None:
    """A schema may be registered after its id was first seen: only found ones are remembered."""
    asked: list[int] = []

    def registry(number: int) -> Any:
        asked.append(number)
        raise UnknownSchema(f"no schema {number}")

    codec = LedgerCodec(module.OfflineSchemas().ids, registry)
    for _ in range(2):
        with pytest.raises(BadIntent):
            codec.decode_intent(header(7) + b"x")
    assert asked == [7, 7]


@pytest.mark.parametrize("wrong", [2**63, -(2**63) - 1])
def test_a_number_outside_64_bits_is_not_written(wrong: int) -> None:
    """Better an error here than a wrapped amount there."""
    with pytest.raises(OverflowError):
        CODEC.encode_intent(Transfer("a", "k", "b", wrong, "EUR"))


def test_an_id_of_another_size_is_not_written() -> None:
    """A fixed field has no length in Avro: 15 bytes would shift everything behind them."""
    leg = legs.Leg(LegKind.CREDIT, bytes(15), 1, Kind.TRANSFER, "a", "b", 1, "EUR")
    with pytest.raises(ValueError, match="16 bytes"):
        CODEC.encode_legs(0, 1, (leg,))
