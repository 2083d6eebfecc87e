"""Evidence of a ledger in memory, as if read from Kafka and Postgres: to be judged, or tampered with first."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from schemas.codec import Codec
from streams.agents.codec import LedgerCodec
from streams.reconciliation.proof.books import Balance, Books, Digest, Position
from streams.reconciliation.proof.digests import digest, event_line, posting_lines_of
from streams.reconciliation.proof.evidence import (
    ACCOUNT,
    FINAL_TRANSFER,
    HOLD,
    OPEN_TRANSFER,
    PARKED,
    PARTITION,
    SETTLED,
    Evidence,
    Leg,
    Table,
)
from streams.settings import Settings
from tests.ledger.pair import Pair

CODEC = LedgerCodec.offline()
READER = Codec.offline()


def exhibit(pair: Pair) -> Evidence:
    """Everything that a reader would find of the pair's ledger: a copy, to do anything to."""
    journal = copy.deepcopy(pair.journal)
    return Evidence(
        settings=Settings(partitions=pair.count),
        books=books_of(journal),
        intents=copy.deepcopy(pair.intents),
        legs=legs_of(pair),
        journal=journal,
        offsets=[[2 * n for n in range(len(records))] for records in journal],
        hashes={(p, 2 * len(records) - 2): b"h" * 32 for p, records in enumerate(journal)},
        tables=[table_of(pair, partition) for partition in range(pair.count)],
        rows_at=[len(records) for records in journal],
        decode=READER.decode,
    )


def legs_of(pair: Pair) -> list[dict[tuple[int, int], Leg]]:
    """The legs topic."""
    found: list[dict[tuple[int, int], Leg]] = []
    for carried in pair.carried:
        numbers: Counter[int] = Counter()
        legs = {}
        for place, (source, leg) in carried.items():
            numbers[source] += 1
            legs[place] = Leg(source, numbers[source], leg._asdict())
        found.append(legs)
    return found


def table_of(pair: Pair, partition: int) -> Table:
    """One partition's changelogs, compacted."""
    state = pair.states[partition]
    table: Table = {(PARTITION, b""): (CODEC.encode_partition(state.partition()), 0)}
    for name, account in state.accounts.items():
        table[ACCOUNT, name.encode()] = (CODEC.encode_account(account), 1)
    for transfer, row in state.transfers.items():
        table[FINAL_TRANSFER if row.expires else OPEN_TRANSFER, transfer] = (CODEC.encode_transfer(row), 2)
    for transfer, hold in state.holds.items():
        table[HOLD, transfer] = (CODEC.encode_hold(hold), 3)
    for transfer, settled in state.settlements.items():
        table[SETTLED, transfer] = (CODEC.encode_settled(settled), 4)
    for (account_name, sequence), parked in state.parkings.items():
        key = account_name.encode() + b"\0" + sequence.to_bytes(8, "big")
        table[PARKED, key] = (CODEC.encode_parked(parked), 5)
    return table


def books_of(journal: list[list[dict[str, Any]]]) -> Books:
    """Postgres as a faultless sink would fill it."""
    balances: dict[str, Balance] = {}
    totals: Counter[tuple[str, str]] = Counter()
    for partition, records in enumerate(journal):
        for record in records:
            if record["figures"] is not None:
                known = balances.get(record["account"])
                currency = record["currency"] if known is None else known.currency
                figures = record["figures"].values()
                balances[record["account"]] = Balance(partition, currency, *figures, record["sequence"])
            for posting in record["entry"] or ():
                totals[posting["currency"], posting["side"]] += posting["amount"]
    numbered = list(enumerate(journal))
    settled = {p: sum(record["entry"] is not None for record in records) for p, records in numbered}
    lines = {p: [line for record in records for line in posting_lines_of(p, record)] for p, records in numbered}
    return Books(
        positions={p: Position(len(records), 2 * len(records) - 2, b"h" * 32) for p, records in numbered},
        balances=balances,
        events={p: Digest(len(r), len(r), digest(event_line(p, record) for record in r)) for p, r in numbered},
        postings={p: Digest(len(found), 0, digest(found)) for p, found in lines.items()},
        entries={p: (count, count) for p, count in settled.items()},
        unbalanced=[],
        underived=[],
        totals={currency: (totals[currency, "DEBIT"], totals[currency, "CREDIT"]) for currency, _ in totals},
        outcomes={},
    )
