"""The tables (their changelog) broken on purpose."""

from __future__ import annotations

import pytest

from tests.reconciliation.audit import Office, found

pytestmark = pytest.mark.stack


def account_of(office: Office) -> str:
    """An account that has moved money."""
    return next(name for name in office.town.accounts if name.startswith("EUR"))


def test_a_changed_row_is_caught_and_its_repair_seen(office: Office) -> None:
    """A row with the journal's version and another balance."""
    office.drain()
    name = account_of(office)
    row = office.town.states[office.town.home(name)].accounts[name]
    office.town.forge_row(name, row._replace(credits_posted=row.credits_posted + 1_000))
    report = office.audit()
    assert found(report) == {"table_row_differs", "table_sums_differ"}, report["breaks"]
    b = report["breaks"][0]
    assert b["account"] == name
    assert str(row.credits_posted) in b["expected"]
    assert str(row.credits_posted + 1_000) in b["found"]
    office.town.forge_row(name, row)
    assert office.audit()["verdict"] == "BALANCED"


def test_a_row_put_back_to_an_older_state_is_caught(office: Office) -> None:
    """A row behind a position that its partition has passed."""
    office.drain()
    name = account_of(office)
    row = office.town.states[office.town.home(name)].accounts[name]
    office.town.forge_row(name, row._replace(version=row.version - 1, credits_posted=row.credits_posted - 1))
    assert "table_row_behind" in found(office.audit())


def test_a_row_of_a_version_that_the_journal_has_not_is_caught(office: Office) -> None:
    """A row ahead of its partition's own position."""
    office.drain()
    name = account_of(office)
    row = office.town.states[office.town.home(name)].accounts[name]
    office.town.forge_row(name, row._replace(version=row.version + 1_000))
    assert "table_row_ahead" in found(office.audit())


def test_a_row_of_an_account_that_was_never_opened_is_caught(office: Office) -> None:
    """Nobody opens an account by writing a row."""
    office.drain()
    name = account_of(office)
    row = office.town.states[office.town.home(name)].accounts[name]
    office.town.forge_row("EUR-invented", row)
    assert found(office.audit()) == {"table_row_unknown"}


def test_a_deleted_row_is_caught(office: Office) -> None:
    """Accounts are for ever: a tombstone is a break, even if the row comes again; until then the row is missing."""
    office.drain()
    office.town.forge_row(account_of(office), None)
    assert found(office.audit()) == {"table_row_deleted", "table_row_missing"}


def test_a_changelog_that_lost_its_end_is_caught(office: Office) -> None:
    """Records in the journal whose rows never came."""
    town = office.town
    pending = town.transfer()
    batch = town.decide(town.home(pending.counterparty or ""))
    town.write_journal_alone(batch)
    report = office.audit(until="tables_behind")
    assert "tables_behind" in found(report), report
