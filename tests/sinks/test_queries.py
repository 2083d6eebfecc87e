"""``twofold account``, ``transfer`` and ``statement`` over a database that a sink wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner, Result

from connectors.cli import main
from connectors.cli.money import major, shown
from sinks import writer
from sinks.batch import decode_batch
from sinks.migrate import migrate
from sinks.positions import read_positions
from streams.agents.codec import LedgerCodec
from streams.ledger.vocabulary import Kind, Outcome
from tests.sinks.journals import START, Ledger

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    """A payer and a payee in euros, a pair in yen; a transfer, a refusal, one under way."""
    ledger = Ledger(2, LedgerCodec.offline().encode_intent)
    ledger.open("payer", owner="Ada", name="Main", metadata={"plan": "gold"})
    ledger.open("payee")
    ledger.open("yen", "JPY", partition=0)
    ledger.open("yen-too", "JPY", partition=1)
    ledger.transfer("payer", "payee", 123_456, "one")
    ledger.refused("payer", "payee", 200, "two")
    ledger.transfer("payee", "payer", 1_000, "three")
    ledger.transfer("yen", "yen-too", 500, "four")
    ledger.transfer("payer", "payee", 5, "five", upto=2)
    return ledger


@pytest.fixture(scope="module")
def dsn(postgres: str, ledger: Ledger) -> str:
    """A database with the ledger in it."""

    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS queries")
        connection.execute("CREATE DATABASE queries")
    dsn = postgres.rsplit("/", 1)[0] + "/queries"
    migrate(dsn)
    codec = LedgerCodec.offline()
    messages = [(p, n, codec.encode_journal(r)) for n, (p, r) in enumerate(ledger.records)]
    with writer.connect(dsn, 1) as connection:
        start = read_positions(connection, 1, 2)
        writer.write(connection, 1, decode_batch(start, messages, codec.decode_journal, codec.decode_intent))
    return dsn


Ask = Callable[..., Result]


@pytest.fixture
def ask(dsn: str) -> Ask:
    """Runs the command with the database."""
    return lambda *words: CliRunner().invoke(main, [*words, "--postgres-dsn", dsn])


def found(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def transfer_of(ledger: Ledger, payee_gets: int, outcome: Outcome) -> UUID:
    ids = [r.transfer for _, r in ledger.records if r.amount == payee_gets and r.outcome is outcome]
    assert ids[0] is not None
    return UUID(bytes=ids[0])


def test_account_shows_figures_in_major_units_and_minor_ones_as_json(ask: Ask) -> None:
    """People read euros; programs get cents, the exponent, and the decimal as text."""
    text = ask("account", "payer").output
    assert "-1,224.56 EUR" in text
    assert "Ada" in text
    account = found(ask("account", "payer", "--json"))
    assert account["balance"] == 1_000 - 123_456
    assert account["balance_major"] == "-1224.56"
    assert (account["currency"], account["exponent"], account["debits_pending"]) == ("EUR", 2, 5)
    assert account["metadata"] == {"plan": "gold"}
    assert account["status"] == "OPEN"


def test_currency_without_cents_is_shown_without(ask: Ask) -> None:
    """A yen is a yen."""
    assert "-500 JPY" in ask("account", "yen").output
    assert found(ask("account", "yen", "--json"))["balance_major"] == "-500"


def test_transfer_shows_its_whole_life(ask: Ask, ledger: Ledger) -> None:
    """All three steps in their order, and the entry with a debit and a credit."""
    id = transfer_of(ledger, 123_456, Outcome.SETTLED)
    life = found(ask("transfer", str(id), "--json"))
    assert [(e["step"], e["outcome"]) for e in life["events"]] == [(1, "PENDING"), (2, "SETTLED"), (3, "POSTED")]
    assert [(p["account"], p["side"], p["amount"]) for p in life["postings"]] == [
        ("payer", "D", 123_456),
        ("payee", "C", 123_456),
    ]
    text = ask("transfer", id.hex).output
    assert "TRANSFER COMPENSATED" not in text
    assert text.count("1,234.56 EUR") == 5


def test_refused_transfer_shows_the_reason_and_no_postings(ask: Ask, ledger: Ledger) -> None:
    """A refusal's reason stands in its lifecycle; no money moved."""
    id = transfer_of(ledger, 200, Outcome.REFUSED)
    life = found(ask("transfer", str(id), "--json"))
    assert [e["outcome"] for e in life["events"]] == ["PENDING", "REFUSED", "COMPENSATED"]
    assert life["events"][1]["reason"] == "payee_frozen"
    assert life["postings"] == []


