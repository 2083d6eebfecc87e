"""The report: how the journal, the tables and Postgres agree. The same data for the topic, Postgres and people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from streams.reconciliation.books import Books, wall_clock

Report = dict[str, Any]
"""The fields of schemas/ReconciliationReport.avsc, by name."""


def make(books: Books, number: int, notices: list[str]) -> Report:
    """The report of this moment; ``notices`` are reasons for BEHIND that the books do not know."""
    notices = notices + books.notices()
    breaks = len(books.breaks)
    age = books.postgres.age()
    tables, postgres = books.cursors
    return {
        "number": number,
        "time": wall_clock(),
        "verdict": "BREAK" if breaks else "BEHIND" if notices else "BALANCED",
        "positions": [
            {
                "partition": part.number,
                "journal": part.sequence,
                "tables": tables.positions[part.number],
                "sink": postgres.positions[part.number],
            }
            for part in books.journal.partitions
        ],
        "totals": _totals(books),
        "records": books.journal.records,
        "accounts": len(books.journal.accounts),
        "in_flight": len(books.journal.transfers),
        "lag": books.lag(),
        "sweep_age_seconds": None if age is None else int(age),
        "notices": notices,
        "breaks": [{**b._asdict(), "explanation": b.explanation} for b in books.breaks.shown()],
        "breaks_total": breaks,
    }


def _totals(books: Books) -> list[dict[str, str]]:
    pending: dict[bytes, list[int]] = {}
    for account in books.journal.accounts.values():
        sums = pending.setdefault(account.currency, [0, 0, 0])
        for n, figure in enumerate(account.figures[1]):
            sums[n] += figure
    found = []
    for currency in sorted(pending.keys() | books.journal.totals.keys(), key=str):
        entries = books.journal.totals.get(currency)
        sums = pending.get(currency, [0, 0, 0])
        found.append(
            {
                "currency": currency.decode(errors="replace") if currency else "?",
                "debits": str(entries.debits if entries else 0),
                "credits": str(entries.credits if entries else 0),
                "pending": str(sums[0]),
                "debits_posted": str(sums[1]),
                "credits_posted": str(sums[2]),
            }
        )
    return found


def text(report: Report) -> str:
    """The report for people."""
    when = datetime.fromtimestamp(report["time"] / 1_000_000, UTC).isoformat(timespec="seconds")
    age = report["sweep_age_seconds"]
    lines = [
        f"{report['verdict']}  report {report['number']} at {when}",
        f"  journal records {report['records']:,}, accounts {report['accounts']:,}, in flight {report['in_flight']:,}, "
        f"lag {report['lag']:,}, oldest comparison {'none yet' if age is None else f'{age} s ago'}",
    ]
    lines += [
        f"  {t['currency']}  debits {int(t['debits']):,}  credits {int(t['credits']):,}  pending {int(t['pending']):,}"
        for t in report["totals"]
    ]
    lines += [
        f"  partition {p['partition']}: journal {p['journal']:,}, tables {p['tables']:,}, Postgres {p['sink']:,}"
        for p in report["positions"]
    ]
    lines += [f"  {notice}" for notice in report["notices"]]
    for b in report["breaks"]:
        where = f"partition {b['partition']}" + (f" sequence {b['sequence']}" if b["sequence"] else "")
        where += f" account {b['account']}" if b["account"] else ""
        lines.append(f"  {b['kind']}: {where}: {b['explanation']}")
        lines.append(f"      expected {b['expected']}")
        lines.append(f"      found    {b['found']}")
    if report["breaks_total"] > len(report["breaks"]):
        lines.append(f"  and {report['breaks_total'] - len(report['breaks'])} more breaks")
    return "\n".join(lines)
