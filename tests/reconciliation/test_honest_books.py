"""Books that nobody broke balance."""

from __future__ import annotations

import pytest

from streams.ledger.vocabulary import Outcome
from tests.reconciliation.audit import Office
from tests.reconciliation.town import outcomes

pytestmark = pytest.mark.stack


def test_books_that_agree_balance(sunk: Office) -> None:
    """Journal, tables and Postgres of a settled ledger agree, and the report says how far and how much."""
    report = sunk.audit()
    assert report["verdict"] == "BALANCED", report
    assert report["breaks"] == []
    assert report["records"] == sunk.town.count()
    assert report["accounts"] == 14
    assert (report["in_flight"], report["lag"]) == (0, 0)
    assert report["sweep_age_seconds"] is not None
    for p in report["positions"]:
        records = sunk.town.records[p["partition"]]
        assert p["journal"] == p["tables"] == p["sink"] == (records[-1].sequence if records else 0)
    assert {t["currency"] for t in report["totals"]} == {"EUR", "JPY"}
    for t in report["totals"]:
        entries = [r for records in sunk.town.records for r in records if r.entry and r.currency == t["currency"]]
        assert int(t["debits"]) == int(t["credits"]) == sum(r.amount or 0 for r in entries) > 0
        assert t["debits_posted"] == t["credits_posted"]
    every = outcomes(r for records in sunk.town.records for r in records)
    assert {Outcome.COMPENSATED, Outcome.EXPIRED, Outcome.REJECTED} <= every