def test_statement_runs_from_the_opening_to_the_closing_balance(ask: Ask) -> None:
    """A payer's line is its POSTED record: what is only settled at the payee is no line of the payer's yet."""
    lines = found(ask("statement", "payer", "--json"))
    assert [(line["change"], line["balance"]) for line in lines["lines"]] == [(-123_456, -123_456), (1_000, -122_456)]
    assert (lines["opening_balance"], lines["closing_balance"]) == (0, -122_456)
    assert lines["closing_balance_major"] == "-1224.56"
    payees = found(ask("statement", "payee", "--json"))
    assert [line["change"] for line in payees["lines"]] == [123_456, -1_000, 5]


def test_statement_of_a_time_starts_with_the_balance_before_it(ask: Ask, ledger: Ledger) -> None:
    """--from is the first moment, --to the moment after the last one; what lies before is the opening balance."""
    second = next(r.time for _, r in ledger.records if r.amount == 1_000 and r.outcome is Outcome.SETTLED)
    moment = (datetime.fromtimestamp(START / 10**6, UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
    assert second < START + 10**6
    before = found(ask("statement", "payer", "--to", moment, "--json"))
    after = found(ask("statement", "payer", "--from", moment, "--json"))
    assert before["closing_balance"] == after["opening_balance"] == after["closing_balance"] == -122_456
    assert after["lines"] == []
    early = found(ask("statement", "payer", "--to", "2020-01-01", "--json"))
    assert (early["opening_balance"], early["closing_balance"], early["lines"]) == (0, 0, [])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("account", "nobody"), "there is no account nobody in Postgres"),
        (("statement", "nobody"), "there is no account nobody in Postgres"),
        (("transfer", "0" * 32), "there is no transfer 00000000-0000-0000-0000-000000000000"),
    ],
)
def test_unknown_id_is_said_with_exit_code_1(ask: Ask, words: tuple[str, str], told: str) -> None:
    """Nothing is shown for what is not there; nor is it an empty success."""
    for more in ([], ["--json"]):
        result = ask(*words, *more)
        assert result.exit_code == 1
        assert told in result.output


def test_transfer_id_that_is_none_is_wrong_usage(ask: Ask) -> None:
    """Exit code 2, as for every wrong argument."""
    assert ask("transfer", "not-an-id").exit_code == 2


def test_database_without_a_ledger_says_what_to_do(fresh_database: Callable[[], str]) -> None:
    """The message names the command."""
    result = CliRunner().invoke(main, ["account", "payer", "--postgres-dsn", fresh_database()])
    assert result.exit_code == 1
    assert "twofold migrate" in result.output


@pytest.mark.parametrize(
    ("amount", "currency", "exact", "for_people"),
    [
        (0, "EUR", "0.00", "0.00 EUR"),
        (-5, "EUR", "-0.05", "-0.05 EUR"),
        (123_456_789, "USD", "1234567.89", "1,234,567.89 USD"),
        (-1_234, "JPY", "-1234", "-1,234 JPY"),
        (1, "BHD", "0.001", "0.001 BHD"),
        (2**63 - 1, "CLF", "922337203685477.5807", "922,337,203,685,477.5807 CLF"),
    ],
)
def test_amounts_are_exact_in_every_exponent(amount: int, currency: str, exact: str, for_people: str) -> None:
    """No float on the way: all of 64 bits, all exponents, both signs."""
    assert major(amount, currency) == exact
    assert shown(amount, currency) == for_people


def test_status_is_that_of_the_last_change(dsn: str) -> None:
    """Frozen, open again, closed: as the journal says last; undone afterwards."""

    with psycopg.connect(dsn) as connection:
        for sequence, kind in enumerate((Kind.FREEZE, Kind.UNFREEZE, Kind.CLOSE), start=1000):
            connection.execute(
                "INSERT INTO ledger_1.transfer_events VALUES (0, %s, now(), 1, %s, 'APPLIED', 0, NULL, 0, 'yen', NULL, "
                "NULL, NULL, NULL, 0, 500, 0, NULL, 0, 'INTENTS', 0, 0, 0, 'INTENTS', 0, 0, 0, 0)",
                [sequence, kind],
            )
            status = connection.execute("SELECT status FROM twofold.account_states WHERE account = 'yen'").fetchone()
            assert status == ({Kind.FREEZE: "FROZEN", Kind.UNFREEZE: "OPEN", Kind.CLOSE: "CLOSED"}[kind],)
        connection.rollback()
