"""The journal broken on purpose: each fault is caught and named. The sink halts on some of these by itself."""

from __future__ import annotations

import pytest

from streams.ledger.journal import JournalRecord, Posting
from streams.ledger.vocabulary import Outcome
from tests.reconciliation.audit import Office, found
from tests.reconciliation.town import Town

pytestmark = pytest.mark.stack


def pending_settled(office: Office) -> tuple[Town, JournalRecord, int, JournalRecord]:
    """A transfer that is PENDING, and the SETTLED that its payee's partition is about to write."""
    town = office.town
    pending = town.transfer()
    assert pending.counterparty is not None
    partition = town.home(pending.counterparty)
    batch = town.decide(partition)
    (settled,) = batch.journal
    assert settled.outcome is Outcome.SETTLED
    town.legs[town.home(pending.account or "")].extend(leg for _, leg in batch.legs)
    return town, pending, partition, settled


def the_break(office: Office, kind: str) -> dict[str, object]:
    """The one break of a kind. Postgres is left out: no sink takes such a journal."""
    report = office.audit(until=kind)
    assert report["verdict"] == "BREAK", report
    assert kind in found(report), report["breaks"]
    return next(b for b in report["breaks"] if b["kind"] == kind)  # type: ignore[no-any-return]


def test_a_lone_debit_is_caught(office: Office) -> None:
    """An entry with a DEBIT and no CREDIT does not balance."""
    town, _, partition, settled = pending_settled(office)
    assert settled.entry is not None
    town.forge(partition, settled._replace(entry=settled.entry[:1]))
    b = the_break(office, "entry_unbalanced")
    assert (b["partition"], b["sequence"]) == (partition, settled.sequence)
    assert "DEBIT" in str(b["found"])
    assert "CREDIT" not in str(b["found"])


def test_a_changed_amount_of_an_entry_is_caught(office: Office) -> None:
    """An entry that balances with another amount than its record's is not its entry."""
    town, _, partition, settled = pending_settled(office)
    assert settled.entry is not None
    town.forge(partition, settled._replace(entry=tuple(p._replace(amount=p.amount + 1) for p in settled.entry)))
    assert the_break(office, "entry_differs")["sequence"] == settled.sequence


def test_an_entry_between_other_accounts_is_caught(office: Office) -> None:
    """An entry that balances but debits somebody else is not its entry."""
    town, _, partition, settled = pending_settled(office)
    entry = (Posting("EUR-0001", "DEBIT", settled.amount or 0, "EUR"), *(settled.entry or ())[1:])
    town.forge(partition, settled._replace(entry=entry))
    assert "EUR-0001" in str(the_break(office, "entry_differs")["found"])


def test_a_changed_amount_of_a_step_is_caught(office: Office) -> None:
    """A SETTLED of another amount than the PENDING breaks, even if its own entry and figures fit."""
    town, _, partition, settled = pending_settled(office)
    assert settled.entry is not None
    assert settled.figures is not None
    figures = settled.figures._replace(credits_posted=settled.figures.credits_posted + 1)
    entry = tuple(p._replace(amount=p.amount + 1) for p in settled.entry)
    town.forge(partition, settled._replace(amount=(settled.amount or 0) + 1, entry=entry, figures=figures))
    assert the_break(office, "step_differs")["sequence"] == settled.sequence


def test_changed_figures_are_caught(office: Office) -> None:
    """A record whose figures are not those before it plus what it moved."""
    town, _, partition, settled = pending_settled(office)
    assert settled.figures is not None
    town.forge(partition, settled._replace(figures=settled.figures._replace(credits_posted=1)))
    b = the_break(office, "figures_differ")
    assert (b["account"], b["sequence"]) == (settled.account, settled.sequence)


def test_a_missing_entry_is_caught(office: Office) -> None:
    """A SETTLED record that was lost leaves a hole in the sequence, and a transfer that is posted but never settled."""
    town, _, partition, settled = pending_settled(office)
    lost = settled
    town.settle()
    town.transfer()
    town.settle()
    town.forge(partition, *_later(town, partition, lost))
    report = office.audit(until="step_without_cause")
    assert {"journal_gap", "step_without_cause"} <= found(report), report["breaks"]
    gap = next(b for b in report["breaks"] if b["kind"] == "journal_gap")
    assert (gap["partition"], gap["sequence"]) == (partition, lost.sequence)


def _later(town: Town, partition: int, lost: JournalRecord) -> list[JournalRecord]:
    """A harmless record after the lost one, if the partition has written none."""
    if town.records[partition][-1].sequence > lost.sequence:
        return []
    row = town.states[partition].row
    tick = lost._replace(
        sequence=row.sequence + 1, kind="TICK", outcome="TICKED", step=0, transfer=None, pending=0, account=None,
        counterparty=None, amount=None, currency=None, figures=None, entry=None,
    )  # fmt: skip
    return [tick]


def test_a_record_written_twice_is_caught(office: Office) -> None:
    """The same journal record again, with the same sequence."""
    town, _, partition, settled = pending_settled(office)
    town.forge(partition, settled, settled)
    b = the_break(office, "journal_repeated")
    assert (b["partition"], b["sequence"]) == (partition, settled.sequence)


def test_a_repeated_entry_is_caught(office: Office) -> None:
    """The same transfer settled again, under a number of its own: money from nothing."""
    town, _, partition, settled = pending_settled(office)
    assert settled.figures is not None
    again = settled._replace(
        sequence=settled.sequence + 1,
        figures=settled.figures._replace(credits_posted=settled.figures.credits_posted + (settled.amount or 0)),
    )
    town.forge(partition, settled, again)
    assert the_break(office, "step_repeated")["sequence"] == again.sequence


def test_money_that_nobody_sent_is_caught(office: Office) -> None:
    """A SETTLED whose PENDING does not exist."""
    town, _, partition, settled = pending_settled(office)
    town.forge(partition, settled._replace(transfer=b"\x80" * 16))
    b = the_break(office, "step_without_cause")
    assert (b["partition"], b["sequence"]) == (partition, settled.sequence)


def test_a_step_that_contradicts_another_is_caught(office: Office) -> None:
    """A transfer that its payee settled is compensated at its payer."""
    town, pending, partition, settled = pending_settled(office)
    town.forge(partition, settled)
    payer = town.home(pending.account or "")
    (posted,) = town.decide(payer).journal
    assert posted.figures is not None
    figures = posted.figures._replace(debits_posted=posted.figures.debits_posted - (posted.amount or 0))
    town.forge(payer, posted._replace(outcome=Outcome.COMPENSATED, figures=figures))
    assert the_break(office, "step_contradicted")["partition"] == payer


def test_a_journal_that_lost_its_end_is_caught(office: Office) -> None:
    """The tables have come to a sequence that the journal does not reach."""
    town = office.town
    town.send_row_ahead(0, 5)
    b = the_break(office, "journal_behind")
    assert b["partition"] == 0
