"""The transfer job in plain Faust: the same three steps with Faust's own topics and tables, at-least-once.

It reads the same intents and writes the same journal records, with the product's codec, so that both pay the same
for Avro. It does less: no account order, no holds, no reversals, no limits but funds, no windows on keys, and
(at-least-once, tables flushed on their own) no promise that a crash loses or doubles nothing. That favours this peer.

Run by ``bench/against_faust.py``, which sets PEER_* variables: a Faust app is configured where it is imported.
"""

from __future__ import annotations

import os
from typing import Any

import faust

from streams.agents.codec import LedgerCodec
from streams.engine.partitioner import partition_of
from streams.ledger.ids import transfer_id
from streams.ledger.intents import OpenAccount, Transfer
from streams.ledger.journal import Figures, JournalRecord, Posting
from streams.ledger.legs import Leg
from streams.ledger.rows import Position
from streams.ledger.vocabulary import Input, Kind, LegKind, Outcome

PREFIX = os.environ["PEER_PREFIX"]
PARTITIONS = int(os.environ["PEER_PARTITIONS"])

app = faust.App(
    os.environ["PEER_GROUP"],
    broker="kafka://" + os.environ["PEER_BROKER"],
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    broker_max_poll_records=2000,
    stream_wait_empty=False,
    web_bind="127.0.0.1",
    web_port=int(os.environ["PEER_PORT"]),
    datadir=os.environ["PEER_DATA"],
)
codec = LedgerCodec.connect(os.environ["PEER_REGISTRY"], PREFIX)
intents = app.topic(PREFIX + "payment-intents", key_serializer="raw", value_serializer="raw")
legs = app.topic(PREFIX + "transfer-legs", key_serializer="raw", value_serializer="raw")
journal = app.topic(PREFIX + "journal", key_serializer="raw", value_serializer="raw")
# One row an account: [currency, debits_pending, debits_posted, credits_posted, minimum balance or None].
accounts = app.Table("accounts", partitions=PARTITIONS, key_type=str, value_type=list)
keys = app.Table("keys", partitions=PARTITIONS, key_type=str, value_type=list)
numbers = [0] * PARTITIONS


@app.agent(intents)
async def pay(stream: Any) -> None:
    """Step 1."""
    async for event in stream.events():
        message = event.message
        intent = codec.decode_intent(event.value)
        id = transfer_id(intent.account, intent.idempotency_key)
        key = id.hex()
        if key in keys:
            continue
        position = Position(Input.INTENTS, message.partition, message.offset)
        if isinstance(intent, OpenAccount):
            accounts[intent.account] = [intent.currency, 0, 0, 0, intent.minimum_balance]
            keys[key] = ["APPLIED"]
            await record_opening(intent, id, position, message.timestamp)
        elif isinstance(intent, Transfer):
            await reserve(intent, id, position, message.timestamp)


async def reserve(intent: Transfer, id: bytes, position: Position, timestamp: float) -> None:
    """Reserve the payer's funds and send a leg to the payee, or reject."""
    account = accounts.get(intent.account)
    outcome, reason = Outcome.PENDING, None
    if account is None:
        outcome, reason = Outcome.REJECTED, "account_not_found"
    else:
        currency, pending, debits, credits, minimum = account
        if minimum is not None and credits - debits - pending - intent.amount < minimum:
            outcome, reason = Outcome.REJECTED, "insufficient_funds"
        else:
            account = [currency, pending + intent.amount, debits, credits, minimum]
            accounts[intent.account] = account
    keys[id.hex()] = [outcome, reason]
    await record(id, position, timestamp, outcome, 1, intent.account, intent.payee, intent, reason, account)
    if outcome is Outcome.PENDING:
        leg = Leg(LegKind.CREDIT, id, 1, Kind.TRANSFER, intent.account, intent.payee, intent.amount, intent.currency)
        await send(intent.payee, leg)


@app.agent(legs)
async def settle(stream: Any) -> None:
    """Steps 2 and 3."""
    async for event in stream.events():
        message = event.message
        for leg in codec.decode_legs(event.value).legs:
            position = Position(Input.LEGS, message.partition, message.offset)
            if leg.kind is LegKind.CREDIT:
                await credit(leg, position, message.timestamp)
            else:
                await post(leg, position, message.timestamp)


async def credit(leg: Leg, position: Position, timestamp: float) -> None:
    """Step 2."""
    account = accounts.get(leg.payee)
    if account is None or account[0] != leg.currency:
        await record(leg.transfer, position, timestamp, Outcome.REFUSED, 2, leg.payee, leg.payer, leg, "payee", None)
        await send(leg.payer, leg._replace(kind=LegKind.REFUSED, reason="payee_not_found"))
        return
    account = [*account[:3], account[3] + leg.amount, account[4]]
    accounts[leg.payee] = account
    await record(leg.transfer, position, timestamp, Outcome.SETTLED, 2, leg.payee, leg.payer, leg, None, account)
    await send(leg.payer, leg._replace(kind=LegKind.SETTLED))


async def post(leg: Leg, position: Position, timestamp: float) -> None:
    """Step 3."""
    currency, pending, debits, credits, minimum = accounts[leg.payer]
    settled = leg.kind is LegKind.SETTLED
    account = [currency, pending - leg.amount, debits + leg.amount if settled else debits, credits, minimum]
    accounts[leg.payer] = account
    outcome = Outcome.POSTED if settled else Outcome.COMPENSATED
    keys[leg.transfer.hex()] = [outcome, leg.reason]
    await record(leg.transfer, position, timestamp, outcome, 3, leg.payer, leg.payee, leg, leg.reason, account)


async def send(account: str, leg: Leg) -> None:
    """A leg travels to the partition of the account."""
    target = partition_of(account.encode(), PARTITIONS)
    await legs.send(value=codec.encode_legs(0, 0, [leg]), partition=target)


async def record_opening(intent: OpenAccount, id: bytes, position: Position, timestamp: float) -> None:
    """Journal an account's opening."""
    numbers[position.partition] += 1
    applied = JournalRecord(
        numbers[position.partition],
        int(timestamp * 1_000_000),
        1,
        position,
        position,
        0,
        Kind.OPEN,
        Outcome.APPLIED,
        0,
        transfer=id,
        account=intent.account,
        currency=intent.currency,
        figures=Figures(0, 0, 0),
        intent=intent.wire,
    )
    await journal.send(key=id, value=codec.encode_journal(applied), partition=position.partition)


async def record(
    id: bytes,
    position: Position,
    timestamp: float,
    outcome: Outcome,
    step: int,
    account: str,
    counterparty: str,
    about: Transfer | Leg,
    reason: str | None,
    row: list[Any] | None,
) -> None:
    """Write a journal record with the same fields as the product's."""
    numbers[position.partition] += 1
    entry = None
    if outcome is Outcome.SETTLED:
        entry = (
            Posting(counterparty, "DEBIT", about.amount, about.currency),
            Posting(account, "CREDIT", about.amount, about.currency),
        )
    value = codec.encode_journal(
        JournalRecord(
            sequence=numbers[position.partition],
            time=int(timestamp * 1_000_000),
            rules=1,
            input=position,
            trigger=position,
            ordinal=0,
            kind=Kind.TRANSFER,
            outcome=outcome,
            step=step,
            transfer=id,
            pending=1,
            account=account,
            counterparty=counterparty,
            amount=about.amount,
            currency=about.currency,
            reason=reason,
            figures=Figures(row[1], row[2], row[3]) if row else None,
            entry=entry,
            intent=about.wire if isinstance(about, Transfer) else None,
        )
    )
    await journal.send(key=id, value=value, partition=position.partition)
