"""Rows in PostgreSQL's binary COPY format, packed by hand: four times as fast as a general writer.

The format: https://www.postgresql.org/docs/current/sql-copy.html, section "Binary Format". A row is the number of its
columns (int16), then for each column its length in bytes (int32, -1 for null) and its value in network byte order. A
text column and a text element of a binary array look the same, so packed ids are kept and used for both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from struct import Struct

from streams.ledger.intents import OpenAccount
from streams.ledger.journal import JournalRecord
from streams.ledger.rows import Position
from streams.ledger.vocabulary import Input

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
POSTGRES_EPOCH = 946_684_800_000_000
"""Microseconds from 1970 to 2000, from which Postgres counts a timestamptz."""
LONGEST_ID = 64
"""What is longer is no account id or currency; it is in a refused intent, and shown cut."""

TRANSFER_EVENTS = (
    "partition, sequence, time, rules, kind, outcome, step, transfer, pending, account, counterparty, amount, "
    "currency, reason, debits_pending, debits_posted, credits_posted, origin, origin_pending, input_topic, "
    "input_partition, input_offset, input_leg, trigger_topic, trigger_partition, trigger_offset, trigger_leg, ordinal"
)
ENTRIES = "partition, sequence, transfer, kind, time"
POSTINGS = "partition, sequence, line, account, side, amount, currency"
ACCOUNTS = "id, partition, opened, currency, tenant, owner, name, type, metadata, opened_at"
ACCOUNT_BALANCES = "account, partition, currency, debits_pending, debits_posted, credits_posted, version"

EVENT_COLUMNS = TRANSFER_EVENTS.count(",") + 1

_event_head = Struct(">hiiiqiqii").pack
_int2 = Struct(">ih").pack
_int8 = Struct(">iq").pack
_figures = Struct(">iqiqiq").pack
_last = Struct(">ii").pack
_entry_head = Struct(">hiiiqi16s").pack
_posting_head = Struct(">hiiiqih").pack
_account_mid = Struct(">iiiq").pack
_balance_mid = Struct(">ii").pack
_balance_tail = Struct(">iqiqiqiq").pack
_positions = {Input.INTENTS: Struct(">i7siiiqii").pack, Input.LEGS: Struct(">i4siiiqii").pack}
_topic_names = {topic: topic.encode() for topic in Input}

_json = json.JSONEncoder(ensure_ascii=False).encode

NO_FIGURES = NULL * 3
ZERO = _int8(8, 0)


def clean(text: str) -> str:
    """The text without NUL, which Postgres cannot store: shown as U+2400."""
    return text.replace("\x00", "\u2400") if "\x00" in text else text


@lru_cache(maxsize=200_000)
def text(value: str | None) -> bytes:
    """A short text: an account id, currency, reason or name of the vocabulary; cut if it is no such thing."""
    if value is None:
        return NULL
    if len(value) > LONGEST_ID:
        value = value[:LONGEST_ID] + "…"
    return long_text(value)


def long_text(value: str) -> bytes:
    """Any text."""
    data = clean(value).encode()
    return len(data).to_bytes(4, "big") + data


def json_object(values: Mapping[str, str]) -> bytes:
    """A jsonb object of texts."""
    data = _json({clean(k): clean(v) for k, v in values.items()}).encode()
    return (len(data) + 1).to_bytes(4, "big") + b"\x01" + data


@lru_cache(maxsize=10_000)
def _what(kind: str, outcome: str, step: int) -> bytes:
    return text(kind) + text(outcome) + _int2(2, step)


def _position(position: Position) -> bytes:
    topic, partition, offset, leg = position
    name = _topic_names[topic]
    return _positions[topic](len(name), name, 4, partition, 8, offset, 4, leg)


def _uuid(value: bytes | None) -> bytes:
    return NULL if value is None else b"\x00\x00\x00\x10" + value


def event_row(partition: int, r: JournalRecord) -> bytes:
    """The row of ``transfer_events`` of any journal record."""
    read = _position(r.input)
    return b"".join(
        (
            _event_head(EVENT_COLUMNS, 4, partition, 8, r.sequence, 8, r.time - POSTGRES_EPOCH, 4, r.rules),
            _what(r.kind, r.outcome, r.step),
            _uuid(r.transfer),
            _int8(8, r.pending) if r.pending else ZERO,
            text(r.account),
            text(r.counterparty),
            NULL if r.amount is None else _int8(8, r.amount),
            text(r.currency),
            text(r.reason),
            _figures(8, r.figures[0], 8, r.figures[1], 8, r.figures[2]) if r.figures is not None else NO_FIGURES,
            _uuid(r.origin),
            _int8(8, r.origin_pending) if r.origin_pending else ZERO,
            read,
            read if r.trigger == r.input else _position(r.trigger),
            _last(4, r.ordinal),
        )
    )


def entry_row(partition: int, r: JournalRecord) -> bytes:
    """The row of ``entries`` of a SETTLED record."""
    assert r.transfer is not None, "an entry belongs to a transfer"
    head = _entry_head(5, 4, partition, 8, r.sequence, 16, r.transfer)
    return head + text(r.kind) + _int8(8, r.time - POSTGRES_EPOCH)


def posting_rows(partition: int, r: JournalRecord) -> bytes:
    """The rows of ``postings`` of a SETTLED record: its whole entry."""
    assert r.entry is not None, "only a record with an entry has postings"
    return b"".join(
        _posting_head(7, 4, partition, 8, r.sequence, 2, line)
        + text(posting.account)
        + (b"\x00\x00\x00\x01D" if posting.side == "DEBIT" else b"\x00\x00\x00\x01C")
        + _int8(8, posting.amount)
        + text(posting.currency)
        for line, posting in enumerate(r.entry)
    )


def account_row(partition: int, r: JournalRecord, opened: OpenAccount) -> bytes:
    """The row of ``accounts`` of the record that opened one."""
    return b"".join(
        (
            b"\x00\x0a",
            text(opened.account),
            _account_mid(4, partition, 8, r.sequence),
            text(opened.currency),
            *(long_text(t) for t in (opened.tenant, opened.owner, opened.name, opened.type)),
            json_object(opened.metadata),
            _int8(8, r.time - POSTGRES_EPOCH),
        )
    )


def balance_row(account: str, partition: int, currency: str, figures: tuple[int, int, int], version: int) -> bytes:
    """The first row of ``account_balances`` of an account."""
    pending, posted, credited = figures
    return b"".join(
        (
            b"\x00\x07",
            text(account),
            _balance_mid(4, partition),
            text(currency),
            _balance_tail(8, pending, 8, posted, 8, credited, 8, version),
        )
    )
