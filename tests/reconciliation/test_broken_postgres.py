"""Postgres broken on purpose, by someone who owns the database: every row that differs is named."""

from __future__ import annotations

import pytest

from streams.ledger.vocabulary import Outcome
from tests.reconciliation.audit import Office, found

pytestmark = pytest.mark.stack


def test_a_changed_balance_is_caught(sunk: Office) -> None:
    """A balance with the right version and the wrong amount: the account, and the sums."""
    sunk.tamper("account_balances", "UPDATE ledger_1.account_balances SET credits_posted = credits_posted + 5 "
                "WHERE account = 'EUR-0003'")  # fmt: skip
    report = sunk.audit()
    assert found(report) == {"postgres_balance_differs", "postgres_sums_differ"}
    assert {b["account"] for b in report["breaks"]} == {"EUR-0003", "EUR"}


def test_a_balance_put_back_is_caught(sunk: Office) -> None:
    """A balance behind a position that the sink has passed."""
    sunk.tamper("account_balances", "UPDATE ledger_1.account_balances SET version = 1 WHERE account = 'EUR-0003'")
    assert found(sunk.audit()) == {"postgres_balance_behind"}


def test_a_deleted_balance_is_caught(sunk: Office) -> None:
    """An account of the journal without a balance."""
    sunk.tamper("account_balances", "DELETE FROM ledger_1.account_balances WHERE account = 'EUR-0003'")
    assert found(sunk.audit()) == {"postgres_balance_missing", "postgres_sums_differ"}


def test_an_invented_balance_is_caught(sunk: Office) -> None:
    """A balance of an account that was never opened."""
    sunk.tamper(
        "account_balances", "INSERT INTO ledger_1.account_balances VALUES ('EUR-invented', 0, 'EUR', 0, 0, 9, 1)"
    )
    assert "postgres_balance_unknown" in found(sunk.audit())


def test_a_lone_debit_is_caught(sunk: Office) -> None:
    """An entry that lost its CREDIT posting."""
    partition, settled = sunk.town.find(Outcome.SETTLED)
    where = "WHERE partition = %s AND sequence = %s AND side = 'C'"
    sunk.tamper("postings", f"DELETE FROM ledger_1.postings {where}", partition, settled.sequence)
    report = sunk.audit()
    assert found(report) == {"postgres_postings_missing"}
    assert (report["breaks"][0]["partition"], report["breaks"][0]["sequence"]) == (partition, settled.sequence)


def test_a_changed_amount_is_caught(sunk: Office) -> None:
    """Both postings of an entry changed, so that it still balances."""
    partition, settled = sunk.town.find(Outcome.SETTLED)
    where = "WHERE partition = %s AND sequence = %s"
    sunk.tamper("postings", f"UPDATE ledger_1.postings SET amount = amount + 1 {where}", partition, settled.sequence)
    report = sunk.audit()
    assert found(report) == {"postgres_postings_differ"}
    assert report["breaks"][0]["sequence"] == settled.sequence


def test_a_missing_entry_is_caught(sunk: Office) -> None:
    """An entry that is gone with its postings."""
    partition, settled = sunk.town.find(Outcome.SETTLED)
    where = "WHERE partition = %s AND sequence = %s"
    sunk.tamper("postings", f"DELETE FROM ledger_1.postings {where}", partition, settled.sequence)
    sunk.tamper("entries", f"DELETE FROM ledger_1.entries {where}", partition, settled.sequence)
    assert found(sunk.audit()) == {"postgres_postings_missing", "postgres_entry_missing"}


def test_a_repeated_entry_is_caught(sunk: Office) -> None:
    """An entry's postings a second time under the same number, and a whole entry under a number that is not used."""
    partition, settled = sunk.town.find(Outcome.SETTLED)
    again = "INSERT INTO ledger_1.postings SELECT partition, sequence, line + 2, account, side, amount, currency "
    where = "FROM ledger_1.postings WHERE partition = %s AND sequence = %s"
    sunk.tamper("postings", again + where, partition, settled.sequence)
    beyond = "INSERT INTO ledger_1.entries SELECT partition, sequence + 1000000, transfer, kind, time "
    sunk.tamper("entries", beyond + where.replace("postings", "entries"), partition, settled.sequence)
    report = sunk.audit()
    assert found(report) == {"postgres_postings_unexpected", "postgres_entry_unexpected"}
    assert {b["sequence"] for b in report["breaks"]} == {settled.sequence, settled.sequence + 1_000_000}


@pytest.mark.parametrize(
    "change", ["amount = amount + 1", "outcome = 'REFUSED'", "account = 'EUR-0001'", "time = time + interval '1 s'"]
)
def test_a_changed_event_is_caught(sunk: Office, change: str) -> None:
    """A row of transfer_events that is not its journal record."""
    partition, settled = sunk.town.find(Outcome.SETTLED)
    where = "WHERE partition = %s AND sequence = %s"
    sunk.tamper("transfer_events", f"UPDATE ledger_1.transfer_events SET {change} {where}", partition, settled.sequence)
    report = sunk.audit()
    assert found(report) == {"postgres_event_differs"}
    assert report["breaks"][0]["sequence"] == settled.sequence


def test_a_deleted_event_is_caught(sunk: Office) -> None:
    """A journal record that is gone from Postgres, though the sink's position has passed it."""
    partition, settled = sunk.town.find(Outcome.SETTLED)
    where = "WHERE partition = %s AND sequence = %s"
    sunk.tamper("transfer_events", f"DELETE FROM ledger_1.transfer_events {where}", partition, settled.sequence)
    assert found(sunk.audit()) == {"postgres_event_missing"}
