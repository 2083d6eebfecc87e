"""``twofold account``, ``twofold transfer``, ``twofold statement``: the ledger as it is in Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.cli.money import exponent, major, shown
from connectors.cli.topics import settings_from
from sinks import reading
from sinks.reading import Row

FIGURES = ("balance", "debits_pending", "debits_posted", "credits_posted")
AMOUNTS = (*FIGURES, "amount", "change")

dsn_option = click.option("--postgres-dsn", metavar="DSN", help="Postgres. [TWOFOLD_POSTGRES_DSN]")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON: amounts in minor and in major units.")


@click.command()
@click.argument("id")
@dsn_option
@json_option
def account(id: str, as_json: bool, **given: Any) -> None:
    """Show an account: its balance and figures, status, owner and what it was opened with.

    \b
    twofold account acc-17
    twofold account acc-17 --json | jq .balance

    balance = credits posted - debits posted; what is pending is not taken off yet. Exit code 1: no such account.
    """
    with _snapshot(given) as connection:
        row = reading.account(connection, id)
    if as_json:
        _print_json(_with_majors(row, row["currency"]))
        return
    table = _table("", "")
    for name in ("id", "status", "currency"):
        table.add_row(name, escape(str(row[name])))
    for name in FIGURES:
        table.add_row(name.replace("_", " "), shown(row[name], row["currency"]))
    for name in ("owner", "name", "type", "tenant", "metadata"):
        if row[name]:
            table.add_row(name, escape(str(row[name])))
    table.add_row("opened at", _time(row["opened_at"]))
    table.add_row("version", f"{row['version']} in journal partition {row['partition']}")
    _console().print(table)


@click.command()
@click.argument("id", type=click.UUID)
@dsn_option
@json_option
def transfer(id: UUID, as_json: bool, **given: Any) -> None:
    """Show the lifecycle of a transfer, hold or other intent: every decision about it, and its postings.

    ID is the transfer id, a UUID: it stands in the journal, in a statement, and in what the producer returns.

    \b
    twofold transfer 6d1f6f0e-8f1c-8a52-9b0e-2f3c7f1a9d11

    Exit code 1: no such transfer.
    """
    with _snapshot(given) as connection:
        events, postings = reading.lifecycle(connection, id)
    if as_json:
        lines = [_with_majors(p, p["currency"]) for p in postings]
        _print_json({"id": id, "events": [_with_majors(e, e["currency"]) for e in events], "postings": lines})
        return
    table = _table("time", "journal", "step", "decision", "account", "with", "amount", "reason")
    for e in events:
        table.add_row(
            _time(e["time"]),
            f"{e['partition']}/{e['sequence']}",
            str(e["step"] or ""),
            f"{e['kind']} {e['outcome']}",
            escape(e["account"] or ""),
            escape(e["counterparty"] or ""),
            shown(e["amount"], e["currency"]),
            e["reason"] or "",
        )
    _console().print(table)
    if postings:
        _print_postings(postings)


def _print_postings(postings: list[Row]) -> None:
    table = _table("entry", "account", "debit", "credit")
    for p in postings:
        amount = shown(p["amount"], p["currency"])
        debit, credit = (amount, "") if p["side"] == "D" else ("", amount)
        table.add_row(f"{p['partition']}/{p['sequence']}", escape(p["account"]), debit, credit)
    console = _console()
    console.print()
    console.print(table)


@click.command()
@click.argument("account")
@click.option("--from", "start", type=click.DateTime(), help="First moment of the statement, UTC. Default: all.")
@click.option("--to", "end", type=click.DateTime(), help="The moment after its last one, UTC. Default: now.")
@dsn_option
@json_option
def statement(account: str, start: datetime | None, end: datetime | None, as_json: bool, **given: Any) -> None:
    """Show an account's statement: what was posted, in the account's own order, with the balance after each line.

    \b
    twofold statement acc-17
    twofold statement acc-17 --from 2026-01-01 --to 2026-02-01     January
    twofold statement acc-17 --json | jq '.lines[].change'

    Exit code 1: no such account.
    """
    with _snapshot(given) as connection:
        currency = reading.account(connection, account)["currency"]
        opening, lines = reading.statement(connection, account, _utc(start), _utc(end))
    closing = lines[-1]["balance"] if lines else opening
    if as_json:
        found = {"account": account, "currency": currency, "exponent": exponent(currency)}
        balances = {"opening_balance": opening, "closing_balance": closing}
        majors = {f"{name}_major": major(amount, currency) for name, amount in balances.items()}
        _print_json({**found, **balances, **majors, "lines": [_with_majors(line, currency) for line in lines]})
        return
    table = _table("time", "what", "with", "transfer", "amount", "balance")
    table.add_row("", "opening balance", "", "", "", shown(opening, currency))
    for line in lines:
        sign = "" if line["change"] < 0 else "+"
        table.add_row(
            _time(line["time"]),
            line["kind"],
            escape(line["counterparty"] or ""),
            str(line["transfer"]),
            sign + shown(line["change"], currency),
            shown(line["balance"], currency),
        )
    table.add_row("", "closing balance", "", "", "", shown(closing, currency))
    _console().print(table)


@contextmanager
def _snapshot(given: dict[str, Any]) -> Iterator[psycopg.Connection[Row]]:
    """Postgres, read only; what goes wrong is told to the user with exit code 1."""
    try:
        with reading.reading(settings_from(**given).postgres_dsn) as connection:
            yield connection
    except reading.NotThere as error:
        raise click.ClickException(str(error)) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise click.ClickException("this database has no ledger: run `twofold migrate`") from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise click.ClickException(f"grant the database user the role {reading.READER_ROLE} ({error})") from None
    except psycopg.OperationalError as error:
        told = f"no answer from Postgres ({str(error).strip()}). Start it (twofold up) or set TWOFOLD_POSTGRES_DSN."
        raise click.ClickException(told) from None


def _with_majors(row: Row, currency: str | None) -> Row:
    """The row with each amount in major units beside it, as text: JSON's numbers are no decimals."""
    majors = {f"{n}_major": major(row[n], currency) for n in AMOUNTS if currency and row.get(n) is not None}
    return {**row, **({"exponent": exponent(currency)} if currency else {}), **majors}


def _print_json(found: object) -> None:
    click.echo(json.dumps(found, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _console() -> Console:
    """A console that never folds a table when the output is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=any(columns), header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in ("amount", "balance", "debit", "credit") else "left")
    return table
