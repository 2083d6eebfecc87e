"""Invariant 8: one digest of the journal's fold, of Postgres' rows and of the tables, whatever the way they were made.

A digest is the sum modulo 2^128 of the MD5 of one line of text a row, so that it does not depend on the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import md5
from itertools import zip_longest

from streams.reconciliation.proof.books import Digest, event_lines, posting_lines
from streams.reconciliation.proof.evidence import ACCOUNT, Evidence, Record
from streams.reconciliation.proof.fold import Fold
from streams.reconciliation.proof.tables import ROW_FIGURES

CHANGED = "Postgres: the digest of {} of partition {} differs, but its rows up to the sink's position do not"
LOUD = frozenset(("PENDING", "SETTLED", "REFUSED", "POSTED", "COMPENSATED", "EXPIRED", "APPLIED"))


def digest(lines: Iterable[str]) -> int:
    """The digest of some rows."""
    return sum(int.from_bytes(md5(line.encode(), usedforsecurity=False).digest(), "big") for line in lines) % 2**128


def event_line(partition: int, record: Record) -> str:
    """The line of a journal record, as Postgres makes it of its row in transfer_events."""
    loud = record["outcome"] in LOUD
    figures = record["figures"]
    one, two, three = ("", "", "") if figures is None else figures.values()
    transfer, origin = record["transfer"], record["origin"]
    amount = record["amount"]
    where, cause = record["input"], record["trigger"]
    return (
        f"{partition}|{record['sequence']}|{record['time']}|{record['rules']}|{record['kind']}|{record['outcome']}"
        f"|{record['step']}|{transfer.hex() if transfer else ''}|{record['pending']}"
        f"|{record['account'] or '' if loud else ''}|{record['counterparty'] or '' if loud else ''}"
        f"|{'' if amount is None else amount}|{record['currency'] or '' if loud else ''}|{record['reason'] or ''}"
        f"|{one}|{two}|{three}|{origin.hex() if origin else ''}|{record['origin_pending']}"
        f"|{where[0]}|{where[1]}|{where[2]}|{where[3]}|{cause[0]}|{cause[1]}|{cause[2]}|{cause[3]}|{record['ordinal']}"
    )


def posting_lines_of(partition: int, record: Record) -> Iterator[str]:
    """The lines of a record's postings, as Postgres makes them."""
    for number, posting in enumerate(record["entry"] or ()):
        side, amount, currency = posting["side"][0], posting["amount"], posting["currency"]
        yield f"{partition}|{record['sequence']}|{number}|{posting['account']}|{side}|{amount}|{currency}"


def digests_agree(evidence: Evidence, fold: Fold, drained: bool) -> Iterator[str]:
    """What differs between the journal's fold and Postgres, and between the fold and the changelog's tables."""
    for partition, journal in enumerate(evidence.journal):
        position = evidence.books.positions.get(partition)
        at = position.sequence if position else 0
        known = journal[:at]
        ours = Digest(len(known), at, digest(event_line(partition, record) for record in known))
        theirs = evidence.books.events.get(partition, Digest())
        if ours != theirs:
            yield _first_event(evidence, partition, at) or CHANGED.format("transfer_events", partition)
        lines = [line for record in known for line in posting_lines_of(partition, record)]
        postings = evidence.books.postings.get(partition, Digest())
        if (digest(lines), len(lines)) != (postings.sum, postings.rows):
            yield _first_posting(evidence, partition, at) or CHANGED.format("postings", partition)
        if drained and at != len(journal):
            yield f"Postgres: partition {partition} stands at sequence {at}, the journal at {len(journal)}"
    fold_digest, table_digest = digest(fold_lines(evidence, fold)), digest(table_lines(evidence))
    if fold_digest != table_digest:
        yield f"the accounts' digest is {fold_digest:032x} by the journal's fold, {table_digest:032x} by the tables"


def every_row(evidence: Evidence) -> Iterator[str]:
    """Every row of Postgres against the journal's, one by one: no digest is trusted."""
    for partition in range(len(evidence.journal)):
        position = evidence.books.positions.get(partition)
        at = position.sequence if position else 0
        for fault in (_first_event(evidence, partition, at), _first_posting(evidence, partition, at)):
            if fault:
                yield fault


def fold_lines(evidence: Evidence, fold: Fold) -> Iterator[str]:
    """A line for each account: its figures in the journal's fold at the tables' position."""
    for name, (partition, currency) in fold.home.items():
        found = fold.figures_at(name, evidence.rows_at[partition])
        if found is not None:
            version, (pending, debited, credited) = found
            yield f"{partition}|{name}|{currency}|{version}|{pending}|{debited}|{credited}"


def table_lines(evidence: Evidence) -> Iterator[str]:
    """The same from the changelog's rows."""
    for partition, table in enumerate(evidence.tables):
        for (tag, key), (value, _) in table.items():
            if tag == ACCOUNT:
                row = evidence.decode(value)
                figures = "|".join(str(row[field]) for field in ROW_FIGURES)
                yield f"{partition}|{key.decode()}|{row['currency']}|{row['version']}|{figures}"


def _first_event(evidence: Evidence, partition: int, at: int) -> str | None:
    ours = [(r["sequence"], event_line(partition, r)) for r in evidence.journal[partition][:at]]
    return _first(evidence, partition, ours, event_lines(evidence.settings, partition, at), "transfer_events")


def _first_posting(evidence: Evidence, partition: int, at: int) -> str | None:
    records = evidence.journal[partition][:at]
    ours = [(r["sequence"], line) for r in records for line in posting_lines_of(partition, r)]
    return _first(evidence, partition, ours, posting_lines(evidence.settings, partition, at), "postings")


def _first(
    evidence: Evidence, partition: int, ours: list[tuple[int, str]], theirs: list[tuple[int, str]], table: str
) -> str | None:
    for mine, found in zip_longest(ours, theirs):
        if mine != found:
            sequence = min(side[0] for side in (mine, found) if side is not None)
            where = evidence.where(partition, sequence)
            return f"Postgres: {table} has {found and found[1]!r}, the journal {mine and mine[1]!r} at {where}"
    return None
