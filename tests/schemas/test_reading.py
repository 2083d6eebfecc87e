"""Strict reading: the verdict of a plain walk over the bytes, and of both builds of fastavro where they are right."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from fastavro import _read as c_build
from fastavro import _read_py as python_build
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.catalogue import INTENTS, definition
from schemas.codec import RECORDS, without_logical_types
from schemas.errors import BadRecord
from schemas.reading import Reader, compile_reader
from tests.schemas.values import encoded_record, nearly, records
from tests.schemas.walker import Refused, Walk

READERS: dict[str, Reader] = {record: compile_reader(definition(record), definition(record)) for record in RECORDS}
PARSED = {record: fastavro.parse_schema(without_logical_types(definition(record))) for record in RECORDS}
ATTACKED = st.sampled_from([*INTENTS, "PackedLegs", "JournalRecord"])


def verdict(record: str, data: bytes) -> Any:
    try:
        return READERS[record](data, 0)
    except BadRecord as error:
        return error.reason


def walked(record: str, data: bytes) -> Any:
    try:
        return Walk(data).whole(definition(record))
    except Refused as error:
        return str(error)


def read_by(build: Any, record: str, data: bytes) -> Any:
    return build.schemaless_reader(io.BytesIO(data), PARSED[record], None)


@given(st.data())
@settings(max_examples=300)
def test_every_valid_record_is_read_as_fastavro_reads_it(data: st.DataObject) -> None:
    """What fastavro writes is read, with the same values as its C and its Python build give."""
    record = data.draw(st.sampled_from(RECORDS))
    value = data.draw(records(record))
    written = encoded_record(record, value)
    assert verdict(record, written) == value
    assert read_by(c_build, record, written) == read_by(python_build, record, written) == value


@given(st.data())
@settings(max_examples=600)
def test_a_damaged_record_gets_the_verdict_of_the_exact_walk(data: st.DataObject) -> None:
    """No crash, the same value or the same reason as a plain walk; and no value that fastavro would read otherwise."""
    record = data.draw(ATTACKED)
    damaged = data.draw(nearly(record))
    found = verdict(record, damaged)
    assert found == walked(record, damaged)
    if isinstance(found, dict):
        assert read_by(c_build, record, damaged) == read_by(python_build, record, damaged) == found


@given(ATTACKED, st.binary(max_size=200))
@settings(max_examples=500)
def test_arbitrary_bytes_get_the_verdict_of_the_exact_walk(record: str, data: bytes) -> None:
    """Bytes from anywhere never crash a reader, and are judged as by the walk."""
    assert verdict(record, data) == walked(record, data)


def transfer(**change: Any) -> bytes:
    fields = {"account": "a", "idempotency_key": "k", "payee": "b", "amount": 1, "currency": "EUR"}
    return encoded_record("Transfer", {**fields, **change})


def replaced(old: bytes, new: bytes) -> bytes:
    data = transfer(amount=11111)
    assert data.count(old) == 1
    return data.replace(old, new)


AMOUNT = b"\xce\xad\x01"


def stretched(z: int, length: int) -> bytes:
    """A zigzag value in so many bytes, more than it needs."""
    return bytes((z >> 7 * i) & 127 | (128 if i < length - 1 else 0) for i in range(length))


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (transfer() + b"\0", "bytes_left_over"),
        (transfer()[:-1], "truncated"),
        (b"", "truncated"),
        (replaced(AMOUNT, b"\xff" * 9 + b"\x02"), "integer_out_of_range"),
        (replaced(AMOUNT, stretched(22222, 11)), "integer_out_of_range"),
        (b"\x01" + transfer()[1:], "undecodable"),
        (transfer()[:-1] + b"\x04", "undecodable"),
        (transfer(account="a" * 257), "field_too_long"),
        (transfer(reference="ß" * 129), "field_too_long"),
        (transfer(currency="\0"), "undecodable"),
        (transfer(metadata={str(i): "" for i in range(33)}), "metadata_too_large"),
        (transfer(metadata={"k" * 65: ""}), "metadata_too_large"),
        (transfer(metadata={"k": "v" * 513}), "metadata_too_large"),
        (transfer(payee="b").replace(b"\x02b", b"\x02\xff"), "undecodable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_way_to_be_wrong_has_its_own_reason(damaged: bytes, reason: str) -> None:
    """[!] Bytes left over, integers that do not fit and the rest are refused by name, not read as something else."""
    assert verdict("Transfer", damaged) == reason


@pytest.mark.parametrize("length", range(3, 11))
def test_an_integer_may_be_longer_than_it_needs_up_to_ten_bytes(length: int) -> None:
    """Avro asks for no shortest form: every length up to ten bytes is the same number."""
    found = verdict("Transfer", replaced(AMOUNT, stretched(22222, length)))
    assert found["amount"] == 11111


@pytest.mark.parametrize("amount", [2**63 - 1, -(2**63)])
def test_the_ends_of_64_bits_are_read(amount: int) -> None:
    """The largest and the smallest integer of ten bytes are numbers, not errors."""
    assert verdict("Transfer", transfer(amount=amount))["amount"] == amount


def test_bounds_are_in_bytes_and_inclusive() -> None:
    """The longest text and the fullest metadata that the schema documents are read."""
    metadata = {f"{i:064}": "v" * 512 for i in range(32)}
    found = verdict("Transfer", transfer(account="a" * 256, metadata=metadata))
    assert found["metadata"] == metadata


def test_a_map_may_come_in_blocks_with_sizes_which_must_be_right() -> None:
    """A negative count is followed by the block's size in bytes; a wrong size or a repeated key is refused."""
    plain = transfer(metadata={"a": "1"})
    entry = b"\x02a\x021"
    whole = b"\x02" + entry + b"\x00"
    assert plain.count(whole) == 1
    assert verdict("Transfer", plain.replace(whole, b"\x01\x08" + entry + b"\x00"))["metadata"] == {"a": "1"}
    assert verdict("Transfer", plain.replace(whole, b"\x01\x06" + entry + b"\x00")) == "undecodable"
    assert verdict("Transfer", plain.replace(whole, b"\x01\x07" + entry + b"\x00")) == "undecodable"
    assert verdict("Transfer", plain.replace(whole, b"\x04" + entry + entry + b"\x00")) == "undecodable"


def test_an_announced_count_cannot_make_a_reader_run_away() -> None:
    """2^62 entries announced in ten bytes are refused at once."""
    whole = b"\x00\x00\x00"
    data = transfer()
    assert data.endswith(whole)
    assert verdict("Transfer", data[:-3] + b"\xfe" + b"\xff" * 8 + b"\x01") == "truncated"
